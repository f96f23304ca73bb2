//! The way of lines into their target bucket: asked for at each delivery, put like every object, tried twice.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::stream;

use super::{AccessLog, Batch, Due, Lines, key};
use crate::error::BucketsError;
use crate::gatekeeper::{Gatekeeper, LogDelivery};
use crate::store::{BodyRules, Buckets, LoggedBucket, NewObject, Properties};

/// Random bytes at the end of an object's name.
const UNIQUE_BYTES: usize = 8;

impl AccessLog {
    /// Delivers the lines that are due. What fails is kept for one more attempt, and then dropped.
    pub async fn flush(&self, gatekeeper: &dyn Gatekeeper, due: Due) {
        for batch in self.take(due) {
            let text = Bytes::copy_from_slice(&batch.lines.text);
            match self.put(gatekeeper, &batch, text).await {
                Ok(()) => self.delivered(&batch),
                Err(error) => self.failed(batch, due, &error),
            }
        }
    }

    async fn put(
        &self,
        gatekeeper: &dyn Gatekeeper,
        batch: &Batch,
        text: Bytes,
    ) -> Result<(), BucketsError> {
        let (source, buckets) = (&batch.place.source, &self.buckets);
        let mut random = [0; UNIQUE_BYTES];
        buckets.entropy.fill(&mut random);
        let unique = format!("{:016X}", u64::from_be_bytes(random));
        let now_ms = buckets.clock.now_ms();
        let key = key::object_key(source, batch.place.day.as_deref(), now_ms, &unique);
        check_target(buckets, gatekeeper, source, &key).await?;
        let target = &source.logging.target_bucket;
        let body = stream::iter([Ok(text)]);
        let body = buckets
            .store_body(target, body, BodyRules::default())
            .await?;
        let object = NewObject {
            bucket: target.clone(),
            key,
            properties: Properties {
                content_type: Some("text/plain".to_owned()),
                ..Properties::default()
            },
            ..NewObject::default()
        };
        buckets.commit_object(object, body).await?;
        Ok(())
    }

    fn delivered(&self, batch: &Batch) {
        let (counters, lines) = (&self.counters, &batch.lines);
        counters.delivered_objects.fetch_add(1, Ordering::Relaxed);
        counters
            .delivered_lines
            .fetch_add(lines.count, Ordering::Relaxed);
        self.lock()
            .release(&batch.place.source.name, lines.text.len());
    }

    fn failed(&self, batch: Batch, due: Due, error: &BucketsError) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let source = &batch.place.source;
        let Lines { text, count } = &batch.lines;
        let is_over = batch.is_retry || due == Due::Last;
        tracing::warn!(
            %error,
            bucket = source.name,
            target_bucket = source.logging.target_bucket,
            lines = count,
            dropped = is_over,
            "an access log could not be delivered"
        );
        let mut gathered = self.lock();
        if is_over {
            self.counters
                .dropped_lines
                .fetch_add(*count, Ordering::Relaxed);
            gathered.release(&source.name, text.len());
        } else {
            gathered.retries.push(Batch {
                is_retry: true,
                ..batch
            });
        }
    }
}

/// Whether logs of `source` may be put into its target: it is there, of the same account and Region, and its
/// policy lets S3's log delivery in.
pub(crate) async fn check_target(
    buckets: &Buckets,
    gatekeeper: &dyn Gatekeeper,
    source: &LoggedBucket,
    key: &str,
) -> Result<(), BucketsError> {
    let found = buckets.bucket(&source.logging.target_bucket).await?;
    let target = found.ok_or(BucketsError::InvalidLogTarget)?.facts;
    if target.owner != source.owner {
        return Err(BucketsError::InvalidLogTarget);
    }
    if target.region != source.region {
        return Err(BucketsError::LogTargetElsewhere);
    }
    let delivery = LogDelivery {
        source_bucket: &source.name,
        source_account: source.owner,
        target: &target,
        key,
    };
    if gatekeeper.lets_logs_in(&delivery) {
        Ok(())
    } else {
        Err(BucketsError::InvalidLogTarget)
    }
}
