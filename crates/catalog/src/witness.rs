//! A second witness of how many changes were committed, in a file beside the database (C5). SQLite takes a
//! damaged write-ahead log for one that ends earlier: acknowledged changes are gone without a word, and
//! a deleted key signs again. So the database counts its changes in their own transactions, and this
//! file follows the count: written after each commit without a sync, so it is never ahead of what is
//! durable and at most a little behind. A database that states less than its witness has lost changes.
//!
//! Commits of the lake do not count: the lake compares its positions with the log and its tables.
//!
//! The file has two slots, at 0 and 4096, written in turn, so that a torn write leaves the other; the
//! higher valid one counts. A slot, its integers little-endian:
//!
//! ```text
//!  0  8  magic FA "CAIRNCH"
//!  8  4  format version
//! 12  4  CRC32C of bytes 0..12 and 16..32
//! 16  8  how many changes were committed
//! 24  8  zero
//! ```

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cairn_platform::{Disk, DiskError, DiskFile, beside};
use sqlx::SqliteConnection;

use crate::error::CatalogError;

const MAGIC: [u8; 8] = *b"\xFACAIRNCH";
const FORMAT_VERSION: u32 = 1;
const SLOT_BYTES: usize = 32;
const SLOTS: u64 = 2;
/// Where the second slot begins: two slots in one block could be torn together.
const BLOCK_BYTES: u64 = 4096;

/// The open file.
#[derive(Debug)]
pub(crate) struct Witness {
    path: PathBuf,
    found: Option<u64>,
    // Held for a write of one slot into the page cache and never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Box<dyn DiskFile>,
    next_slot: u64,
    stated: u64,
    is_failing: bool,
}

impl Witness {
    /// Opens the file beside the database `catalog`, or makes one that states no change. Nothing that an
    /// earlier process stated is lost by it. Room is reserved, so that a full disk takes later writes.
    pub(crate) fn open(disk: &dyn Disk, catalog: &Path) -> Result<Self, DiskError> {
        let path = beside(catalog, ".changes");
        let (file, newest) = match disk.open(&path) {
            Ok(file) => {
                let newest = newest_slot(file.as_ref())?;
                (file, newest)
            }
            Err(DiskError::NotFound { .. }) => (disk.create_new(&path)?, None),
            Err(error) => return Err(error),
        };
        if file.len()? < SLOTS * BLOCK_BYTES {
            file.preallocate(SLOTS * BLOCK_BYTES)?;
        }
        let mut state = State {
            file,
            next_slot: newest.map_or(0, |(slot, _)| (slot + 1) % SLOTS),
            stated: 0,
            is_failing: false,
        };
        let found = newest.map(|(_, changes)| changes);
        if let Some(changes) = found {
            state.stated = changes;
        } else {
            state.write(0)?;
            state.file.fdatasync()?;
            disk.sync_dir(folder_of(&path))?;
        }
        let state = Mutex::new(state);
        Ok(Self { path, found, state })
    }

    /// What an earlier process stated; `None` if there was no file or nothing valid in it.
    pub(crate) fn found(&self) -> Option<u64> {
        self.found
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// States that `changes` were committed; callers must have waited for the commit. The change stands
    /// whether or not this can be written (C6): a witness that is behind misses a loss, and does no harm.
    /// The next change writes the same slot again, as the other one holds the last good statement.
    pub(crate) fn follow(&self, changes: u64) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        // Commits are serial, but those who wait for them are not woken in order.
        if changes <= state.stated {
            return;
        }
        match state.write(changes) {
            Ok(()) => state.is_failing = false,
            // Once, not with every change until there is room again.
            Err(error) if !state.is_failing => {
                state.is_failing = true;
                tracing::warn!(
                    error.message = %error,
                    "the witness of the catalog's changes cannot be written: a loss of the newest would go unseen"
                );
            }
            Err(_) => {}
        }
    }
}

impl State {
    fn write(&mut self, changes: u64) -> Result<(), DiskError> {
        let offset = self.next_slot * BLOCK_BYTES;
        self.file.write_all_at(&encode(changes), offset)?;
        self.next_slot = (self.next_slot + 1) % SLOTS;
        self.stated = changes;
        Ok(())
    }
}

/// Counts one change in its own transaction; gives the number that it has.
pub(crate) async fn count_change(connection: &mut SqliteConnection) -> Result<u64, CatalogError> {
    let counted: i64 =
        sqlx::query_scalar("UPDATE changes SET committed = committed + 1 RETURNING committed")
            .fetch_one(connection)
            .await
            .map_err(CatalogError::while_("counting a change"))?;
    count_of(counted)
}

/// How many changes the database states.
pub(crate) async fn changes_committed(
    connection: &mut SqliteConnection,
) -> Result<u64, CatalogError> {
    let committed: i64 = sqlx::query_scalar("SELECT committed FROM changes")
        .fetch_one(connection)
        .await
        .map_err(CatalogError::while_("reading the count of changes"))?;
    count_of(committed)
}

fn count_of(stored: i64) -> Result<u64, CatalogError> {
    u64::try_from(stored).map_err(|_| CatalogError::Unreadable {
        what: "count of changes",
        value: stored.to_string(),
    })
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The slot with the highest valid count, and the count.
fn newest_slot(file: &dyn DiskFile) -> Result<Option<(u64, u64)>, DiskError> {
    let mut newest: Option<(u64, u64)> = None;
    for slot in 0..SLOTS {
        let mut bytes = [0; SLOT_BYTES];
        let read = file.read_full_at(&mut bytes, slot * BLOCK_BYTES)?;
        if read == SLOT_BYTES
            && let Some(changes) = decode(&bytes)
            && newest.is_none_or(|(_, highest)| changes > highest)
        {
            newest = Some((slot, changes));
        }
    }
    Ok(newest)
}

fn encode(changes: u64) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&changes.to_le_bytes());
    let crc = checksum(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<u64> {
    let number = bytes[16..24].try_into().expect("eight bytes were sliced");
    let changes = u64::from_le_bytes(number);
    // Everything but the count is fixed: a valid slot is the one that would be written for it.
    (*bytes == encode(changes)).then_some(changes)
}

fn checksum(bytes: &[u8; SLOT_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

#[cfg(test)]
mod tests;
