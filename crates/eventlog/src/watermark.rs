//! The file of the acknowledged watermark. Written after each commit without a sync, so it is never ahead of
//! what is durable and at most a little behind; a restart that finds less than it states knows that
//! acknowledged records are damaged, and not merely a torn tail (R4).

use std::path::Path;

use cairn_platform::{Disk, DiskError, DiskFile};

use crate::format::{BLOCK_BYTES, Watermark};

const FILE_NAME: &str = "watermark";
const SLOTS: u64 = 2;

/// The open watermark file.
#[derive(Debug)]
pub(crate) struct WatermarkFile {
    file: Box<dyn DiskFile>,
    next_slot: u64,
}

impl WatermarkFile {
    /// Opens the file, or creates it; its name is durable with the caller's next directory sync. Returns the
    /// highest watermark that it states, 0 if it states none.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path) -> Result<(Self, u64), DiskError> {
        let path = directory.join(FILE_NAME);
        let file = match disk.open(&path) {
            Err(DiskError::NotFound { .. }) => disk.create_new(&path)?,
            opened => opened?,
        };
        file.preallocate(SLOTS * BLOCK_BYTES)?;
        let mut end = 0;
        let mut newest_slot = SLOTS - 1;
        for slot in 0..SLOTS {
            let mut bytes = [0; Watermark::BYTES];
            file.read_full_at(&mut bytes, slot * BLOCK_BYTES)?;
            if let Some(watermark) = Watermark::decode(&bytes).filter(|found| found.end >= end) {
                end = watermark.end;
                newest_slot = slot;
            }
        }
        Ok((
            Self {
                file,
                next_slot: (newest_slot + 1) % SLOTS,
            },
            end,
        ))
    }

    /// States that every record before `end` is acknowledged.
    pub(crate) fn write(&mut self, end: u64) -> Result<(), DiskError> {
        self.file
            .write_all_at(&Watermark { end }.encode(), self.next_slot * BLOCK_BYTES)?;
        self.next_slot = (self.next_slot + 1) % SLOTS;
        Ok(())
    }

    /// Makes the last statement durable.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        self.file.fdatasync()
    }
}
