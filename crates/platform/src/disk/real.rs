//! The operating system's files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt as _, FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, DiskError, DiskFile, DiskLock};

/// Most slices that one `pwritev` takes (Linux's IOV_MAX).
const SLICES_PER_WRITE_MAX: usize = 1024;

/// The log holds audit records: only its owner may read them, whatever the umask and the folder above.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The operating system's file system.
    pub fn new() -> Self {
        Self
    }
}

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(PRIVATE_FILE)
            .open(path)
            .map_err(|error| failure("create", path, &error))?;
        Ok(Box::new(RealFile {
            file,
            path: path.to_owned(),
        }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| failure("open", path, &error))?;
        Ok(Box::new(RealFile {
            file,
            path: path.to_owned(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.is_dir()).collect();
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(PRIVATE_FOLDER);
        builder
            .create(path)
            .map_err(|error| failure("create directory", path, &error))?;
        // A directory's name is an entry of its parent, which needs its own sync.
        for created in missing {
            if let Some(parent) = created.parent() {
                let parent = if parent.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    parent
                };
                self.sync_dir(parent)?;
            }
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failure("directory sync", path, &error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        std::fs::rename(from, to).map_err(|error| failure("rename", from, &error))
    }

    fn unlink(&self, path: &Path) -> Result<(), DiskError> {
        std::fs::remove_file(path).map_err(|error| failure("unlink", path, &error))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| failure("list", path, &error))? {
            let entry = entry.map_err(|error| failure("list", path, &error))?;
            let kind = entry
                .file_type()
                .map_err(|error| failure("list", path, &error))?;
            if kind.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError> {
        let stat = rustix::fs::statvfs(path)
            .map_err(|error| failure("free space query", path, &error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_FILE)
            .open(path)
            .map_err(|error| failure("open", path, &error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DiskError::Locked {
                path: path.to_owned(),
            }),
            Err(error) => Err(failure("lock", path, &error.into())),
        }
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure("read", &self.path, &error)),
                Ok(read) => return Ok(read),
            }
        }
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> Result<usize, DiskError> {
        let slices = &slices[..slices.len().min(SLICES_PER_WRITE_MAX)];
        let written = rustix::io::retry_on_intr(|| rustix::io::pwritev(&self.file, slices, offset))
            .map_err(|error| failure("write", &self.path, &error.into()))?;
        if written == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            // A disk that takes nothing and gives no reason must not be asked for ever.
            return Err(failure(
                "write",
                &self.path,
                &io::ErrorKind::WriteZero.into(),
            ));
        }
        Ok(written)
    }

    fn preallocate(&self, length: u64) -> Result<(), DiskError> {
        // tmpfs, FUSE and NFS answer a signal with EINTR.
        let reserved = rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length)
        });
        match reserved {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(failure("preallocate", &self.path, &error.into())),
        }
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        self.file
            .set_len(length)
            .map_err(|error| failure("truncate", &self.path, &error))
    }

    fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata();
        Ok(metadata
            .map_err(|error| failure("length query", &self.path, &error))?
            .len())
    }

    fn fdatasync(&self) -> Result<(), DiskError> {
        self.file
            .sync_data()
            .map_err(|error| failure("fdatasync", &self.path, &error))
    }
}

// `flock` belongs to the open file: closing it releases the lock.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl DiskLock for RealLock {}

fn failure(operation: &'static str, path: &Path, error: &io::Error) -> DiskError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => DiskError::NotFound { path },
        io::ErrorKind::AlreadyExists => DiskError::AlreadyExists { path },
        // A sync that reports lack of space has lost what it was to write: a failure like any other.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            if !matches!(operation, "fdatasync" | "directory sync") =>
        {
            DiskError::NoSpace { path }
        }
        _ => DiskError::Failed {
            operation,
            path,
            reason: error.to_string(),
        },
    }
}
