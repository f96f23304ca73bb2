//! What the server decides of delivery.

use std::path::PathBuf;
use std::time::Duration;

use cairn_model::PartitionId;

/// Settings of delivery. Every size is in bytes.
#[derive(Clone, Debug)]
pub struct TrailsConfig {
    /// The folder of the spool.
    pub spool_folder: PathBuf,
    /// The partition of the log that is followed.
    pub partition: PartitionId,
    /// How often the log is cut into files, on whole multiples by the wall clock (TRL-131).
    pub delivery_interval: Duration,
    /// How long a digest's window is (REC-234).
    pub digest_interval: Duration,
    /// Read from the log at a time.
    pub read_bytes_max: usize,
    /// Events held in memory over all files that are being made.
    pub buffer_bytes_max: usize,
    /// Largest log file, uncompressed.
    pub file_bytes_max: u64,
    /// Events of one cut, uncompressed: what a crash may make again.
    pub cut_bytes_max: u64,
    /// Spooled for all trails together.
    pub spool_bytes_max: u64,
    /// Spooled for one trail.
    pub spool_trail_bytes_max: u64,
    /// Room that must stay free on the spool's disk; beyond it files are given up as if the spool were full.
    pub free_bytes_min: u64,
    /// How long a file is tried before it is given up (TRL-133).
    pub retry_period: Duration,
    /// Longest pause between two attempts for one trail.
    pub retry_pause_max: Duration,
    /// Puts in flight for all trails together.
    pub puts_max: usize,
    /// Puts in flight for one trail.
    pub puts_trail_max: usize,
    /// Bytes of files in flight.
    pub puts_bytes_max: usize,
    /// How long a key signs digests before another takes its place.
    pub key_period: Duration,
    /// How long a key is valid beyond that (REC-266).
    pub key_overlap: Duration,
}

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_hours(24);

impl Default for TrailsConfig {
    fn default() -> Self {
        Self {
            spool_folder: PathBuf::from("spool"),
            partition: PartitionId(0),
            delivery_interval: Duration::from_mins(5),
            digest_interval: Duration::from_hours(1),
            read_bytes_max: 8 << 20,
            buffer_bytes_max: 64 << 20,
            file_bytes_max: 50 * MIB,
            cut_bytes_max: 2048 * MIB,
            spool_bytes_max: 10_240 * MIB,
            spool_trail_bytes_max: 5_120 * MIB,
            free_bytes_min: 0,
            retry_period: 30 * DAY,
            retry_pause_max: Duration::from_mins(5),
            puts_max: 32,
            puts_trail_max: 4,
            puts_bytes_max: 256 << 20,
            key_period: 30 * DAY,
            key_overlap: 10 * DAY,
        }
    }
}
