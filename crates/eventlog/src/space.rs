//! Room on the disk: the low-water mark below which new batches are refused, and the reserve file that is
//! given up when sealing or recovery needs room that nobody else may take (R18, C6).

use std::path::PathBuf;
use std::sync::Arc;

use cairn_platform::{Disk, DiskError};

use crate::SegmentedLogConfig;

/// The room that the log keeps free.
#[derive(Debug)]
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    reserve: PathBuf,
    reserve_bytes: u64,
    free_bytes_min: u64,
}

impl Space {
    pub(crate) fn new(config: &SegmentedLogConfig, disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            directory: config.directory.clone(),
            reserve: config.directory.join("reserve"),
            reserve_bytes: config.reserve_bytes,
            free_bytes_min: config.free_bytes_min,
        }
    }

    /// True if the disk has room for `bytes` above the low-water mark. A disk that cannot tell is asked by
    /// writing.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        let free = self.disk.free_bytes(&self.directory).unwrap_or(u64::MAX);
        free >= self.free_bytes_min.saturating_add(bytes)
    }

    /// Puts the reserve file there if there is room for it. Without it the log works as well, until the disk
    /// is full: so trouble is only logged.
    pub(crate) fn keep_reserve(&self) {
        if self.reserve_bytes == 0 || !self.has_room_for(self.reserve_bytes) {
            return;
        }
        let file = match self.disk.create_new(&self.reserve) {
            Ok(file) => file,
            Err(DiskError::AlreadyExists { .. }) => return,
            Err(error) => return warn(&error),
        };
        // Synced, so that a restart after a power loss finds the room still taken.
        let taken = file
            .preallocate(self.reserve_bytes)
            .and_then(|()| file.fdatasync());
        if let Err(error) = taken {
            warn(&error);
            self.give_up_reserve();
        }
    }

    /// Runs `attempt`; if it finds no room, gives up the reserve and runs it once more.
    pub(crate) fn with_reserve<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        match attempt() {
            Err(DiskError::NoSpace { .. }) if self.give_up_reserve() => attempt(),
            result => result,
        }
    }

    fn give_up_reserve(&self) -> bool {
        let given_up = self.disk.unlink(&self.reserve).is_ok();
        if given_up {
            tracing::warn!("the event log gave up its reserve file for lack of room");
        }
        given_up
    }
}

fn warn(error: &DiskError) {
    tracing::warn!(error = %error, "the event log has no reserve file");
}
