//! The index: one SQLite database.

use std::path::Path;

use cairn_platform::{SchemaChange, SqliteFile, migrate_sqlite};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::BucketsError;

/// The database's file.
const FILE: &str = "index.sqlite";
/// Number, name and text of every migration. A released one never changes.
const MIGRATIONS: &[SchemaChange] = &[(
    1,
    "buckets",
    include_str!("../../migrations/0001_buckets.sql"),
)];

#[derive(Debug)]
pub(super) struct Index {
    writer: SqlitePool,
    pub(super) readers: SqlitePool,
    /// Held for its lock, which keeps other processes out until this one ends (R7).
    _file: SqliteFile,
}

impl Index {
    /// Opens the index in the store's folder, and brings its schema up to date.
    pub(super) async fn open(folder: &Path) -> Result<Self, BucketsError> {
        let during = "opening the index";
        let file = SqliteFile::lock(&folder.join(FILE)).map_err(BucketsError::opening(during))?;
        let writer = file.writer().await;
        let writer = writer.map_err(BucketsError::opening(during))?;
        let migrated = migrate_sqlite(&writer, MIGRATIONS).await;
        migrated.map_err(|error| BucketsError::Failed {
            during: "migrating the index",
            reason: error.to_string(),
        })?;
        let readers = file.readers().await;
        let readers = readers.map_err(BucketsError::opening(during))?;
        Ok(Self {
            writer,
            readers,
            _file: file,
        })
    }

    /// Begins the one change that runs at a time.
    pub(super) async fn change(&self) -> Result<Transaction<'static, Sqlite>, BucketsError> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(BucketsError::while_("beginning a change"))
    }

    /// Reads at one consistent point.
    pub(super) async fn read(&self) -> Result<Transaction<'static, Sqlite>, BucketsError> {
        self.readers
            .begin()
            .await
            .map_err(BucketsError::while_("beginning to read"))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes a change durable.
pub(super) async fn commit(change: Transaction<'static, Sqlite>) -> Result<(), BucketsError> {
    change
        .commit()
        .await
        .map_err(BucketsError::while_("committing a change"))
}
