//! Checksums of stored objects (C5). The name of an object carries the CRC32C of what it holds, and every
//! name but the newest stands in another object, so that from the catalog's pointer down nothing is
//! believed unseen. Of a data file, which is read in parts, the name covers the tail: the footer, and
//! before it the CRC32C of each block of the bytes in front.
//!
//! ```text
//! bytes of the Parquet file | CRC32C of each block, u32 LE | covered bytes, u64 LE | block bytes, u32 LE
//!                           | "CSM1" | Parquet's footer, its length, "PAR1"
//! ```
//!
//! Parquet's readers find the footer from the end and everything else by offsets, so they do not notice.
//! Files of earlier builds have no such names; of them, only the rows' own checksums are compared.

use std::ops::Range;

use bytes::Bytes;

use crate::error::LakeError;
use crate::names;

/// Bytes that one checksum covers: what is read at the least.
const BLOCK_BYTES: usize = 16 * 1024;
const MAGIC: &[u8; 4] = b"CSM1";
/// Covered bytes, block bytes, magic.
const TRAILER_BYTES: usize = 16;
/// The footer's length and Parquet's magic.
const END_BYTES: usize = 8;

/// The checksums of a data file's blocks, and its tail.
#[derive(Debug)]
pub(crate) struct BlockSums {
    key: String,
    covered: u64,
    sums: Vec<u32>,
    tail: Bytes,
}

/// Puts the blocks' checksums before the footer of a finished Parquet file. Returns the checksum of the
/// tail, which belongs into the file's name.
pub(crate) fn seal(file: &mut Vec<u8>) -> Result<u32, LakeError> {
    let footer_at = footer_start(file).ok_or_else(|| LakeError::Rows {
        doing: "sealing a data file",
        reason: "it has no footer".to_owned(),
    })?;
    let blocks = file[..footer_at].chunks(BLOCK_BYTES);
    let mut sums: Vec<u8> = blocks
        .flat_map(|block| crc32c::crc32c(block).to_le_bytes())
        .collect();
    sums.extend_from_slice(&(footer_at as u64).to_le_bytes());
    sums.extend_from_slice(&BLOCK_BYTES_LE);
    sums.extend_from_slice(MAGIC);
    file.splice(footer_at..footer_at, sums);
    Ok(crc32c::crc32c(&file[footer_at..]))
}

const BLOCK_BYTES_LE: [u8; 4] = 16_384_u32.to_le_bytes();
const _: () = assert!(BLOCK_BYTES == 16_384, "the two spell one number");

/// Where the footer of a Parquet file, or of its end, begins.
fn footer_start(file: &[u8]) -> Option<usize> {
    let end_at = file.len().checked_sub(END_BYTES)?;
    let length = u32::from_le_bytes(file.get(end_at..end_at + 4)?.try_into().ok()?);
    end_at.checked_sub(usize::try_from(length).ok()?)
}

/// Compares a whole object with the checksum in its name, if it has one. Not for data files, which are
/// read in parts.
pub(crate) fn verify(key: &str, bytes: &Bytes) -> Result<(), LakeError> {
    debug_assert!(!key.ends_with(names::DATA_SUFFIX), "{key} is read in parts");
    match names::stamped_checksum(key) {
        Some(checksum) if crc32c::crc32c(bytes) != checksum => Err(mismatch(key)),
        Some(_) | None => Ok(()),
    }
}

impl BlockSums {
    /// Reads the tail of a data file of `length` bytes and compares it with the checksum in its name.
    pub(crate) fn read(
        key: &str,
        checksum: u32,
        length: u64,
        read: impl Fn(Range<u64>) -> Result<Bytes, LakeError>,
    ) -> Result<Self, LakeError> {
        let damaged = || mismatch(key);
        let ends = (END_BYTES + TRAILER_BYTES) as u64;
        let end_at = length.checked_sub(END_BYTES as u64).ok_or_else(damaged)?;
        let end = read(end_at..length)?;
        let footer = u32::from_le_bytes(end[..4].try_into().map_err(|_| damaged())?);
        let known = ends.saturating_add(u64::from(footer));
        let trailer_at = length.checked_sub(known).ok_or_else(damaged)?;
        let trailer = read(trailer_at..trailer_at + TRAILER_BYTES as u64)?;
        let covered = u64::from_le_bytes(trailer[..8].try_into().map_err(|_| damaged())?);
        if covered > trailer_at || trailer[8..12] != BLOCK_BYTES_LE || trailer[12..] != MAGIC[..] {
            return Err(damaged());
        }
        let sums_end = usize::try_from(trailer_at - covered).map_err(|_| damaged())?;
        let blocks =
            usize::try_from(covered.div_ceil(BLOCK_BYTES as u64)).map_err(|_| damaged())?;
        // Known before the tail is read: a damaged number must not make it the whole file.
        if blocks.checked_mul(4) != Some(sums_end) {
            return Err(damaged());
        }
        let tail = read(covered..length)?;
        if crc32c::crc32c(&tail) != checksum {
            return Err(damaged());
        }
        let sums = tail[..sums_end].chunks_exact(4);
        let sums = sums.map(|sum| u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]]));
        Ok(Self {
            key: key.to_owned(),
            covered,
            sums: sums.collect(),
            tail,
        })
    }

    /// The bytes of a range, read by whole blocks and compared with their checksums.
    pub(crate) fn fetch(
        &self,
        range: &Range<u64>,
        read: impl Fn(Range<u64>) -> Result<Bytes, LakeError>,
    ) -> Result<Bytes, LakeError> {
        let damaged = || mismatch(&self.key);
        if range.start >= self.covered {
            let in_tail = range.start - self.covered..range.end.saturating_sub(self.covered);
            let in_tail = bounds(&in_tail).filter(|in_tail| in_tail.end <= self.tail.len());
            return Ok(self.tail.slice(in_tail.ok_or_else(damaged)?));
        }
        if range.end > self.covered || range.end < range.start {
            return Err(damaged());
        }
        let block = BLOCK_BYTES as u64;
        let first = range.start / block;
        let aligned = first * block..range.end.next_multiple_of(block).min(self.covered);
        let start = aligned.start;
        let bytes = read(aligned)?;
        self.check(usize::try_from(first).map_err(|_| damaged())?, &bytes)?;
        let within = bounds(&(range.start - start..range.end - start));
        let within = within.filter(|within| within.end <= bytes.len());
        Ok(bytes.slice(within.ok_or_else(damaged)?))
    }

    /// Bytes before the tail, which the blocks' checksums cover.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Bytes that this takes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.tail.len() + self.sums.len() * size_of::<u32>()
    }

    /// Compares whole blocks with their checksums.
    fn check(&self, first: usize, bytes: &Bytes) -> Result<(), LakeError> {
        let mut sums = self.sums.iter().skip(first);
        for block in bytes.chunks(BLOCK_BYTES) {
            if sums.next() != Some(&crc32c::crc32c(block)) {
                return Err(mismatch(&self.key));
            }
        }
        Ok(())
    }
}

fn bounds(range: &Range<u64>) -> Option<Range<usize>> {
    let (start, end) = (range.start, range.end);
    let bounds = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    (bounds.start <= bounds.end).then_some(bounds)
}

pub(crate) fn mismatch(key: &str) -> LakeError {
    LakeError::Damaged {
        key: key.to_owned(),
        reason: "the bytes do not match their checksum".to_owned(),
    }
}
