//! The log's witnesses, `watermark` and `released`: whatever they say beside a whole segment, the log opens
//! and reads to its end or says why not.
#![no_main]

use std::path::Path;

use cairn_fuzz::{LOG_FOLDER, read_log};
use cairn_platform::{Disk, SimDisk};
use libfuzzer_sys::fuzz_target;

const SEGMENT: &[u8] = include_bytes!("../corpus/segment_decode/sealed-segment");
const NAME: &str = "00000000000000000000-0000000001.segment";
const SLOT_BYTES: usize = 64;
const BLOCK_BYTES: usize = 4096;

// The input is up to four slots, two for each file, without the room between them. A bit of the first byte
// of each slot's zeros says that its checksum is to be made right.
fuzz_target!(|bytes: &[u8]| {
    let mut slots = bytes.chunks(SLOT_BYTES).map(repaired);
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(LOG_FOLDER))
        .expect("an empty disk");
    disk.plant(&Path::new(LOG_FOLDER).join(NAME), SEGMENT);
    for file in ["watermark", "released"] {
        let (Some(first), second) = (slots.next(), slots.next()) else {
            break;
        };
        let mut contents = first;
        contents.resize(BLOCK_BYTES, 0);
        contents.extend(second.unwrap_or_default());
        disk.plant(&Path::new(LOG_FOLDER).join(file), &contents);
    }
    read_log(disk);
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
