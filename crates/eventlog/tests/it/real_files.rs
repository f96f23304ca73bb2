//! The log on the operating system's files: what a simulated disk cannot show.

use std::path::Path;
use std::sync::Arc;

use cairn_eventlog::conformance::{read_all, record};
use cairn_eventlog::{EventLog, OpenError, SegmentedLog, SegmentedLogConfig};
use cairn_model::Sequence;
use cairn_platform::RealDisk;

use crate::fixture::{PARTITION, clock, small_config};

fn open(folder: &Path) -> Result<Arc<SegmentedLog>, OpenError> {
    let config = SegmentedLogConfig {
        directory: folder.join("log"),
        ..small_config()
    };
    SegmentedLog::open(config, Arc::new(RealDisk::new()), clock())
}

// Proves: R7
#[tokio::test]
async fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = open(folder.path()).expect("an empty folder opens");
    let second = open(folder.path());
    assert!(matches!(second, Err(OpenError::Locked)), "{second:?}");
    first.close().await;
    open(folder.path()).expect("a closed log can be opened again");
}

// Proves: R1, R3, R6
#[tokio::test]
async fn records_come_back_after_a_close_and_after_a_drop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut appended = Vec::new();
    for round in 0..6_u64 {
        let log = open(folder.path()).expect("the log opens");
        assert_eq!(log.status().damage, []);
        assert_eq!(log.durable_end(PARTITION), Sequence(appended.len() as u64));
        for batch in 0..20 {
            let records: Vec<_> = (0..5)
                .map(|n| record(round * 1000 + batch * 10 + n, 900))
                .collect();
            appended.extend(records.iter().cloned());
            log.append_durable(PARTITION, records)
                .await
                .expect("there is room");
        }
        let read = read_all(log.as_ref(), Sequence(0), 10_000)
            .await
            .expect("all can be read");
        let contents: Vec<_> = read.into_iter().map(|record| record.record).collect();
        assert_eq!(contents, appended);
        if round % 2 == 0 {
            log.close().await;
        }
    }
}
