//! The end of a sealed segment: a table of its frames, and a trailer in the file's last bytes (R6).
//!
//! ```text
//! table, from the end of the last frame, one entry of 32 bytes per frame:
//!  0  8  offset     8  8  first sequence    16  4  number of records
//! 20  4  payload length    24  4  CRC32C of the payload    28  4  zero
//! zeros, so that the file's length is a multiple of 4096; then the trailer:
//!  0  8  magic F9 "CAIRNSL"
//!  8  4  format version
//! 12  4  CRC32C of the segment's salt, bytes 0..12 and 16..128
//! 16  8  offset of the table      24  8  number of entries
//! 32  8  sequence after the last record
//! 40 32  SHA-256 of the segment's first 64 bytes and the table
//! 72 56  zero
//! ```

use aws_lc_rs::digest;

use super::{
    FORMAT_VERSION, FrameEntry, SegmentHeader, SegmentIdentity, align, checksum_around, get_u32,
    get_u64, put,
};

const MAGIC: [u8; 8] = *b"\xF9CAIRNSL";
const ENTRY_BYTES: usize = 32;
pub(crate) const TRAILER_BYTES: usize = 128;

/// A segment's seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The sequence after the last record.
    pub(crate) end: u64,
    /// Where the frames end and the table begins.
    pub(crate) table_offset: u64,
    /// How many frames the table lists.
    pub(crate) frames: u64,
    /// SHA-256 of the segment's header and the table.
    sha256: [u8; 32],
}

impl Seal {
    /// Table, padding and trailer: what is written at `table_offset` and ends the file.
    pub(crate) fn encode(
        header: &SegmentHeader,
        frames: &[FrameEntry],
        table_offset: u64,
        end: u64,
    ) -> Vec<u8> {
        let mut bytes = encode_table(frames);
        let sha256 = content_hash(&header.encode(), &bytes);
        let total = align((bytes.len() + TRAILER_BYTES) as u64);
        bytes.resize(usize::try_from(total).expect("a table fits into memory"), 0);
        let start = bytes.len() - TRAILER_BYTES;
        let trailer = &mut bytes[start..];
        put(trailer, 0, &MAGIC);
        put(trailer, 8, &FORMAT_VERSION.to_le_bytes());
        put(trailer, 16, &table_offset.to_le_bytes());
        put(trailer, 24, &(frames.len() as u64).to_le_bytes());
        put(trailer, 32, &end.to_le_bytes());
        put(trailer, 40, &sha256);
        let crc = checksum_around(&header.identity.salt(), trailer);
        put(trailer, 12, &crc.to_le_bytes());
        bytes
    }

    /// The seal that the last bytes of a file of `file_bytes` state, if they do.
    pub(crate) fn decode(
        trailer: &[u8],
        segment: SegmentIdentity,
        file_bytes: u64,
    ) -> Option<Self> {
        if trailer.len() != TRAILER_BYTES || trailer[..8] != MAGIC {
            return None;
        }
        if get_u32(trailer, 12) != checksum_around(&segment.salt(), trailer)
            || get_u32(trailer, 8) != FORMAT_VERSION
        {
            return None;
        }
        let seal = Self {
            table_offset: get_u64(trailer, 16),
            frames: get_u64(trailer, 24),
            end: get_u64(trailer, 32),
            sha256: trailer[40..72].try_into().expect("32 bytes were sliced"),
        };
        let length = seal
            .table_offset
            .checked_add(align(seal.table_bytes()? + TRAILER_BYTES as u64));
        (length == Some(file_bytes) && seal.end >= segment.first).then_some(seal)
    }

    /// Length of the table; `None` if no file can hold it.
    pub(crate) fn table_bytes(&self) -> Option<u64> {
        let bytes = self.frames.checked_mul(ENTRY_BYTES as u64)?;
        (bytes < 1 << 40).then_some(bytes)
    }

    /// The frames that the table lists, if header and table are those that were sealed.
    pub(crate) fn decode_table(&self, header: &[u8], table: &[u8]) -> Option<Vec<FrameEntry>> {
        if header.len() != SegmentHeader::BYTES || content_hash(header, table) != self.sha256 {
            return None;
        }
        Some(
            table
                .chunks_exact(ENTRY_BYTES)
                .map(|entry| FrameEntry {
                    offset: get_u64(entry, 0),
                    first: get_u64(entry, 8),
                    count: get_u32(entry, 16),
                    payload_bytes: get_u32(entry, 20),
                    payload_crc: get_u32(entry, 24),
                })
                .collect(),
        )
    }
}

fn encode_table(frames: &[FrameEntry]) -> Vec<u8> {
    let mut table = vec![0; frames.len() * ENTRY_BYTES];
    for (entry, frame) in table.chunks_exact_mut(ENTRY_BYTES).zip(frames) {
        put(entry, 0, &frame.offset.to_le_bytes());
        put(entry, 8, &frame.first.to_le_bytes());
        put(entry, 16, &frame.count.to_le_bytes());
        put(entry, 20, &frame.payload_bytes.to_le_bytes());
        put(entry, 24, &frame.payload_crc.to_le_bytes());
    }
    table
}

fn content_hash(header: &[u8], table: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(header);
    context.update(table);
    context
        .finish()
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}
