//! Files of objects' bodies: whatever lies in one, its header is read or refused, and no chunk opens that the
//! key did not make.
#![no_main]

use cairn_bucket::fuzzing::read_body;
use libfuzzer_sys::fuzz_target;

// A bit of the last byte says that the checksum of the header is to be made right.
fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    if bytes.len() > 1024 && bytes[bytes.len() - 1] & 1 == 1 {
        let crc = crc32c::crc32c(&bytes[..1020]).to_le_bytes();
        bytes[1020..1024].copy_from_slice(&crc);
    }
    assert_eq!(read_body(&bytes), 0, "nobody has the key");
});
