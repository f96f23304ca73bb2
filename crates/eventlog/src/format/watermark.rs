//! The acknowledged watermark: a second witness of how far the log reached, in two slots of one block each
//! that are written in turn, so that a torn write leaves the other.
//!
//! ```text
//!  0  8  magic FA "CAIRNWM"
//!  8  4  format version
//! 12  4  CRC32C of bytes 0..12 and 16..64
//! 16  8  sequence after the last acknowledged record
//! 24  8  sequence after the last record of the newest segment whose seal is durable
//! 32 32  zero
//! ```

use super::{FORMAT_VERSION, checksum_around, get_u32, get_u64, put};

const MAGIC: [u8; 8] = *b"\xFACAIRNWM";
const BYTES: usize = 64;

/// One slot of the watermark file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watermark {
    /// The sequence after the last acknowledged record.
    pub(crate) end: u64,
    /// The sequence after the last record of the newest segment whose seal is durable.
    pub(crate) sealed_end: u64,
}

impl Watermark {
    pub(crate) const BYTES: usize = BYTES;

    pub(crate) fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.end.to_le_bytes());
        put(&mut bytes, 24, &self.sealed_end.to_le_bytes());
        let crc = checksum_around(&[], &bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..BYTES)?;
        let valid = bytes[..8] == MAGIC
            && get_u32(bytes, 8) == FORMAT_VERSION
            && get_u32(bytes, 12) == checksum_around(&[], bytes);
        valid.then(|| Self {
            end: get_u64(bytes, 16),
            sealed_end: get_u64(bytes, 24),
        })
    }
}
