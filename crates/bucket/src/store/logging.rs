//! Which buckets are logged. Every request asks, so the answer is kept in memory beside the index; each change
//! reads the index again, one at a time, so that the last one to look has seen the last one to write.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use cairn_model::{AccountId, Region};
use futures::TryStreamExt as _;

use super::Buckets;
use super::buckets::Bucket;
use super::index::Index;
use super::settings::AccessLogging;
use crate::error::BucketsError;
use crate::gatekeeper::BucketFacts;

/// A bucket whose requests are logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoggedBucket {
    pub(crate) name: String,
    pub(crate) owner: AccountId,
    pub(crate) region: Region,
    pub(crate) logging: AccessLogging,
}

impl LoggedBucket {
    pub(crate) fn new(facts: &BucketFacts, logging: AccessLogging) -> Self {
        Self {
            name: facts.name.clone(),
            owner: facts.owner,
            region: facts.region.clone(),
            logging,
        }
    }

    fn of(bucket: Bucket) -> Option<Self> {
        let logging = bucket.settings.logging?;
        Some(Self::new(&bucket.facts, logging))
    }
}

/// The logged buckets by name.
#[derive(Debug)]
pub(super) struct LoggedBuckets {
    // Held for a look-up or an exchange, never across an await.
    by_name: RwLock<HashMap<String, Arc<LoggedBucket>>>,
    /// One who reads the index again at a time.
    looking: tokio::sync::Mutex<()>,
}

impl LoggedBuckets {
    /// Those of an index.
    pub(super) async fn open(index: &Index) -> Result<Self, BucketsError> {
        let failed = || BucketsError::while_("reading which buckets are logged");
        let mut by_name = HashMap::new();
        let mut rows = sqlx::query("SELECT * FROM buckets").fetch(&index.readers);
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let bucket = Bucket::of_row(&row).map_err(failed())?;
            if let Some(logged) = LoggedBucket::of(bucket) {
                by_name.insert(logged.name.clone(), Arc::new(logged));
            }
        }
        drop(rows);
        Ok(Self {
            by_name: RwLock::new(by_name),
            looking: tokio::sync::Mutex::default(),
        })
    }
}

impl Buckets {
    /// The bucket of this name, if its requests are logged.
    pub(crate) fn logged(&self, name: &str) -> Option<Arc<LoggedBucket>> {
        let by_name = &self.logging.by_name;
        let by_name = by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).cloned()
    }

    /// Sets, or ends, the logging of a bucket.
    pub(crate) async fn set_logging(
        &self,
        name: &str,
        logging: Option<AccessLogging>,
    ) -> Result<(), BucketsError> {
        self.change_settings(name, |settings| settings.logging = logging)
            .await?;
        self.look_again(name).await
    }

    /// Takes over what the index says of a bucket.
    pub(super) async fn look_again(&self, name: &str) -> Result<(), BucketsError> {
        let _alone = self.logging.looking.lock().await;
        let bucket = self.bucket(name).await?;
        let logged = bucket.and_then(LoggedBucket::of).map(Arc::new);
        let by_name = &self.logging.by_name;
        let mut by_name = by_name.write().unwrap_or_else(PoisonError::into_inner);
        match logged {
            Some(logged) => by_name.insert(name.to_owned(), logged),
            None => by_name.remove(name),
        };
        Ok(())
    }
}
