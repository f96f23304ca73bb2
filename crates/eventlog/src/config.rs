//! The settings of the segmented log, and what it tells about itself.

use std::ops::Range;
use std::path::PathBuf;

use cairn_model::Sequence;

use crate::{OpenError, ReaderName};

/// The largest record, unless the settings say less: header, context and body together. Twice the largest
/// event, so that a header may name what the body holds.
pub const RECORD_BYTES_MAX: usize = 2 << 20;

/// Settings of a `SegmentedLog`. Every field has a default that suits a server with a gigabyte to spare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentedLogConfig {
    /// The folder of the log; nothing else may write there.
    pub directory: PathBuf,
    /// A segment is sealed once another frame would make it longer than this.
    pub segment_bytes_max: u64,
    /// Room is reserved in the active segment in steps of this, so that a write below it neither meets
    /// a full disk nor changes the file's length.
    pub preallocate_bytes: u64,
    /// A group commit stops gathering batches at this size; a single batch may be larger.
    pub frame_bytes_max: usize,
    /// The largest batch, in bytes on the disk.
    pub batch_bytes_max: usize,
    /// The largest record: header, context and body together.
    pub record_bytes_max: usize,
    /// Bytes of batches that wait or are being written; more are refused as busy (R18).
    pub queue_bytes_max: usize,
    /// Bytes of recent batches kept in memory for readers that keep up.
    pub cache_bytes_max: usize,
    /// New batches are refused while the disk has less room than this (R18).
    pub free_bytes_min: u64,
    /// Size of the file that is given up when sealing or recovery needs room; 0 for none (R18).
    pub reserve_bytes: u64,
    /// The readers of this log. Nothing is released before each of them has told its position.
    pub expected_readers: Vec<ReaderName>,
}

impl Default for SegmentedLogConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("cairn-data/log"),
            segment_bytes_max: 64 << 20,
            preallocate_bytes: 8 << 20,
            frame_bytes_max: 4 << 20,
            batch_bytes_max: 24 << 20,
            record_bytes_max: RECORD_BYTES_MAX,
            queue_bytes_max: 64 << 20,
            cache_bytes_max: 64 << 20,
            free_bytes_min: 256 << 20,
            reserve_bytes: 64 << 20,
            expected_readers: Vec::new(),
        }
    }
}

impl SegmentedLogConfig {
    // Relations between settings that the code relies on.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let fits_segment = self.batch_bytes_max as u64 + 8192 <= self.segment_bytes_max;
        let fits_frame = self.batch_bytes_max <= crate::format::PAYLOAD_BYTES_MAX as usize;
        let reason = if !fits_segment {
            "batch_bytes_max must be at least 8192 below segment_bytes_max"
        } else if !fits_frame {
            "batch_bytes_max is larger than a frame can be"
        } else if self.batch_bytes_max > self.queue_bytes_max {
            "batch_bytes_max must not exceed queue_bytes_max"
        } else if self.frame_bytes_max > self.batch_bytes_max {
            "frame_bytes_max must not exceed batch_bytes_max"
        } else {
            return Ok(());
        };
        Err(OpenError::Config { reason })
    }
}

/// A place in the log that does not read back as it was written (R4). Never skipped in silence: a read that
/// meets it fails with `ReadError::Corrupt`, and the bytes are kept for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, as it was named when the damage was found.
    pub segment: String,
    /// Where in the file.
    pub offset: u64,
    /// The records that cannot be read; empty if the damage is beside the records.
    pub sequences: Range<Sequence>,
    /// What is wrong.
    pub reason: &'static str,
}

/// What the log tells about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStatus {
    /// Bytes of all segments on the disk.
    pub bytes: u64,
    /// Number of segments.
    pub segments: usize,
    /// Bytes of batches that wait or are being written.
    pub queue_bytes: usize,
    /// Bytes of recent batches in memory.
    pub cache_bytes: usize,
    /// The oldest record that can be read.
    pub start: Sequence,
    /// The sequence after the last durable record.
    pub end: Sequence,
    /// True while batches are refused for lack of room.
    pub no_space: bool,
    /// Why the log takes no more records, if so.
    pub poisoned: Option<String>,
    /// Each reader and its position.
    pub readers: Vec<(ReaderName, Sequence)>,
    /// Damage found since the log was opened.
    pub damage: Vec<Damage>,
}

/// What `SegmentedLog::scrub` has checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Sealed segments read from first to last byte.
    pub segments: usize,
    /// Bytes read.
    pub bytes: u64,
    /// What did not match its checksum.
    pub damage: Vec<Damage>,
}
