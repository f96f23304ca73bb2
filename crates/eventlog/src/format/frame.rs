//! A frame: what one group commit writes and one `fdatasync` makes durable.
//!
//! ```text
//!  0  8  magic F8 "CAIRNFR"
//!  8  4  format version
//! 12  4  CRC32C of the segment's salt, bytes 0..12 and 16..64
//! 16  8  offset of the frame in the file
//! 24  8  sequence of the first record
//! 32  4  number of records
//! 36  4  payload length
//! 40  8  accepted, milliseconds since the epoch
//! 48  4  CRC32C of the payload
//! 52 12  zero
//! 64  n  payload: records; then zeros up to a multiple of 4096
//! ```
//!
//! The header fits one sector, so it is on the disk or it is not: a valid header proves that every frame
//! before it was durable, because the writer has one frame under way at a time (R4).

use super::{
    FORMAT_VERSION, PAYLOAD_BYTES_MAX, SegmentIdentity, align, checksum_around, get_u32, get_u64,
    put,
};

const MAGIC: [u8; 8] = *b"\xF8CAIRNFR";
pub(crate) const FRAME_HEADER_BYTES: usize = 64;

const _: () = assert!(FRAME_HEADER_BYTES <= 512, "a frame header fits one sector");

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) entry: FrameEntry,
    pub(crate) accepted_ms: i64,
}

/// Where a frame is and what it holds: what the table of a seal lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameEntry {
    pub(crate) offset: u64,
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
}

impl FrameEntry {
    /// The sequence after the frame's last record.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The offset after the frame's padding.
    pub(crate) fn end_offset(&self) -> u64 {
        self.offset + align(FRAME_HEADER_BYTES as u64 + u64::from(self.payload_bytes))
    }
}

impl FrameHeader {
    pub(crate) fn encode(&self, segment: SegmentIdentity) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.entry.offset.to_le_bytes());
        put(&mut bytes, 24, &self.entry.first.to_le_bytes());
        put(&mut bytes, 32, &self.entry.count.to_le_bytes());
        put(&mut bytes, 36, &self.entry.payload_bytes.to_le_bytes());
        put(&mut bytes, 40, &self.accepted_ms.to_le_bytes());
        put(&mut bytes, 48, &self.entry.payload_crc.to_le_bytes());
        let crc = checksum_around(&segment.salt(), &bytes);
        put(&mut bytes, 12, &crc.to_le_bytes());
        bytes
    }

    /// The header that stands at `offset` of `segment`, if one does.
    pub(crate) fn decode(bytes: &[u8], segment: SegmentIdentity, offset: u64) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        if bytes[..8] != MAGIC || get_u32(bytes, 12) != checksum_around(&segment.salt(), bytes) {
            return None;
        }
        let entry = FrameEntry {
            offset: get_u64(bytes, 16),
            first: get_u64(bytes, 24),
            count: get_u32(bytes, 32),
            payload_bytes: get_u32(bytes, 36),
            payload_crc: get_u32(bytes, 48),
        };
        let fits = get_u32(bytes, 8) == FORMAT_VERSION
            && entry.offset == offset
            && entry.first >= segment.first
            && entry.first.checked_add(u64::from(entry.count)).is_some()
            && entry.count > 0
            && entry.payload_bytes <= PAYLOAD_BYTES_MAX;
        let accepted_ms = i64::from_le_bytes(get_u64(bytes, 40).to_le_bytes());
        fits.then_some(Self { entry, accepted_ms })
    }
}
