//! The frozen files of format version 1: read back as they were written, and written the same today. A format that
//! changes gets a new version, a new fixture and a reader for both. `CAIRN_BLESS=1` writes the fixture
//! of a new version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_eventlog::conformance::{read_all, record};
use cairn_eventlog::{EventLog, NewRecord, SegmentedLog};
use cairn_model::Sequence;
use cairn_platform::{Disk, SimDisk};

use crate::fixture::{PARTITION, clock, small_config};

const FILES: [&str; 3] = [
    "00000000000000000000-0000000001.segment",
    "watermark",
    "released",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/event-log-v1")
        .join(name)
}

fn batches() -> Vec<Vec<NewRecord>> {
    let sizes = [(1_u64, 20), (3, 700), (2, 2100)];
    let batch = |(at, (count, bytes)): (usize, (u64, usize))| {
        (0..count)
            .map(|n| record(at as u64 * 10 + n, bytes))
            .collect()
    };
    sizes.into_iter().enumerate().map(batch).collect()
}

async fn written_today() -> BTreeMap<&'static str, Vec<u8>> {
    let disk = SimDisk::new(1);
    let log = SegmentedLog::open(small_config(), Arc::new(disk.clone()), clock()).expect("opens");
    for batch in batches() {
        log.append_durable(PARTITION, batch)
            .await
            .expect("there is room");
    }
    log.close().await;
    let contents = |name| {
        disk.contents(&Path::new("/log").join(name))
            .expect("it was written")
    };
    FILES
        .into_iter()
        .map(|name| (name, contents(name)))
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "blessing is a setting of the test run"
)]
fn blessing() -> bool {
    std::env::var("CAIRN_BLESS").is_ok()
}

#[tokio::test]
async fn version_1_is_written_byte_for_byte_as_it_was() {
    for (name, bytes) in written_today().await {
        if blessing() {
            std::fs::write(fixture(name), &bytes).expect("the fixture can be written");
        }
        let frozen = std::fs::read(fixture(name)).expect("the fixture is there");
        assert!(frozen == bytes, "{name} is written differently");
    }
}

#[tokio::test]
async fn version_1_is_read_as_it_was_written() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/log"))
        .expect("an empty disk");
    for name in FILES {
        let frozen = std::fs::read(fixture(name)).expect("the fixture is there");
        disk.plant(&Path::new("/log").join(name), &frozen);
    }
    let log = SegmentedLog::open(small_config(), Arc::new(disk), clock()).expect("opens");
    assert_eq!(log.status().damage, []);
    let found = read_all(log.as_ref(), Sequence(0), 1000)
        .await
        .expect("it can be read");
    assert!(
        found
            .iter()
            .all(|record| record.accepted_ms == 1_700_000_000_000)
    );
    let found: Vec<_> = found.into_iter().map(|record| record.record).collect();
    assert_eq!(found, batches().concat());
}
