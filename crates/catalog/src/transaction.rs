//! Transactions. A mutation, the event that records it and its control record commit together or not
//! at all (R21).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cairn_model::ControlRecord;
use cairn_platform::UnixMillis;
use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::error::CatalogError;
use crate::open::Catalog;
use crate::witness::{Witness, count_change};

/// The one mutation that runs at a time. Dropped without `commit`, it leaves no trace.
#[derive(Debug)]
pub struct WriteTransaction {
    pub(crate) inner: Transaction<'static, Sqlite>,
    pub(crate) now_ms: UnixMillis,
    pub(crate) identities_changed: bool,
    /// Control records of what this mutation configures; they leave with its outbox entry.
    pub(crate) controls: Vec<ControlRecord>,
    identity_version: Arc<AtomicU64>,
    witness: Arc<Witness>,
}

/// Reads at one consistent point.
#[derive(Debug)]
pub struct ReadTransaction {
    inner: Transaction<'static, Sqlite>,
}

impl Catalog {
    /// Begins a mutation; waits for the one before it.
    pub async fn begin(&self) -> Result<WriteTransaction, CatalogError> {
        let waiting = Waiting::new(&self.changes_waiting);
        let inner = self
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(CatalogError::while_("beginning a mutation"))?;
        drop(waiting);
        Ok(WriteTransaction {
            inner,
            now_ms: self.clock.now_ms(),
            identities_changed: false,
            controls: Vec::new(),
            identity_version: Arc::clone(&self.identity_version),
            witness: Arc::clone(&self.witness),
        })
    }

    /// How many mutations wait for the one before them.
    pub fn changes_waiting(&self) -> usize {
        self.changes_waiting.load(Ordering::Acquire)
    }

    /// Begins reading.
    pub async fn read(&self) -> Result<ReadTransaction, CatalogError> {
        let inner = self
            .readers
            .begin()
            .await
            .map_err(CatalogError::while_("beginning to read"))?;
        Ok(ReadTransaction { inner })
    }
}

impl ReadTransaction {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl WriteTransaction {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }

    /// When the mutation began, by the catalog's clock.
    pub fn now_ms(&self) -> UnixMillis {
        self.now_ms
    }

    /// Makes everything that was done durable, all of it or nothing.
    ///
    /// A commit that has begun must be waited for: if its future is dropped, SQLite may commit after the
    /// version was told for the last time, and identities in memory stay old until the next change. So
    /// changes run in tasks of their own, which no caller that goes away can end.
    pub async fn commit(mut self) -> Result<(), CatalogError> {
        let during = "committing a mutation";
        assert!(
            self.controls.is_empty(),
            "readers of the log learn of a new configuration from the entry of its mutation"
        );
        if self.identities_changed {
            // By two, because it is told twice below.
            sqlx::query(
                "UPDATE settings SET value = CAST(CAST(value AS TEXT) + 2 AS BLOB) \
                 WHERE name = 'identity.version'",
            )
            .execute(&mut *self.inner)
            .await
            .map_err(CatalogError::while_(during))?;
        }
        // Every commit counts, whatever it changed: no change can be forgotten, and the loss of one that
        // matters little tells of damage as well.
        let changes = count_change(&mut self.inner).await?;
        // Told before and after: whoever reads between sees the old state under the old version, and a
        // commit whose answer is an error leaves nobody with what was true before.
        let changed = self
            .identities_changed
            .then(|| Arc::clone(&self.identity_version));
        let told = changed.map(TellChange::new);
        let committed = self.inner.commit().await;
        drop(told);
        committed.map_err(CatalogError::while_(during))?;
        // After the commit, so that the witness is never ahead; before the caller hears of it, so that what
        // was acknowledged is witnessed.
        self.witness.follow(changes);
        Ok(())
    }
}

/// Counts one that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Release);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Raises the version of the identities when it comes and when it goes, however it goes.
struct TellChange(Arc<AtomicU64>);

impl TellChange {
    fn new(version: Arc<AtomicU64>) -> Self {
        version.fetch_add(1, Ordering::Release);
        Self(version)
    }
}

impl Drop for TellChange {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
