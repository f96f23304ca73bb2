//! Small files that remember a position beside the segments, as second witnesses (R4). `watermark` follows
//! the acknowledged end: written after each commit without a sync, so it is never ahead of what is
//! durable and at most a little behind; a restart that finds less than it states knows that acknowledged
//! records are damaged, and not merely a torn tail. `released` follows the start: durable before a
//! segment is unlinked (R5), so a segment that is missing above it was lost and not released.

use std::path::Path;

use cairn_platform::{Disk, DiskError, DiskFile};

use crate::format::{BLOCK_BYTES, Watermark};

/// The file of the acknowledged end.
pub(crate) const END: &str = "watermark";
/// The file of the released start.
pub(crate) const START: &str = "released";
const SLOTS: u64 = 2;

/// The open watermark file.
#[derive(Debug)]
pub(crate) struct WatermarkFile {
    file: Box<dyn DiskFile>,
    next_slot: u64,
    stated: Watermark,
    found: Option<Watermark>,
}

impl WatermarkFile {
    /// Takes over what an earlier process stated into a file of this process: a sync of the old one may have
    /// failed, and then no later sync of it proves anything (R2). The new name is durable with the
    /// caller's next directory sync; until then the old file says the same.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path, name: &str) -> Result<Self, DiskError> {
        let path = directory.join(name);
        let stated = match disk.open(&path) {
            Ok(file) => newest(file.as_ref())?,
            Err(DiskError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let temporary = directory.join(format!("{name}.new"));
        match disk.unlink(&temporary) {
            Ok(()) | Err(DiskError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let file = disk.create_new(&temporary)?;
        file.preallocate(SLOTS * BLOCK_BYTES)?;
        let mut watermark = Self {
            file,
            next_slot: 0,
            stated: stated.unwrap_or_default(),
            found: stated,
        };
        watermark.write(watermark.stated)?;
        watermark.file.fdatasync()?;
        disk.rename(&temporary, &path)?;
        Ok(watermark)
    }

    /// What an earlier process stated; `None` if there was no file or nothing valid in it.
    pub(crate) fn found(&self) -> Option<Watermark> {
        self.found
    }

    /// States that every record before `end` is acknowledged.
    pub(crate) fn write_end(&mut self, end: u64) -> Result<(), DiskError> {
        self.write(Watermark { end, ..self.stated })
    }

    /// States `end` durably. In the file of the end that says as well that the segment that ends there is
    /// sealed: callers must have synced the seal, as whoever sees this statement, in the page cache or
    /// on the disk, relies on it.
    pub(crate) fn write_durable(&mut self, end: u64) -> Result<(), DiskError> {
        self.write(Watermark {
            end,
            sealed_end: end,
        })?;
        self.file.fdatasync()
    }

    fn write(&mut self, watermark: Watermark) -> Result<(), DiskError> {
        self.file
            .write_all_at(&watermark.encode(), self.next_slot * BLOCK_BYTES)?;
        self.next_slot = (self.next_slot + 1) % SLOTS;
        self.stated = watermark;
        Ok(())
    }
}

fn newest(file: &dyn DiskFile) -> Result<Option<Watermark>, DiskError> {
    let mut newest: Option<Watermark> = None;
    for slot in 0..SLOTS {
        let mut bytes = [0; Watermark::BYTES];
        file.read_full_at(&mut bytes, slot * BLOCK_BYTES)?;
        newest = newest.max(Watermark::decode(&bytes));
    }
    Ok(newest)
}
