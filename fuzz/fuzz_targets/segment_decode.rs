//! Event log files: whatever the bytes, the log opens and reads to its end or says why not, and never panics.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cairn_eventlog::{
    EventLog, ReadError, SegmentedLog, SegmentedLogConfig, decode_payload, inspect_segment,
};
use cairn_model::{PartitionId, Sequence};
use cairn_platform::{Disk, ManualClock, SimDisk};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "00000000000000000000-0000000001.segment";
const PARTITION: PartitionId = PartitionId(0);

fuzz_target!(|bytes: &[u8]| {
    if let Some(records) = decode_payload(&Bytes::copy_from_slice(bytes), Sequence(0)) {
        let lengths = |record: &cairn_eventlog::LogRecord| {
            let record = &record.record;
            13 + record.header.len() + record.context.len() + record.body.len()
        };
        assert_eq!(records.iter().map(lengths).sum::<usize>(), bytes.len());
    }
    let disk = SimDisk::new(1);
    let path = Path::new("/log").join(NAME);
    disk.create_dir_all(Path::new("/log")).expect("an empty disk");
    disk.plant(&path, bytes);
    let file = disk.open(&path).expect("it was planted");
    inspect_segment(file.as_ref(), NAME).expect("the disk works");
    let config = SegmentedLogConfig {
        directory: PathBuf::from("/log"),
        preallocate_bytes: 4096,
        reserve_bytes: 0,
        ..SegmentedLogConfig::default()
    };
    let clock = Arc::new(ManualClock::at(0));
    let Ok((log, _stepper)) = SegmentedLog::open_stepped(config, Arc::new(disk), clock) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let end = log.durable_end(PARTITION);
    let mut next = log.start(PARTITION);
    while next < end {
        next = match runtime.block_on(log.read(PARTITION, next, 1 << 20)) {
            Ok(records) => records.last().expect("a read below the end gives one").sequence.plus(1),
            Err(ReadError::Corrupt { resume_at, .. }) if resume_at > next => resume_at,
            Err(error) => panic!("{error}"),
        };
    }
});
