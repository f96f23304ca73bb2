//! Opening the catalog: one process, one writing connection, a few reading ones, each checked to be
//! as durable as we promise (R10).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use cairn_platform::{Clock, Disk, DiskError, RealDisk};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection, SqlitePool};

use crate::error::CatalogError;
use crate::identity::IdentityCache;
use crate::migrations;
use crate::witness::{self, Witness};

/// Reading connections.
const READERS_MAX: u32 = 4;
/// How long a caller waits for a connection before it hears that the catalog is busy.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The first SQLite that carries the repair of the WAL-reset race.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
/// How the name of a write-ahead log ends that a refused start has kept.
const KEPT_LOG: &str = "-wal.kept";
const _: () = assert!(BUSY_TIMEOUT.as_secs() < CONNECTION_WAIT.as_secs());

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
    _lock: File,
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
        let lock = lock_beside(path)?;
        create_private(path)?;
        let witness = Witness::open(disk, path).map_err(|error| witness_failed(&error))?;
        if witness.found().is_some() {
            keep_log(path);
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let writer = pool(1, options.clone()).await?;
        migrations::run(&writer).await?;
        check_integrity(&writer).await?;
        let readers = pool(READERS_MAX, options.pragma("query_only", "on")).await?;
        let catalog = Self {
            writer,
            readers,
            clock,
            identity_version: Arc::default(),
            identity_cache: IdentityCache::default(),
            changes_waiting: AtomicUsize::new(0),
            witness: Arc::new(witness),
            _lock: lock,
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

async fn pool(
    connections_max: u32,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, CatalogError> {
    let during = "opening the database";
    // A pool tries again when a connection is refused, until time is up: the first look is our own.
    let mut probe = options
        .connect()
        .await
        .map_err(CatalogError::while_(during))?;
    refuse_unsafe(&mut probe).await?;
    probe.close().await.map_err(CatalogError::while_(during))?;
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(CONNECTION_WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let safe = refuse_unsafe(connection).await;
                safe.map_err(|refusal| sqlx::Error::Configuration(Box::new(refusal)))
            })
        })
        .before_acquire(|connection, _| {
            Box::pin(async move {
                // The ping lets a rollback finish that was begun when a transaction was dropped. A full
                // disk makes SQLite roll back by itself, after which the library's own rollback fails and
                // it counts a transaction that is not there: such a connection is replaced (C6).
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await
        .map_err(CatalogError::while_(during))
}

/// R10: what was asked for is not what counts; what the connection says is.
async fn refuse_unsafe(connection: &mut SqliteConnection) -> Result<(), CatalogError> {
    let version: String = ask(connection, "SELECT sqlite_version()").await?;
    if !is_at_least(&version, SQLITE_VERSION_MIN) {
        let (setting, needed) = ("the version of SQLite", "3.51.3");
        return Err(CatalogError::Unsafe {
            setting,
            found: version,
            needed,
        });
    }
    for (setting, question, needed) in [
        ("journal_mode", "PRAGMA journal_mode", "wal"),
        (
            "synchronous",
            "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
            "2",
        ),
        (
            "foreign_keys",
            "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys",
            "1",
        ),
    ] {
        let found = ask(connection, question).await?;
        if found != needed {
            return Err(CatalogError::Unsafe {
                setting,
                found,
                needed,
            });
        }
    }
    Ok(())
}

async fn ask(
    connection: &mut SqliteConnection,
    question: &'static str,
) -> Result<String, CatalogError> {
    sqlx::query_scalar(question)
        .fetch_one(connection)
        .await
        .map_err(CatalogError::while_("checking the database's settings"))
}

fn is_at_least(version: &str, minimum: (u32, u32, u32)) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= minimum
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

/// The lock stands in a file of its own: SQLite locks byte ranges of the database file itself.
fn lock_beside(path: &Path) -> Result<File, CatalogError> {
    let name = beside(path, ".lock");
    let failed = |error: std::io::Error| CatalogError::Failed {
        during: "locking the catalog",
        reason: error.to_string(),
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(CatalogError::InUse {
            path: name.to_string_lossy().into_owned(),
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
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

/// A file whose name is the database's and an ending.
pub(crate) fn beside(catalog: &Path, ending: &str) -> PathBuf {
    let mut name = catalog.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn witness_failed(error: &DiskError) -> CatalogError {
    CatalogError::Failed {
        during: "opening the witness of the changes",
        reason: error.to_string(),
    }
}

/// Makes the file before SQLite does, so that nobody else may ever read it; the WAL inherits the mode.
fn create_private(path: &Path) -> Result<(), CatalogError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| CatalogError::Failed {
            during: "creating the database file",
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests;
