//! Reads a segment file frame by frame without trusting it: for recovery, for segments whose seal is
//! damaged, and for scrubbing. Streams through a bounded buffer and tells what is valid, what is
//! damaged and where the valid part ends; what to make of it is the caller's decision.

use cairn_platform::{DiskError, DiskFile};

use crate::format::{
    BLOCK_BYTES, FRAME_HEADER_BYTES, FrameEntry, FrameHeader, HeaderVerdict, SegmentHeader,
    SegmentIdentity,
};
use crate::sabotage::Planted;

const WINDOW_BYTES: usize = 1 << 20;

/// What a segment file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The first block's verdict.
    pub(crate) header: HeaderVerdict,
    /// The frames whose header and payload are valid, in order.
    pub(crate) frames: Vec<FrameHeader>,
    /// Frames whose header is valid and whose payload is not. One that no valid frame follows may be
    /// torn; all others were acknowledged.
    pub(crate) bad: Vec<FrameEntry>,
    /// The sequence after the last valid frame; the segment's first if there is none.
    pub(crate) end: u64,
    /// The offset after the last valid frame.
    pub(crate) end_offset: u64,
}

/// A run of records that a scanned segment should hold and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) offset: u64,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Scan {
    /// The gaps before the last valid frame. A later frame exists, so each of them was acknowledged (R4).
    pub(crate) fn gaps(&self, identity: SegmentIdentity) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut expected = identity.first;
        let mut offset = BLOCK_BYTES;
        for frame in &self.frames {
            if frame.entry.first > expected {
                gaps.push(Gap {
                    offset,
                    first: expected,
                    end: frame.entry.first,
                });
            }
            expected = frame.entry.end();
            offset = frame.entry.end_offset();
        }
        gaps
    }
}

/// Scans the file that is named for `identity`. Only the disk's refusal to read is an error.
pub(crate) fn scan_segment(
    file: &dyn DiskFile,
    identity: SegmentIdentity,
    planted: Planted,
) -> Result<Scan, DiskError> {
    let mut window = Window {
        file,
        length: file.len()?,
        start: 0,
        bytes: Vec::new(),
    };
    let header = SegmentHeader::judge(window.get(0, SegmentHeader::BYTES)?, identity);
    let mut scan = Scan {
        header,
        frames: Vec::new(),
        bad: Vec::new(),
        end: identity.first,
        end_offset: BLOCK_BYTES,
    };
    let mut offset = BLOCK_BYTES;
    while offset < window.length {
        let found = FrameHeader::decode(window.get(offset, FRAME_HEADER_BYTES)?, identity, offset);
        // A frame of the right segment and offset that goes back in sequence was written by nobody.
        let Some(frame) = found.filter(|frame| frame.entry.first >= scan.end) else {
            offset += BLOCK_BYTES;
            continue;
        };
        if planted.crc_unchecked() || payload_is_valid(&mut window, &frame.entry)? {
            scan.end = frame.entry.end();
            scan.end_offset = frame.entry.end_offset();
            offset = scan.end_offset;
            scan.frames.push(frame);
        } else {
            scan.bad.push(frame.entry);
            // Not past the length that it claims: what follows may be valid.
            offset += BLOCK_BYTES;
        }
    }
    Ok(scan)
}

fn payload_is_valid(window: &mut Window<'_>, entry: &FrameEntry) -> Result<bool, DiskError> {
    let mut offset = entry.offset + FRAME_HEADER_BYTES as u64;
    let mut left = entry.payload_bytes as usize;
    let mut crc = 0;
    while left > 0 {
        let piece = window.get(offset, left.min(WINDOW_BYTES / 2))?;
        if piece.is_empty() {
            return Ok(false);
        }
        crc = crc32c::crc32c_append(crc, piece);
        offset += piece.len() as u64;
        left -= piece.len();
    }
    Ok(crc == entry.payload_crc)
}

// A view of the file that reads ahead, so that walking it block by block costs few calls.
#[derive(Debug)]
struct Window<'a> {
    file: &'a dyn DiskFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    // The bytes at `offset`, fewer than `length` only at the end of the file.
    fn get(&mut self, offset: u64, length: usize) -> Result<&[u8], DiskError> {
        let wanted = (self.length.saturating_sub(offset)).min(length as u64);
        let wanted = usize::try_from(wanted).expect("no longer than the length asked for");
        let held = self.start..self.start + self.bytes.len() as u64;
        if offset < held.start || offset + wanted as u64 > held.end {
            self.bytes.resize(WINDOW_BYTES, 0);
            let read = self.file.read_full_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).expect("the window is small");
        Ok(&self.bytes[from.min(self.bytes.len())..(from + wanted).min(self.bytes.len())])
    }
}
