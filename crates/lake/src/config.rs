//! The lake's settings. All have defaults; each limit has a name.

use std::path::PathBuf;

use cairn_model::PartitionId;

use crate::error::LakeError;

/// How the lake writes and keeps its tables.
#[derive(Clone, Debug)]
pub struct LakeConfig {
    /// The folder of the lake's objects.
    pub data_dir: PathBuf,
    /// The partition of the log that is followed. The embedded log has one.
    pub partition: PartitionId,
    /// Longest wait of an acknowledged event before it is made visible; at most 500.
    pub hot_interval_ms: u64,
    /// Bytes of events that are read from the log at once. More than that waiting means that the lake lags,
    /// and the events go into the tables without a hot object.
    pub read_bytes_max: usize,
    /// Records that may wait for the tables while requests keep the processors busy. Beyond it the lake
    /// takes an equal share of them.
    pub lag_records_max: u64,
    /// Longest time that rows stay in hot objects.
    pub commit_interval_ms: u64,
    /// Rows in hot objects that bring a commit forward.
    pub commit_rows_max: u64,
    /// Bytes of hot rows in memory that bring a commit forward. Twice as many at most are held; then the
    /// log keeps what comes.
    pub commit_bytes_max: usize,
    /// Events older than this many days are not kept in event history.
    pub history_retention_days: u32,
    /// How often files are compacted, and expired rows, snapshots and garbage removed.
    pub maintenance_interval_ms: u64,
    /// A data file below this size is joined with others of its day. The joined file, which may be twice as
    /// large, is in memory until it is written, and some 140 MiB beside it.
    pub compaction_file_bytes: u64,
    /// Small files of one day that are left alone.
    pub compaction_files_min: usize,
    /// Files that one compaction joins at most.
    pub compaction_files_max: usize,
    /// Old snapshots are kept this long for outside readers.
    pub snapshot_keep_ms: u64,
    /// More snapshots than this are not kept, except those younger than `snapshot_keep_min_ms`.
    pub snapshots_max: usize,
    /// Every snapshot is kept this long.
    pub snapshot_keep_min_ms: u64,
    /// An unreferenced object is taken for an orphan when it is this old; at least a day (R13).
    pub orphan_age_ms: u64,
    /// How often orphans are looked for.
    pub orphan_interval_ms: u64,
    /// How often everything that the tables refer to is read and compared with its checksums; 0 for never.
    pub scrub_interval_ms: u64,
    /// Bytes that one round of maintenance compares, until some 4 MiB more.
    pub scrub_bytes_max: u64,
    /// How long a lease of a reader in another process holds without being renewed.
    pub lease_ms: u64,
    /// Bytes of footers, page indexes and bloom filters of data files that lookups keep in memory.
    pub lookup_cache_bytes_max: usize,
    /// Lookups that read at once; beyond it they are refused.
    pub lookups_max: usize,
    /// Nothing is written that would leave less room than this on the disk. Less than what the event log
    /// leaves, so that the lake can still take over what the log holds, and let it go.
    pub free_bytes_min: u64,
    /// Room that compaction leaves beside that.
    pub compaction_free_bytes_min: u64,
}

/// The least age of an orphan (R13).
pub(crate) const ORPHAN_AGE_MIN_MS: u64 = 24 * 60 * 60 * 1_000;
const HOT_INTERVAL_MAX_MS: u64 = 500;

impl Default for LakeConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("cairn-data/lake"),
            partition: PartitionId(0),
            hot_interval_ms: 250,
            read_bytes_max: 32 * 1024 * 1024,
            lag_records_max: 10_000_000,
            commit_interval_ms: 60_000,
            commit_rows_max: 500_000,
            commit_bytes_max: 96 * 1024 * 1024,
            history_retention_days: 90,
            maintenance_interval_ms: 60_000,
            compaction_file_bytes: 64 * 1024 * 1024,
            compaction_files_min: 8,
            compaction_files_max: 16,
            snapshot_keep_ms: 24 * 60 * 60 * 1_000,
            snapshots_max: 300,
            snapshot_keep_min_ms: 10 * 60 * 1_000,
            orphan_age_ms: ORPHAN_AGE_MIN_MS,
            orphan_interval_ms: 60 * 60 * 1_000,
            scrub_interval_ms: 7 * 24 * 60 * 60 * 1_000,
            scrub_bytes_max: 256 * 1024 * 1024,
            lease_ms: 5 * 60 * 1_000,
            lookup_cache_bytes_max: 64 * 1024 * 1024,
            lookups_max: 64,
            free_bytes_min: 64 * 1024 * 1024,
            compaction_free_bytes_min: 256 * 1024 * 1024,
        }
    }
}

impl LakeConfig {
    /// Refuses settings that would break a promise.
    pub fn check(&self) -> Result<(), LakeError> {
        let refuse = |name| Err(LakeError::Configuration { name });
        if !(1..=HOT_INTERVAL_MAX_MS).contains(&self.hot_interval_ms) {
            return refuse("hot_interval_ms");
        }
        if self.read_bytes_max == 0 {
            return refuse("read_bytes_max");
        }
        if self.commit_interval_ms == 0 || self.commit_rows_max == 0 || self.commit_bytes_max == 0 {
            return refuse("commit_interval_ms, commit_rows_max or commit_bytes_max");
        }
        if self.lookups_max == 0 {
            return refuse("lookups_max");
        }
        if self.history_retention_days == 0 {
            return refuse("history_retention_days");
        }
        if self.compaction_files_min < 2 || self.compaction_files_max < self.compaction_files_min {
            return refuse("compaction_files_min or compaction_files_max");
        }
        if self.orphan_age_ms < ORPHAN_AGE_MIN_MS {
            return refuse("orphan_age_ms");
        }
        if self.scrub_bytes_max == 0 {
            return refuse("scrub_bytes_max");
        }
        if self.maintenance_interval_ms == 0 || self.lease_ms < 1_000 {
            return refuse("maintenance_interval_ms or lease_ms");
        }
        Ok(())
    }

    pub(crate) fn retention_micros(&self) -> i64 {
        i64::from(self.history_retention_days) * 24 * 60 * 60 * 1_000_000
    }
}
