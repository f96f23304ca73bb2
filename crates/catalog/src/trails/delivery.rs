//! The delivery's entry in the catalog: up to where the log is cut into files, which files wait for their bucket,
//! and which digest comes next.
//!
//! **Invariant.** A range of the log is cut once: a cut is accepted only if it starts where the last one ended, and
//! with it every file's key, hash and size are fixed (R14). A digest is recorded once for each window: its row,
//! the end of the window and the files that it lists change hands in one transaction (R16).

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use cairn_model::{AccountId, PartitionId, Region, Sequence, Trail, TrailId};

use super::outlets::{Lane, PlannedFeed};
use crate::CatalogError;

type Result<T> = std::result::Result<T, CatalogError>;

/// A file that is decided, by the order in which files were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub i64);

/// A chain of digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub i64);

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Events.
    Log,
    /// A signed list of log files.
    Digest,
}

/// A log file or digest whose key and bytes are decided; the bytes are durable in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// The trail.
    pub trail: TrailId,
    /// The version of the trail by which the file was made.
    pub version: u64,
    /// What it is.
    pub kind: FileKind,
    /// True if a digest is to list it.
    pub is_validated: bool,
    /// Whose events it holds.
    pub account: AccountId,
    /// Of which Region.
    pub region: Region,
    /// Where it goes.
    pub bucket: String,
    /// Its key there.
    pub object_key: String,
    /// The ARN of the key that the bucket encrypts it with.
    pub kms_key_arn: Option<String>,
    /// Its name in the spool.
    pub spooled: String,
    /// Its size in the spool and in the bucket, in bytes.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub object_sha256: [u8; 32],
    /// SHA-256 of what they decompress to.
    pub content_sha256: [u8; 32],
    /// Of a digest: its signature, in hexadecimal.
    pub signature: Option<String>,
    /// How many events it holds.
    pub events: u64,
    /// Times of the oldest and newest event, in milliseconds since the epoch.
    pub event_times_ms: Option<(i64, i64)>,
    /// When it was decided, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// A file that the catalog holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFile {
    /// Its place among all files.
    pub id: FileId,
    /// What was decided.
    pub file: PlannedFile,
    /// How often it was put in vain.
    pub attempts: u32,
    /// For how long it was put in vain, in milliseconds, as far as two clocks agree.
    pub failing_ms: i64,
    /// When it was put last, in milliseconds since the epoch.
    pub last_attempt_ms: Option<i64>,
}

/// Where the reader is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReaderState {
    /// The first record that is not cut yet; none before the first cut.
    pub position: Option<Sequence>,
    /// The trails as they are configured there.
    pub trails: Vec<Trail>,
    /// Trails whose version there this build cannot read.
    pub unreadable: Vec<TrailId>,
}

/// The trails as they are configured now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentTrails {
    /// Those that this build can read.
    pub trails: Vec<Trail>,
    /// Those that it cannot.
    pub unreadable: Vec<TrailId>,
}

/// A version that counts from somewhere in a cut on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedTrail {
    /// The trail.
    pub trail: TrailId,
    /// Its version; that of its end, if it has ended.
    pub version: u64,
}

/// What a cut changes in the chains of digests, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainChange {
    /// A chain begins, unless there is an open one.
    Open {
        /// The trail.
        trail: TrailId,
        /// Its version.
        version: u64,
        /// The account.
        account: AccountId,
        /// The Region.
        region: Region,
        /// When its first window begins.
        at_ms: i64,
    },
    /// All open chains of a trail end.
    CloseAll {
        /// The trail.
        trail: TrailId,
        /// When they ended.
        at_ms: i64,
    },
    /// Those of all Regions but one end.
    CloseOthers {
        /// The trail.
        trail: TrailId,
        /// The Region whose chains go on.
        region: Region,
        /// When the others ended.
        at_ms: i64,
    },
}

