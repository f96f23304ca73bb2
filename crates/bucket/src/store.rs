//! Buckets and their objects on the local disk. Bodies lie in files under random names, encrypted; the
//! index, a SQL database, says which of them is what. An object exists when the index says so, which is
//! after its body is durable: a crash leaves a file that nobody refers to, and that is swept away.

mod body;
mod buckets;
mod data_keys;
mod index;
mod intake;
mod listing;
mod logging;
mod objects;
mod reading;
mod settings;
mod sweep;
mod uploads;
mod versions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cairn_platform::{Clock, Entropy, MasterKey};

pub(crate) use body::CHUNK_BYTES;
#[cfg(any(test, fuzzing))]
pub(crate) use body::open_as_body;
pub(crate) use buckets::Bucket;
pub use data_keys::{EncryptionContext, PlainKey};
pub(crate) use data_keys::{KmsEncryption, ObjectSeal};
pub(crate) use intake::{BodyRules, NewBody};
pub(crate) use listing::{Entry, ListRequest, Page, VersionsRequest};
pub use logging::LoggedBucket;
pub(crate) use objects::{Conditions, Deleted, Deletion, NewObject};
pub(crate) use settings::{
    AccessLogging, DateSource, DefaultEncryption, KeyFormat, PublicAccessBlock, Settings,
    Versioning,
};
pub(crate) use uploads::{
    ChosenPart, Completion, NewUpload, Part, Upload, UploadsRequest, WantedChecksum,
};
pub(crate) use versions::{NULL_VERSION, Properties, Tags, Version};

use crate::error::BucketsError;
use body::BodyFolder;
use data_keys::BodyKeys;
use index::Index;
use logging::LoggedBuckets;

/// How the store is set up.
#[derive(Clone, Debug)]
pub struct BucketsConfig {
    /// Where the store is; made if it is not there.
    pub folder: PathBuf,
    /// How old a file that nobody refers to must be before it is swept away.
    pub orphan_age_ms: u64,
    /// How many buckets an account may have.
    pub buckets_per_account_max: usize,
    /// How large one body may be, in bytes.
    pub body_bytes_max: u64,
}

impl Default for BucketsConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("buckets"),
            orphan_age_ms: 24 * 60 * 60 * 1000,
            buckets_per_account_max: 10_000,
            body_bytes_max: crate::payload::BODY_BYTES_MAX,
        }
    }
}

/// What the store has done since it was opened.
#[derive(Debug, Default)]
pub struct BucketsCounters {
    /// Bodies written, of objects and parts.
    pub bodies_written: AtomicU64,
    /// Bytes of these bodies.
    pub bytes_written: AtomicU64,
    /// Bytes read for clients and copies.
    pub bytes_read: AtomicU64,
    /// Bodies found damaged.
    pub bodies_damaged: AtomicU64,
    /// Files swept away.
    pub files_swept: AtomicU64,
}

/// All buckets of a node but the reserved one.
///
/// **Invariant.** What a call has answered is durable: body and folder are synchronised before the one
/// transaction that makes them visible, and that one is synchronised before the answer.
#[derive(Debug)]
pub struct Buckets {
    pub(crate) config: BucketsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// What it has done.
    pub counters: BucketsCounters,
    index: Index,
    logging: LoggedBuckets,
    bodies: BodyFolder,
    keys: BodyKeys,
}

impl Buckets {
    /// Opens the store, and makes it if there is none.
    pub async fn open(
        config: BucketsConfig,
        master_key: MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Arc<Self>, BucketsError> {
        let folder = config.folder.clone();
        let bodies = off_thread(move || BodyFolder::open(&folder)).await?;
        let index = Index::open(&config.folder).await?;
        let logging = LoggedBuckets::open(&index).await?;
        let keys = BodyKeys::new(master_key, Arc::clone(&entropy));
        Ok(Arc::new(Self {
            config,
            clock,
            entropy,
            counters: BucketsCounters::default(),
            index,
            logging,
            bodies,
            keys,
        }))
    }

    /// Finishes what is running and closes the index.
    pub async fn close(&self) {
        self.index.close().await;
    }
}

/// Runs what blocks where it may.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BucketsError> + Send + 'static,
) -> Result<T, BucketsError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panicked) => Err(BucketsError::Failed {
            during: "working with a body's file",
            reason: panicked.to_string(),
        }),
    }
}
