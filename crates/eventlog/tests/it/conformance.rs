//! Every implementation keeps the trait's promises.

use std::sync::Arc;

use cairn_eventlog::conformance::{Expectations, check_all};
use cairn_eventlog::{EventLog, MemoryLog, SegmentedLog, SegmentedLogConfig};
use cairn_platform::{RealDisk, SimDisk};

use crate::fixture::{clock, small_config};

#[tokio::test]
async fn the_log_in_memory_conforms() {
    let open = || async {
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(clock(), 16 << 20, 64 << 10));
        log
    };
    check_all(
        open,
        Expectations {
            batch_bytes_max: 64 << 10,
            released_after_bytes: 1,
        },
    )
    .await;
}

// Proves: R18
#[tokio::test]
async fn the_segmented_log_conforms_on_a_simulated_disk() {
    let open = || async {
        let config = SegmentedLogConfig {
            batch_bytes_max: 63 << 10,
            ..small_config()
        };
        let config = SegmentedLogConfig {
            segment_bytes_max: 128 << 10,
            ..config
        };
        let disk = Arc::new(SimDisk::new(1));
        let log: Arc<dyn EventLog> =
            SegmentedLog::open(config, disk, clock()).expect("an empty disk opens");
        log
    };
    let expectations = Expectations {
        batch_bytes_max: 63 << 10,
        released_after_bytes: 512 << 10,
    };
    check_all(open, expectations).await;
}

#[tokio::test]
async fn the_segmented_log_conforms_on_real_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let counter = std::sync::atomic::AtomicU64::new(0);
    let open = || async {
        let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let config = SegmentedLogConfig {
            directory: folder.path().join(number.to_string()),
            batch_bytes_max: 63 << 10,
            segment_bytes_max: 128 << 10,
            ..small_config()
        };
        let disk = Arc::new(RealDisk::new());
        let log: Arc<dyn EventLog> =
            SegmentedLog::open(config, disk, clock()).expect("an empty folder opens");
        log
    };
    let expectations = Expectations {
        batch_bytes_max: 63 << 10,
        released_after_bytes: 512 << 10,
    };
    check_all(open, expectations).await;
}