/// A range of the log, cut into files for all trails at once.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The partition of the log.
    pub partition: PartitionId,
    /// Where the cut before it ended; none for the first.
    pub expected: Option<Sequence>,
    /// Where this one ends.
    pub end: Sequence,
    /// The files.
    pub files: Vec<PlannedFile>,
    /// Configuration that the range brought.
    pub applied: Vec<AppliedTrail>,
    /// Chains that begin or end. They come before the files, which belong to open chains.
    pub chains: Vec<ChainChange>,
    /// Files that the spool had no room for.
    pub lost: Vec<LostFile>,
    /// Files whose events go to log groups and buses.
    pub feeds: Vec<PlannedFeed>,
    /// Feeds that the spool had no room for.
    pub lost_feeds: Vec<LostFeed>,
}

/// Events that no log group or bus will get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostFeed {
    /// Where they would have gone.
    pub lane: Lane,
    /// How many events.
    pub events: u64,
    /// What the owner is told.
    pub error: String,
}

/// Events that no bucket will get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostFile {
    /// The trail.
    pub trail: TrailId,
    /// How many events.
    pub events: u64,
    /// What the owner is told.
    pub error: String,
}

/// A file that its bucket has.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The file.
    pub id: FileId,
    /// When the attempt began, in milliseconds since the epoch.
    pub attempted_ms: i64,
    /// When the bucket had it.
    pub delivered_ms: i64,
}

/// What became of the notification of a delivered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationMade {
    /// There is no topic to be told.
    None,
    /// It waits for its topic.
    Waiting,
    /// So many wait for the topic that it is not kept.
    Dropped,
}

/// An attempt in vain.
#[derive(Clone, Debug)]
pub struct FailedAttempt {
    /// The file.
    pub id: FileId,
    /// When the attempt began, in milliseconds since the epoch.
    pub attempted_ms: i64,
    /// When the next may be.
    pub next_attempt_ms: i64,
    /// For how long the file was put in vain by now, in milliseconds.
    pub failing_ms: i64,
    /// What the owner is told; none where the bucket just did not answer in time (TRL-079).
    pub error: Option<String>,
}

/// A chain whose next digest is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChain {
    /// The chain.
    pub id: ChainId,
    /// The trail.
    pub trail: TrailId,
    /// The version by which the next digest is made.
    pub version: u64,
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
    /// When the open window began, in milliseconds since the epoch.
    pub window_start_ms: i64,
    /// The digest before; none at the beginning of a chain (REC-256).
    pub previous: Option<PreviousDigest>,
    /// When the chain was ended, if it was.
    pub closing_ms: Option<i64>,
}

/// What a digest says of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousDigest {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// SHA-256 of its uncompressed bytes, in hexadecimal.
    pub hash: String,
    /// Its signature, in hexadecimal.
    pub signature: String,
}

/// A digest that is signed and spooled.
#[derive(Clone, Debug)]
pub struct NewDigest {
    /// The chain, as it was when the digest was made.
    pub chain: DigestChain,
    /// The ARN of the trail, by which the digest is named.
    pub trail_arn: String,
    /// The window that it covers, in milliseconds since the epoch.
    pub window_ms: Range<i64>,
    /// The digest's own file.
    pub file: PlannedFile,
    /// What the next digest says of it.
    pub summary: PreviousDigest,
    /// The log files that it lists.
    pub listed: Vec<FileId>,
    /// True if it is the last of its chain.
    pub is_final: bool,
}

/// A key pair that signs digests.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The Region whose digests it signs.
    pub region: Region,
    /// Hexadecimal digits by which digests name it.
    pub fingerprint: String,
    /// The public key, PKCS#1 in DER.
    pub public_key: Vec<u8>,
    /// The private key, sealed by whoever stores it.
    pub private_sealed: Vec<u8>,
    /// When it may sign, in milliseconds since the epoch.
    pub valid_ms: Range<i64>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("region", &self.region)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// What a trail holds of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolUse {
    /// The trail.
    pub trail: TrailId,
    /// How many files wait for their bucket.
    pub files: u64,
    /// How many events these hold.
    pub events: u64,
    /// Bytes of all its files in the spool.
    pub bytes: u64,
    /// When the oldest waiting file was decided, in milliseconds since the epoch.
    pub oldest_waiting_ms: Option<i64>,
}

