//! A disk that makes no names durable while a test says so: the last step of a cut fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cairn_platform::{Disk, DiskError, DiskFile, DiskLock, RealDisk};

/// The real disk, which refuses one thing.
#[derive(Clone, Debug)]
pub(crate) struct FullDisk {
    real: Arc<RealDisk>,
    is_full: Arc<AtomicBool>,
    /// What it says is free, plus one; 0 leaves the answer to the real disk.
    free: Arc<AtomicU64>,
    panics_next: Arc<AtomicBool>,
    panics: Arc<AtomicU64>,
}

impl FullDisk {
    pub(crate) fn new() -> Self {
        Self {
            real: Arc::new(RealDisk::new()),
            is_full: Arc::default(),
            free: Arc::default(),
            panics_next: Arc::default(),
            panics: Arc::default(),
        }
    }

    /// So much is free from here on.
    pub(crate) fn set_free(&self, free: Option<u64>) {
        let told = free.map_or(0, |free| free + 1);
        self.free.store(told, Ordering::Release);
    }

    /// The next names that are to be made durable end in a panic.
    pub(crate) fn panic_next_sync(&self) {
        self.panics_next.store(true, Ordering::Release);
    }

    /// How many did.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Acquire)
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
        if self.panics_next.swap(false, Ordering::AcqRel) {
            self.panics.fetch_add(1, Ordering::AcqRel);
            panic!("planted");
        }
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
        match self.free.load(Ordering::Acquire) {
            0 => self.real.free_bytes(path),
            told => Ok(told - 1),
        }
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        self.real.lock(path)
    }
}
