//! The file of the acknowledged watermark. Written after each commit without a sync, so it is never ahead of
//! what is durable and at most a little behind; a restart that finds less than it states knows that
//! acknowledged records are damaged, and not merely a torn tail (R4).

use std::path::Path;

use cairn_platform::{Disk, DiskError, DiskFile};

use crate::format::{BLOCK_BYTES, Watermark};

const FILE_NAME: &str = "watermark";
const NEW_FILE_NAME: &str = "watermark.new";
const SLOTS: u64 = 2;

/// The open watermark file.
#[derive(Debug)]
pub(crate) struct WatermarkFile {
    file: Box<dyn DiskFile>,
    next_slot: u64,
    stated: Watermark,
}

impl WatermarkFile {
    /// Takes over what an earlier process stated into a file of this process: a sync of the old one may have
    /// failed, and then no later sync of it proves anything (R2). The new name is durable with the
    /// caller's next directory sync; until then the old file says the same.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path) -> Result<Self, DiskError> {
        let path = directory.join(FILE_NAME);
        let stated = match disk.open(&path) {
            Ok(file) => newest(file.as_ref())?,
            Err(DiskError::NotFound { .. }) => Watermark::default(),
            Err(error) => return Err(error),
        };
        let temporary = directory.join(NEW_FILE_NAME);
        match disk.unlink(&temporary) {
            Ok(()) | Err(DiskError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let file = disk.create_new(&temporary)?;
        file.preallocate(SLOTS * BLOCK_BYTES)?;
        let mut watermark = Self {
            file,
            next_slot: 0,
            stated,
        };
        watermark.write(stated)?;
        watermark.file.fdatasync()?;
        disk.rename(&temporary, &path)?;
        Ok(watermark)
    }

    /// The highest statement in the file, or the last one made.
    pub(crate) fn stated(&self) -> Watermark {
        self.stated
    }

    /// States that every record before `end` is acknowledged.
    pub(crate) fn write_end(&mut self, end: u64) -> Result<(), DiskError> {
        self.write(Watermark { end, ..self.stated })
    }

    /// States, durably, that the seal of the segment that ends at `end` is durable. Callers must have synced
    /// it: whoever sees this statement, in the page cache or on the disk, relies on it.
    pub(crate) fn write_sealed(&mut self, end: u64) -> Result<(), DiskError> {
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

fn newest(file: &dyn DiskFile) -> Result<Watermark, DiskError> {
    let mut newest = Watermark::default();
    for slot in 0..SLOTS {
        let mut bytes = [0; Watermark::BYTES];
        file.read_full_at(&mut bytes, slot * BLOCK_BYTES)?;
        let key = |watermark: &Watermark| (watermark.end, watermark.sealed_end);
        let found = Watermark::decode(&bytes);
        newest = found
            .filter(|found| key(found) >= key(&newest))
            .unwrap_or(newest);
    }
    Ok(newest)
}