/// Everything that delivery keeps.
#[async_trait]
pub trait TrailsCatalog: Send + Sync + fmt::Debug {
    /// Where the reader of a partition is, with the configuration that counts there.
    async fn reader_state(&self, partition: PartitionId) -> Result<ReaderState>;

    /// A version of a trail; none if it is the end of the trail, or not known.
    async fn trail_at(&self, trail: &TrailId, version: u64) -> Result<Option<Trail>>;

    /// The version of a trail that was applied last; that of its end, if it has ended.
    async fn applied_version(&self, partition: PartitionId, trail: &TrailId)
    -> Result<Option<u64>>;

    /// Every trail as it is configured now, wherever the reader is.
    async fn current_trails(&self) -> Result<CurrentTrails>;

    /// Records a cut, all of it or nothing. Refused as out of step if another was recorded meanwhile.
    async fn record_cut(&self, cut: &Cut) -> Result<()>;

    /// Trails that have files to put, and when the next of them may be.
    async fn waiting_trails(&self) -> Result<Vec<(TrailId, i64)>>;

    /// At most `files_max` files of a trail that may be put at `now_ms`, those first that may longest. What
    /// may not before `mended_ms` was given its time by a clock that has been set back, and may at once.
    async fn waiting_files(
        &self,
        trail: &TrailId,
        now_ms: i64,
        mended_ms: i64,
        files_max: u32,
    ) -> Result<Vec<RecordedFile>>;

    /// The bucket has the file. Nothing becomes of a row that is gone: somebody else recorded it before.
    async fn record_delivered(&self, delivered: &Delivered) -> Result<NotificationMade>;

    /// The bucket does not have the file yet.
    async fn record_failure(&self, failed: &FailedAttempt) -> Result<()>;

    /// The bucket will never have the file; it is counted as lost.
    async fn record_lost(&self, id: FileId, attempted_ms: i64, error: &str) -> Result<()>;

    /// All chains, those first whose window began first.
    async fn chains(&self) -> Result<Vec<DigestChain>>;

    /// A chain, if it has not ended.
    async fn chain(&self, chain: ChainId) -> Result<Option<DigestChain>>;

    /// The delivered log files of a chain that no digest lists yet: those delivered before `before_ms`, and
    /// those delivered after `now_ms`, by a clock that has been set back.
    async fn files_of_chain(
        &self,
        chain: ChainId,
        before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<RecordedFile>>;

    /// How many log files of a chain still wait for their bucket.
    async fn waiting_in_chain(&self, chain: ChainId) -> Result<u64>;

    /// Where the last digest of this name ended.
    async fn last_digest_end(&self, chain: &DigestChain, trail_arn: &str) -> Result<Option<i64>>;

    /// Records a digest, all of it or nothing. Refused as out of step if the chain has gone on meanwhile.
    async fn record_digest(&self, digest: &NewDigest) -> Result<()>;

    /// The newest key of a Region that may sign at `now_ms`.
    async fn signing_key(&self, region: &Region, now_ms: i64) -> Result<Option<SigningKey>>;

    /// Stores a new key.
    async fn put_signing_key(&self, key: &SigningKey) -> Result<()>;

    /// Forgets the private halves of keys that sign no longer.
    async fn retire_signing_keys(&self, now_ms: i64) -> Result<()>;

    /// Names of all files that the spool must keep.
    async fn spooled(&self) -> Result<Vec<String>>;

    /// What each trail holds of the spool.
    async fn spool_use(&self) -> Result<Vec<SpoolUse>>;
}
