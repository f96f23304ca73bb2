//! Opening the catalog: its database is sound, of this program's version, and has lost nothing (C5, R10).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use cairn_platform::{Clock, Disk, DiskError, RealDisk, SqliteFile, beside};
use sqlx::{Row, SqlitePool};

use crate::error::CatalogError;
use crate::identity::IdentityCache;
use crate::migrations;
use crate::witness::{self, Witness};

/// How the name of a write-ahead log ends that a refused start has kept.
const KEPT_LOG: &str = "-wal.kept";

/// The durable configuration of one node.
///
/// **Invariant.** Every write goes through the one writing connection, so mutations are serial and a
/// `WriteTransaction` sees everything that was committed before it began.
#[derive(Debug)]
pub struct Catalog {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) identity_version: Arc<AtomicU64>,
    pub(crate) identity_cache: IdentityCache,
    pub(crate) changes_waiting: AtomicUsize,
    pub(crate) witness: Arc<Witness>,
    /// Held for its lock, which keeps other processes out until this one ends (R7).
    _file: SqliteFile,
}

impl Catalog {
    /// Opens the catalog at `path`, makes it if there is none, and brings its schema up to date.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, CatalogError> {
        Self::open_on(&RealDisk::new(), path, clock).await
    }

    /// The same with the witness of the changes on another disk.
    async fn open_on(
        disk: &dyn Disk,
        path: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CatalogError> {
        let during = "opening the database";
        let file = SqliteFile::lock(path).map_err(CatalogError::opening(during))?;
        let witness = Witness::open(disk, path).map_err(|error| witness_failed(&error))?;
        if witness.found().is_some() {
            keep_log(path);
        }
        let writer = file.writer().await;
        let writer = writer.map_err(CatalogError::opening(during))?;
        migrations::run(&writer).await?;
        check_integrity(&writer).await?;
        let readers = file.readers().await;
        let readers = readers.map_err(CatalogError::opening(during))?;
        let catalog = Self {
            writer,
            readers,
            clock,
            identity_version: Arc::default(),
            identity_cache: IdentityCache::default(),
            changes_waiting: AtomicUsize::new(0),
            witness: Arc::new(witness),
            _file: file,
        };
        if let Err(error) = catalog.compare_with_witness().await {
            catalog.close().await;
            return Err(error);
        }
        if catalog.witness.found().is_some() {
            forget_kept_log(path);
        }
        catalog.load_identity_version().await?;
        Ok(catalog)
    }

    /// Refuses a database that has lost changes (C5). One that is ahead of its witness is sound, but what it
    /// shows may be in the page cache only: one change more makes all of it durable before it is stated.
    async fn compare_with_witness(&self) -> Result<(), CatalogError> {
        let mut transaction = self.read().await?;
        let held = witness::changes_committed(transaction.connection()).await?;
        drop(transaction);
        let committed = self.witness.found();
        let path = self.witness.path().to_string_lossy();
        match committed {
            Some(committed) if held < committed => {
                let witness = path.into_owned();
                return Err(CatalogError::RolledBack {
                    held,
                    committed,
                    witness,
                });
            }
            // A start that was killed may have made the file anew, and no more.
            None | Some(0) if held > 0 => tracing::warn!(
                file = %path,
                catalog.changes = held,
                "the witness of the catalog's changes was missing or damaged and is made anew: \
                 whether changes were lost before this start is not known"
            ),
            _ => {}
        }
        if committed.unwrap_or(0) < held {
            self.begin().await?.commit().await?;
        }
        Ok(())
    }

    /// Finishes what is running and closes the files.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

async fn check_integrity(pool: &SqlitePool) -> Result<(), CatalogError> {
    let during = "checking the database's integrity";
    let first = sqlx::query("PRAGMA quick_check(1)")
        .fetch_one(pool)
        .await
        .map_err(CatalogError::while_(during))?;
    let finding: String = first.try_get(0).map_err(CatalogError::while_(during))?;
    if finding == "ok" {
        Ok(())
    } else {
        Err(CatalogError::Damaged { finding })
    }
}

/// The write-ahead log gets a second name until it is known that no change is lost. SQLite deletes the first
/// one when a database that is refused is closed, with all that could still be read of it.
fn keep_log(catalog: &Path) {
    // No log, or one kept by a start that was refused: that one tells more.
    let _ = std::fs::hard_link(beside(catalog, "-wal"), beside(catalog, KEPT_LOG));
}

fn forget_kept_log(catalog: &Path) {
    // It is not there where there was nothing to keep.
    let _ = std::fs::remove_file(beside(catalog, KEPT_LOG));
}

fn witness_failed(error: &DiskError) -> CatalogError {
    CatalogError::Failed {
        during: "opening the witness of the changes",
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
