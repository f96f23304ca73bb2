//! The log's witnesses, `watermark` and `released`: whatever they say beside a whole segment, the log opens
//! and reads to its end or says why not.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_eventlog::{EventLog, ReadError, SegmentedLog, SegmentedLogConfig};
use cairn_model::PartitionId;
use cairn_platform::{Disk, ManualClock, SimDisk};
use libfuzzer_sys::fuzz_target;

const SEGMENT: &[u8] = include_bytes!("../corpus/segment_decode/sealed-segment");
const NAME: &str = "00000000000000000000-0000000001.segment";
const PARTITION: PartitionId = PartitionId(0);
const SLOT_BYTES: usize = 64;
const BLOCK_BYTES: usize = 4096;

// The input is up to four slots, two for each file, without the room between them. A bit of the first byte
// of each slot's zeros says that its checksum is to be made right.
fuzz_target!(|bytes: &[u8]| {
    let mut slots = bytes.chunks(SLOT_BYTES).map(repaired);
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new("/log"))
        .expect("an empty disk");
    disk.plant(&Path::new("/log").join(NAME), SEGMENT);
    for file in ["watermark", "released"] {
        let (Some(first), second) = (slots.next(), slots.next()) else {
            break;
        };
        let mut contents = first;
        contents.resize(BLOCK_BYTES, 0);
        contents.extend(second.unwrap_or_default());
        disk.plant(&Path::new("/log").join(file), &contents);
    }
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let end = log.durable_end(PARTITION);
    let mut next = log.start(PARTITION);
    while next < end {
        next = match runtime.block_on(log.read(PARTITION, next, 1 << 20)) {
            Ok(records) => records
                .last()
                .expect("a read below the end gives one")
                .sequence
                .plus(1),
            Err(ReadError::Corrupt { resume_at, .. }) if resume_at > next => resume_at,
            Err(error) => panic!("{error}"),
        };
    }
});

fn repaired(slot: &[u8]) -> Vec<u8> {
    let mut slot = slot.to_vec();
    if slot.len() == SLOT_BYTES && slot[SLOT_BYTES - 1] & 1 == 1 {
        slot[SLOT_BYTES - 1] = 0;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&slot[..12]), &slot[16..]);
        slot[12..16].copy_from_slice(&crc.to_le_bytes());
    }
    slot
}
