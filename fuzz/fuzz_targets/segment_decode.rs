//! Event log files: whatever the bytes, the log opens and reads to its end or says why not, and never panics.
#![no_main]

use std::path::Path;

use bytes::Bytes;
use cairn_eventlog::{decode_payload, inspect_segment};
use cairn_fuzz::{LOG_FOLDER, read_log};
use cairn_model::Sequence;
use cairn_platform::{Disk, SimDisk};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "00000000000000000000-0000000001.segment";

// Each file is tried as it is, and with its checksums made right: otherwise hardly any change of a seed
// would get past them.
fuzz_target!(|bytes: &[u8]| {
    if let Some(records) = decode_payload(&Bytes::copy_from_slice(bytes), Sequence(0)) {
        let lengths = |record: &cairn_eventlog::LogRecord| {
            let record = &record.record;
            13 + record.header.len() + record.context.len() + record.body.len()
        };
        assert_eq!(records.iter().map(lengths).sum::<usize>(), bytes.len());
    }
    open_and_read(bytes);
    let repaired = repaired(bytes);
    if repaired != bytes {
        open_and_read(&repaired);
    }
});

fn open_and_read(bytes: &[u8]) {
    let disk = SimDisk::new(1);
    let path = Path::new(LOG_FOLDER).join(NAME);
    disk.create_dir_all(Path::new(LOG_FOLDER))
        .expect("an empty disk");
    disk.plant(&path, bytes);
    let file = disk.open(&path).expect("it was planted");
    inspect_segment(file.as_ref(), NAME).expect("the disk works");
    read_log(disk);
}

/// The same blocks with the checksums that their contents should have, as `docs/formats/event-log.md` draws
/// them. The salt is that of the file's name.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES: usize = 4096;
    const TRAILER_BYTES: usize = 128;
    let mut bytes = bytes.to_vec();
    let salt = [0_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat();
    for start in (0..bytes.len()).step_by(BLOCK_BYTES) {
        let rest = &mut bytes[start..];
        if rest.len() < 64 {
            break;
        }
        match rest[0] {
            0xf7 => seal(&[], &mut rest[..64]),
            0xf8 => {
                let length = u32::from_le_bytes([rest[36], rest[37], rest[38], rest[39]]);
                if let Some(payload) = rest.get(64..64_usize.saturating_add(length as usize)) {
                    let crc = crc32c::crc32c(payload).to_le_bytes();
                    rest[48..52].copy_from_slice(&crc);
                }
                seal(&salt, &mut rest[..64]);
            }
            _ => {}
        }
    }
    if let Some(trailer) = bytes
        .len()
        .checked_sub(TRAILER_BYTES)
        .filter(|at| *at >= 64)
    {
        let table =
            u64::from_le_bytes(bytes[trailer + 16..trailer + 24].try_into().expect("eight"));
        let entries =
            u64::from_le_bytes(bytes[trailer + 24..trailer + 32].try_into().expect("eight"));
        let start = usize::try_from(table).unwrap_or(usize::MAX);
        let length = usize::try_from(entries.saturating_mul(32)).unwrap_or(usize::MAX);
        if bytes[trailer] == 0xf9
            && let Some(table) = bytes.get(start..start.saturating_add(length))
        {
            let hash = cairn_access::sigv4::sha256_hex(&[&bytes[..64], table].concat());
            for (at, digits) in hash.as_bytes().chunks(2).enumerate() {
                let digits = std::str::from_utf8(digits).expect("hexadecimal digits");
                bytes[trailer + 40 + at] = u8::from_str_radix(digits, 16).expect("two of them");
            }
            seal(&salt, &mut bytes[trailer..]);
        }
    }
    bytes
}

/// Bytes 12 to 16 hold the checksum of the salt and of all the others.
fn seal(salt: &[u8], structure: &mut [u8]) {
    let mut crc = crc32c::crc32c(salt);
    crc = crc32c::crc32c_append(crc, &structure[..12]);
    crc = crc32c::crc32c_append(crc, &structure[16..]);
    structure[12..16].copy_from_slice(&crc.to_le_bytes());
}
