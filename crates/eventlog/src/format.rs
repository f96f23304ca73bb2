//! The bytes of the log's files, drawn in docs/formats/event-log.md. Encoding and decoding only: nothing
//! here touches a file. All integers are little-endian. The magics start with bytes that no UTF-8 text
//! holds, so no event can contain one.

mod frame;
mod record;
mod seal;
mod segment;
mod watermark;

pub(crate) use frame::{FRAME_HEADER_BYTES, FrameEntry, FrameHeader};
pub(crate) use record::{RecordSelection, decode_records, encode_records, encoded_bytes};
pub(crate) use seal::{Seal, TRAILER_BYTES};
pub(crate) use segment::{HeaderVerdict, SegmentHeader, SegmentIdentity};
pub(crate) use watermark::Watermark;

/// Frames, the table of a seal and the file itself are multiples of this, so that a block that holds
/// acknowledged bytes is never written again (R3).
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// The version of all the formats below.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Most payload bytes that a frame may claim: what a reader is prepared to hold.
pub(crate) const PAYLOAD_BYTES_MAX: u32 = 128 << 20;

/// The next multiple of the block size.
pub(crate) fn align(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

// Fixed-width fields of a buffer whose length the caller has checked.
fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    buffer[at..at + bytes.len()].copy_from_slice(bytes);
}

fn get_u32(buffer: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(
        buffer[at..at + 4]
            .try_into()
            .expect("four bytes were sliced"),
    )
}

fn get_u64(buffer: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(
        buffer[at..at + 8]
            .try_into()
            .expect("eight bytes were sliced"),
    )
}

// CRC32C of a structure whose own checksum stands at [12, 16), preceded by what it belongs to.
fn checksum_around(owner: &[u8], bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(owner), &bytes[..12]);
    crc32c::crc32c_append(crc, &bytes[16..])
}

#[cfg(test)]
mod tests;
