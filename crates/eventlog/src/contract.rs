//! What every event log promises, whatever is underneath.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{PartitionId, Sequence};
use cairn_platform::DiskError;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordKind {
    /// An event: `header` is an encoded `RoutingHeader`, `body` the canonical event JSON.
    Event = 1,
    /// A control record: `header` names what changed, `body` is the new configuration version.
    Control = 2,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What the record is.
    pub kind: RecordKind,
    /// The encoded routing header, or the control record's name.
    pub header: Bytes,
    /// The canonical JSON, at most 1 MiB.
    pub body: Bytes,
    /// Evaluated condition keys and resource tags; empty if there are none.
    pub context: Bytes,
}

/// A record as read back: byte for byte what was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the partition.
    pub sequence: Sequence,
    /// When the log accepted it, milliseconds since the epoch by the server's clock.
    pub accepted_ms: i64,
    /// The record.
    pub record: NewRecord,
}

/// The name of a reader, such as `lake` or `trails`.
pub type ReaderName = &'static str;

/// The durable ordered log.
///
/// **Guarantee.** `append_durable` returns `Ok` only when every record of the batch will be read back
/// after any crash or power loss (R1), in one contiguous range. An error of a kind other than
/// `Refused*` leaves it open whether the batch is in the log: callers treat it as maybe done.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Appends a batch and waits until it is durable. The batch is all or nothing.
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError>;

    /// The sequence after the last durable record.
    fn durable_end(&self, partition: PartitionId) -> Sequence;

    /// The sequence of the oldest record that can still be read.
    fn start(&self, partition: PartitionId) -> Sequence;

    /// Reads records in order from `from`, about `bytes_max` of them but at least one if there is one.
    /// Empty at the durable end.
    async fn read(
        &self,
        partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError>;

    /// Completes once `durable_end` is greater than `position`.
    async fn wait_beyond(&self, partition: PartitionId, position: Sequence);

    /// Tells the log that `reader` will never ask again for records before `position`. Callers must
    /// have made that position durable first (R5). The first call registers the reader; segments that
    /// every registered reader has passed are released. A position never moves back.
    fn advance_reader(&self, partition: PartitionId, reader: ReaderName, position: Sequence);
}

/// Why a batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full. Nothing was written; try again later.
    #[error("the event log's queue is full")]
    RefusedBusy,
    /// There is no room on the disk. Nothing was written; the log resumes when there is room (C6).
    #[error("the event log has no room on its disk")]
    RefusedNoSpace,
    /// The batch or one of its records is larger than the log takes. Nothing was written.
    #[error("a batch or record is larger than the event log takes: {bytes} bytes")]
    RefusedTooLarge {
        /// Size of what was refused.
        bytes: usize,
    },
    /// A write or sync failed: the log is poisoned and the process must stop (R2).
    #[error("the event log failed and takes no more records: {reason}")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// The log is shutting down.
    #[error("the event log is closed")]
    Closed,
}

impl AppendError {
    /// True if the same batch may be sent again with hope of success.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::RefusedBusy | Self::RefusedNoSpace)
    }
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The records were released; the oldest is `start`.
    #[error("records before {start} were released")]
    Released {
        /// The oldest sequence that can be read.
        start: Sequence,
    },
    /// Stored bytes do not match their checksum: quarantined and reported, never skipped (R4).
    #[error("segment {segment} is corrupt at byte {offset}; records resume at {resume_at}")]
    Corrupt {
        /// The segment's file name.
        segment: String,
        /// Where in the file.
        offset: u64,
        /// The next record that can be read: a reader that has recorded the loss goes on from here.
        resume_at: Sequence,
    },
    /// The disk failed.
    #[error("reading segment {segment} failed: {reason}")]
    Disk {
        /// The segment's file name.
        segment: String,
        /// The disk's answer.
        reason: String,
    },
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to the same folder.
    #[error("another process has the event log open")]
    Locked,
    /// There is no room to recover the last segment. Nothing is lost; make room and start again.
    #[error("the disk has no room to recover the event log: make room and start again")]
    NoSpace,
    /// The files are of a newer version of Cairn.
    #[error("segment {segment} has format version {version}, which this program does not know")]
    UnknownVersion {
        /// The segment's file name.
        segment: String,
        /// The version that it states.
        version: u32,
    },
    /// The settings contradict each other.
    #[error("the event log's settings do not fit together: {reason}")]
    Config {
        /// Which, and how.
        reason: &'static str,
    },
    /// The disk failed.
    #[error("the event log cannot be opened: {reason}")]
    Disk {
        /// The disk's answer.
        reason: String,
    },
}

impl OpenError {
    pub(crate) fn from_disk(error: &DiskError) -> Self {
        match error {
            DiskError::NoSpace { .. } => Self::NoSpace,
            DiskError::Locked { .. } => Self::Locked,
            error => Self::Disk {
                reason: error.to_string(),
            },
        }
    }
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        Self::from_disk(&error)
    }
}
