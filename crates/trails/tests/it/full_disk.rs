//! A disk that makes no names durable while a test says so: the last step of a cut fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_platform::{Disk, DiskError, DiskFile, DiskLock, RealDisk};

/// The real disk, which refuses one thing.
#[derive(Clone, Debug)]
pub(crate) struct FullDisk {
    real: Arc<RealDisk>,
    is_full: Arc<AtomicBool>,
}

impl FullDisk {
    pub(crate) fn new() -> Self {
        Self {
            real: Arc::new(RealDisk::new()),
            is_full: Arc::default(),
        }
    }

    pub(crate) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Release);
    }
}

impl Disk for FullDisk {
    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.real.create_new(path)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.real.open(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.real.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        if self.is_full.load(Ordering::Acquire) {
            let path = path.to_owned();
            return Err(DiskError::NoSpace { path });
        }
        self.real.sync_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.real.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> Result<(), DiskError> {
        self.real.unlink(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError> {
        self.real.list(path)
    }

    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError> {
        self.real.free_bytes(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        self.real.lock(path)
    }
}
