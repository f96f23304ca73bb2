//! Bodies on their way in: hashed, encrypted and written off the async threads, a bounded piece at a
//! time, and compared with what the request states before they are made durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::hmac;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::StdError;

use super::body::BodyWriter;
use super::data_keys::{DataKey, ObjectSeal, SealedBy};
use super::{Buckets, off_thread};
use crate::checksums::{Expected, Summed, Sums};
use crate::error::BucketsError;
use crate::payload::PayloadReport;

/// Bytes that are gathered before they are worked on. Nothing holds a thread while a client is slow, and
/// no request holds more than this and one frame.
const BATCH_BYTES: usize = 256 * 1024;
/// Bytes of an entity tag, as long as an MD5.
const ETAG_BYTES: usize = 16;
/// Random bytes of a file's name.
const NAME_BYTES: usize = 16;

/// What a body must be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyRules {
    /// What the request states.
    pub(crate) expected: Expected,
    /// Where the trailers are once the body has ended; None if it is no request's body.
    pub(crate) report: Option<Arc<PayloadReport>>,
    /// What seals the body's key.
    pub(crate) seal: ObjectSeal,
}

/// A durable body that nothing refers to yet. Callers must commit it, or `discard` it.
#[derive(Clone, Debug)]
pub(crate) struct NewBody {
    pub(super) file: String,
    pub(crate) bytes: u64,
    pub(crate) sums: Summed,
}

impl NewBody {
    /// The entity tag of an object with this body alone.
    pub(crate) fn etag(&self) -> String {
        hex(&self.sums.md5)
    }
}

impl Buckets {
    /// Stores a body for an object of `bucket`.
    pub(crate) async fn store_body(
        &self,
        bucket: &str,
        source: impl Stream<Item = Result<Bytes, StdError>> + Send,
        mut rules: BodyRules,
    ) -> Result<NewBody, BucketsError> {
        let name = self.new_name();
        let context = key_context(bucket, &name);
        let key = self.keys.generate(&rules.seal, &context);
        let mut intake = Intake {
            buckets: self.bodies.clone(),
            name: name.clone(),
            key,
            writer: None,
            sums: rules.expected.sums(),
        };
        let mut source = std::pin::pin!(source);
        let (mut batch, mut batched, mut bytes) = (Vec::new(), 0, 0_u64);
        while let Some(piece) = source.next().await {
            let piece = piece.map_err(broken)?;
            batched += piece.len();
            bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if bytes > self.config.body_bytes_max {
                return Err(BucketsError::EntityTooLarge);
            }
            batch.push(piece);
            if batched >= BATCH_BYTES {
                let full = std::mem::take(&mut batch);
                batched = 0;
                intake = off_thread(move || intake.take(&full)).await?;
            }
        }
        if let Some(report) = &rules.report {
            rules.expected.add_trailers(report)?;
        }
        let expected = rules.expected;
        let (bytes, sums) = off_thread(move || intake.take(&batch)?.finish(&expected)).await?;
        self.counters.bodies_written.fetch_add(1, Ordering::Relaxed);
        self.counters
            .bytes_written
            .fetch_add(bytes, Ordering::Relaxed);
        Ok(NewBody {
            file: name,
            bytes,
            sums,
        })
    }

    /// Removes a body that will not be committed.
    pub(crate) async fn discard(&self, body: NewBody) {
        self.remove_bodies(vec![body.file]).await;
    }

    /// Removes files that the index does not know any more. What cannot be removed is swept away later.
    pub(super) async fn remove_bodies(&self, files: Vec<String>) {
        if files.is_empty() {
            return;
        }
        let bodies = self.bodies.clone();
        let removed = off_thread(move || {
            for file in files {
                let done = bodies.remove(&file);
                done.map_err(BucketsError::disk("removing a body"))?;
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(error = %error, "a body that is not needed is still there");
        }
    }

    fn new_name(&self) -> String {
        let mut random = [0; NAME_BYTES];
        self.entropy.fill(&mut random);
        hex(&random)
    }
}

/// Why a source broke off: our own reason when a stored body is copied, else the client's.
fn broken(error: StdError) -> BucketsError {
    error
        .downcast::<BucketsError>()
        .map_or(BucketsError::BodyBroken, |own| *own)
}

/// What stands for the MD5 of a body under SSE-KMS, whose entity tag must not tell what is in it.
fn keyed_digest(key: &DataKey, md5: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.plain.as_slice());
    let tag = hmac::sign(&key, md5);
    tag.as_ref()[..ETAG_BYTES].to_vec()
}

/// What the key of a body is bound to.
pub(super) fn key_context(bucket: &str, file: &str) -> String {
    format!("s3-body:{bucket}/{file}")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("text takes all that is written");
    }
    text
}

/// A body between the network and the disk.
struct Intake {
    buckets: super::BodyFolder,
    name: String,
    key: DataKey,
    writer: Option<BodyWriter>,
    sums: Sums,
}

impl Intake {
    /// Blocks.
    fn take(mut self, pieces: &[Bytes]) -> Result<Self, BucketsError> {
        let failed = || BucketsError::disk("writing a body");
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                BodyWriter::create(self.buckets.clone(), &self.name, &self.key).map_err(failed())?
            }
        };
        for piece in pieces {
            self.sums.update(piece);
            writer.write(piece).map_err(failed())?;
        }
        self.writer = Some(writer);
        Ok(self)
    }

    /// Blocks.
    fn finish(self, expected: &Expected) -> Result<(u64, Summed), BucketsError> {
        let mut sums = self.sums.finish();
        expected.check(&sums)?;
        if self.key.sealed_by == SealedBy::ObjectKey {
            sums.md5 = keyed_digest(&self.key, &sums.md5);
        }
        let writer = self.writer.expect("the last pieces were taken before");
        let bytes = writer
            .finish()
            .map_err(BucketsError::disk("writing a body"))?;
        Ok((bytes, sums))
    }
}
