//! Files as a durable log needs them: what is synced stays, what is not may vanish. The only place that
//! opens files for the event log. `RealDisk` is the operating system's; `SimDisk` loses power, lies and
//! fills up when a test says so.

mod direct;
mod real;
mod sim;

use std::fmt;
use std::io::IoSlice;
use std::path::{Path, PathBuf};

pub use real::RealDisk;
pub use sim::{SimDisk, SimFaults, SimSyncs};

/// A file system seen through one process.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file that must not exist yet. Its name survives a power loss only after `sync_dir`.
    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Creates a directory and its parents if they are missing, durably.
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError>;

    /// Makes the directory's names durable: files created, renamed and unlinked in it.
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError>;

    /// Gives a file another name, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file's name.
    fn unlink(&self, path: &Path) -> Result<(), DiskError>;

    /// The names of the files in a directory, sorted; directories in it are left out.
    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError>;

    /// Bytes that this process may still write to the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError>;

    /// Takes the exclusive lock on the file `path`, creating it if need be, without waiting. The lock
    /// is held until the value is dropped or the process ends (R7).
    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError>;
}

/// An open file. Offsets are always given: there is no cursor to share.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes some of the slices' bytes at `offset` and tells how many. May be short.
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> Result<usize, DiskError>;

    /// Reserves room up to `length` and makes the file that long, so that later writes below it neither
    /// run out of space nor change the length. A file system that cannot do this does nothing.
    fn preallocate(&self, length: u64) -> Result<(), DiskError>;

    /// Sets the length, cutting off or adding zeros.
    fn set_len(&self, length: u64) -> Result<(), DiskError>;

    /// The file's length.
    fn len(&self) -> Result<u64, DiskError>;

    /// Makes everything written so far, and the length, survive a power loss. After an error nobody
    /// knows what survives, and a second call proves nothing (TESTING 1.4): never retry (R2).
    fn fdatasync(&self) -> Result<(), DiskError>;

    /// True if the file holds no bytes.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset`; `Ok(n)` with `n < buffer.len()` only at the end of the file.
    fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.read_at(&mut buffer[filled..], offset + filled as u64)?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(filled)
    }

    /// Writes all the slices' bytes at `offset`. After an error some of them may be in the file.
    fn write_all_vectored_at(
        &self,
        slices: &mut [IoSlice<'_>],
        offset: u64,
    ) -> Result<(), DiskError> {
        write_rest(self, slices, offset)
    }

    /// Writes all of `bytes` at `offset`. After an error some of them may be in the file.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.write_all_vectored_at(&mut [IoSlice::new(bytes)], offset)
    }
}

/// Writes until nothing is left.
fn write_rest<F: DiskFile + ?Sized>(
    file: &F,
    slices: &mut [IoSlice<'_>],
    offset: u64,
) -> Result<(), DiskError> {
    let mut rest = slices;
    let mut at = offset;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let written = file.write_vectored_at(rest, at)?;
        IoSlice::advance_slices(&mut rest, written);
        at += written as u64;
    }
    Ok(())
}

/// A held lock; dropping it releases it.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// What a disk may answer instead of doing what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// There is no room. Some bytes of the call may have been written.
    #[error("no space left on the disk that holds {}", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// The file does not exist.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file exists and should not.
    #[error("{} exists already", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// Another holder has the lock.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("{operation} of {} failed: {reason}", path.display())]
    Failed {
        /// What was asked, such as `fdatasync`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        reason: String,
    },
}

impl DiskError {
    /// True if the same call may succeed later without anybody mending the disk.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::Locked { .. })
    }
}
