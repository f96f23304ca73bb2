//! Small logs on simulated disks.

use std::path::PathBuf;
use std::sync::Arc;

use cairn_eventlog::SegmentedLogConfig;
use cairn_model::PartitionId;
use cairn_platform::{Clock, ManualClock};

pub(crate) const PARTITION: PartitionId = PartitionId(0);

/// Limits so small that a few batches meet them.
pub(crate) fn small_config() -> SegmentedLogConfig {
    SegmentedLogConfig {
        directory: PathBuf::from("/log"),
        segment_bytes_max: 64 << 10,
        preallocate_bytes: 16 << 10,
        frame_bytes_max: 16 << 10,
        batch_bytes_max: 48 << 10,
        record_bytes_max: 32 << 10,
        queue_bytes_max: 256 << 10,
        cache_bytes_max: 8 << 10,
        free_bytes_min: 0,
        reserve_bytes: 32 << 10,
        expected_readers: Vec::new(),
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(1_700_000_000_000))
}
