//! Writes past the page cache, for a file that is written once and seldom read back: the log's frames.
//! Copying them into fresh pages costs more than everything else that the log does with them.
//!
//! Durability is what it was: the blocks are on the disk's side when a write returns, and survive a
//! power loss after `fdatasync`. Readers of the same file through the page cache see what was written.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use rustix::fs::OFlags;

/// Offset, length and memory of a direct write are multiples of this; enough for every disk.
const BLOCK_BYTES: usize = 4096;
/// Bytes gathered for one write: they stay in the processor's cache until the disk has taken them.
const BUFFER_BYTES: usize = 1 << 20;

const _: () = assert!(BUFFER_BYTES.is_multiple_of(BLOCK_BYTES));

/// A second descriptor of a file, which bypasses the page cache.
#[derive(Debug)]
pub(super) struct DirectWriter {
    file: File,
    // Held for one write; a log file has one writer anyway.
    buffer: Mutex<Vec<u8>>,
}

impl DirectWriter {
    /// Opens a file that was created under this path just now. None if the file system does not offer
    /// it: then the page cache does.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let flags = i32::try_from(OFlags::DIRECT.bits()).ok()?;
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path)
            .ok()?;
        Some(Self {
            file,
            buffer: Mutex::default(),
        })
    }

    /// True if the bytes are whole blocks in their right place.
    pub(super) fn takes(slices: &[IoSlice<'_>], offset: u64) -> bool {
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        bytes.is_multiple_of(BLOCK_BYTES) && offset.is_multiple_of(BLOCK_BYTES as u64)
    }

    /// Writes the slices from the first on, and tells how many bytes: fewer than all if the file system
    /// would not take more this way. Callers must write the rest through the page cache.
    pub(super) fn write(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut buffer = self.buffer.lock().expect("no holder of this lock panics");
        if buffer.is_empty() {
            buffer.resize(BUFFER_BYTES + BLOCK_BYTES, 0);
        }
        let start = buffer.as_ptr().align_offset(BLOCK_BYTES);
        let Some(room) = buffer
            .get_mut(start..)
            .and_then(|b| b.get_mut(..BUFFER_BYTES))
        else {
            return Ok(0);
        };
        let (mut written, mut filled) = (0, 0);
        for slice in slices {
            let mut rest: &[u8] = slice;
            while !rest.is_empty() {
                let step = rest.len().min(BUFFER_BYTES - filled);
                let (now, later) = rest.split_at(step);
                room[filled..filled + step].copy_from_slice(now);
                filled += step;
                rest = later;
                if filled == BUFFER_BYTES {
                    let count = self.write_blocks(room, offset + written as u64)?;
                    written += count;
                    if count < filled {
                        return Ok(written);
                    }
                    filled = 0;
                }
            }
        }
        if filled > 0 {
            written += self.write_blocks(&room[..filled], offset + written as u64)?;
        }
        Ok(written)
    }

    fn write_blocks(&self, blocks: &[u8], offset: u64) -> io::Result<usize> {
        match rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.file, blocks, offset)) {
            // The file system opened the file so but does not write so.
            Err(rustix::io::Errno::INVAL) => Ok(0),
            done => Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn pattern(bytes: usize) -> Vec<u8> {
        (0_u8..=250).cycle().take(bytes).collect()
    }

    #[test]
    fn blocks_from_many_slices_come_out_as_they_went_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let file = File::create_new(&path).expect("a new file");
        file.set_len(16 << 20).expect("a length");
        let Some(writer) = DirectWriter::open(&path) else {
            return;
        };
        let bytes = pattern(3 * BUFFER_BYTES + 5 * BLOCK_BYTES);
        let (first, rest) = bytes.split_at(777);
        let (second, third) = rest.split_at(2 * BUFFER_BYTES + 1);
        let slices = [
            IoSlice::new(first),
            IoSlice::new(second),
            IoSlice::new(third),
        ];
        assert!(DirectWriter::takes(&slices, 8192));
        let written = writer.write(&slices, 8192).expect("room");
        let file = File::open(&path).expect("it exists");
        let mut read = vec![0; written];
        file.read_exact_at(&mut read, 8192).expect("the bytes");
        assert_eq!(read, bytes[..written]);
        // A file system that refuses direct writes leaves all to the page cache.
        assert!(written == bytes.len() || written == 0, "{written}");
    }

    #[test]
    fn parts_of_blocks_are_not_taken() {
        let block = pattern(BLOCK_BYTES);
        let whole = [IoSlice::new(&block)];
        assert!(DirectWriter::takes(&whole, 4096));
        assert!(!DirectWriter::takes(&whole, 4097));
        assert!(!DirectWriter::takes(&[IoSlice::new(&block[1..])], 4096));
    }
}
