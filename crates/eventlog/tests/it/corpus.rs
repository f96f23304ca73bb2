//! The seeds of the fuzz targets `segment_decode` and `witness_decode`, and every input that once found a fault, replayed.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cairn_eventlog::{EventLog, ReadError, SegmentedLog, decode_payload, inspect_segment};
use cairn_model::Sequence;
use cairn_platform::{Disk, SimDisk};

use crate::fixture::{PARTITION, clock, small_config};

const NAME: &str = "00000000000000000000-0000000001.segment";

// Proves: R24
#[tokio::test]
async fn foreign_files_open_and_read_to_their_end() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/segment_decode");
    let mut read = 0;
    for seed in std::fs::read_dir(folder).expect("the corpus is there") {
        let bytes = std::fs::read(seed.expect("it can be listed").path()).expect("it can be read");
        decode_payload(&Bytes::copy_from_slice(&bytes), Sequence(0));
        let disk = SimDisk::new(1);
        let path = Path::new("/log").join(NAME);
        disk.plant(&path, &bytes);
        let file = disk.open(&path).expect("it was planted");
        inspect_segment(file.as_ref(), NAME).expect("the disk works");
        let log = SegmentedLog::open(small_config(), Arc::new(disk), clock()).expect("it opens");
        read += read_to_the_end(&log).await;
    }
    assert!(read > 0, "some seed holds records");
}

// Proves: R24, R4
#[tokio::test]
async fn foreign_witnesses_beside_a_segment_hold_up_no_reader() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let segment = std::fs::read(corpus.join("segment_decode/sealed-segment")).expect("a seed");
    let mut read = 0;
    for seed in std::fs::read_dir(corpus.join("witness_decode")).expect("the corpus is there") {
        let bytes = std::fs::read(seed.expect("it can be listed").path()).expect("it can be read");
        let disk = SimDisk::new(1);
        disk.plant(&Path::new("/log").join(NAME), &segment);
        let mut slots = bytes.chunks(64);
        for file in ["watermark", "released"] {
            let mut contents = slots.next().unwrap_or_default().to_vec();
            contents.resize(4096, 0);
            contents.extend(slots.next().unwrap_or_default());
            disk.plant(&Path::new("/log").join(file), &contents);
        }
        let Ok(log) = SegmentedLog::open(small_config(), Arc::new(disk), clock()) else {
            continue;
        };
        read += read_to_the_end(&log).await;
    }
    assert!(read > 0, "some seed leaves records to read");
}

/// A reader got no records of such a frame and no error, and would have asked for them for ever.
// Proves: R4
#[tokio::test]
async fn a_frame_that_does_not_hold_the_records_that_it_counts_is_damage() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/segment_decode");
    let seeds = [
        ("frame-without-its-records", 2),
        ("frame-with-a-record-too-many", 1),
    ];
    for (seed, counted) in seeds {
        let disk = SimDisk::new(1);
        let bytes = std::fs::read(corpus.join(seed)).expect("it can be read");
        disk.plant(&Path::new("/log").join(NAME), &bytes);
        let log = SegmentedLog::open(small_config(), Arc::new(disk), clock()).expect("it opens");
        assert_eq!(log.durable_end(PARTITION), Sequence(counted), "{seed}");
        read_to_the_end(&log).await;
        assert_eq!(
            log.status().damage.len(),
            1,
            "{seed} is told to the operator"
        );
    }
}

/// Reads, or passes over as damaged, whatever the log says it has. How often it was asked.
async fn read_to_the_end(log: &SegmentedLog) -> usize {
    let (mut next, mut reads) = (log.start(PARTITION), 0);
    while next < log.durable_end(PARTITION) {
        next = match log.read(PARTITION, next, 1000).await {
            Ok(records) => records.last().expect("there is one").sequence.plus(1),
            Err(ReadError::Corrupt { resume_at, .. }) if resume_at > next => resume_at,
            Err(error) => panic!("{error}"),
        };
        reads += 1;
    }
    reads
}
