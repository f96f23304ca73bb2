//! The index: one SQLite database, one writing connection and a few reading ones, each checked to be as
//! durable as we promise (R10).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlSafeStr as _, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::error::BucketsError;

/// Reading connections.
const READERS_MAX: u32 = 4;
/// How long a caller waits for a connection before it hears that the index is busy.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The database's file.
const FILE: &str = "index.sqlite";
/// Number, name and text of every migration. A released one never changes.
const MIGRATIONS: &[(i64, &str, &str)] = &[(
    1,
    "buckets",
    include_str!("../../migrations/0001_buckets.sql"),
)];

#[derive(Debug)]
pub(super) struct Index {
    writer: SqlitePool,
    pub(super) readers: SqlitePool,
    /// Held for its lock, which keeps other processes out until this one ends (R7).
    _lock: File,
}

impl Index {
    /// Opens the index in the store's folder, and brings its schema up to date.
    pub(super) async fn open(folder: &Path) -> Result<Self, BucketsError> {
        let lock = locked(folder)?;
        let path = folder.join(FILE);
        private_file(&path).map_err(BucketsError::disk("making the index"))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let options = sqlx::ConnectOptions::disable_statement_logging(options);
        let writer = pool(1, options.clone()).await?;
        migrate(&writer).await?;
        let readers = pool(READERS_MAX, options.pragma("query_only", "on")).await?;
        Ok(Self {
            writer,
            readers,
            _lock: lock,
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

async fn pool(
    connections_max: u32,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, BucketsError> {
    let during = "opening the index";
    // A pool tries again when a connection is refused, until time is up: the first look is our own.
    let mut probe = sqlx::ConnectOptions::connect(&options)
        .await
        .map_err(BucketsError::while_(during))?;
    refuse_unsafe(&mut probe).await?;
    probe.close().await.map_err(BucketsError::while_(during))?;
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
                // A full disk makes SQLite roll back by itself, after which the library counts a
                // transaction that is not there: such a connection is replaced (C6).
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await
        .map_err(BucketsError::while_(during))
}

/// R10: what was asked for is not what counts; what the connection says is.
async fn refuse_unsafe(connection: &mut SqliteConnection) -> Result<(), BucketsError> {
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
        let found: String = sqlx::query_scalar(question)
            .fetch_one(&mut *connection)
            .await
            .map_err(BucketsError::while_("checking the index's settings"))?;
        if found != needed {
            return Err(BucketsError::Unsafe {
                setting,
                found,
                needed,
            });
        }
    }
    Ok(())
}

/// Brings the schema to the program's version. An index of a newer program is refused.
async fn migrate(pool: &SqlitePool) -> Result<(), BucketsError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, name, text)| {
            Migration::new(
                *version,
                (*name).into(),
                MigrationType::Simple,
                text.into_sql_str(),
                false,
            )
        })
        .collect();
    let done = Migrator::with_migrations(migrations).run(pool).await;
    done.map_err(|error| BucketsError::Failed {
        during: "migrating the index",
        reason: error.to_string(),
    })
}

/// The lock stands in a file of its own: SQLite locks byte ranges of the database file itself.
fn locked(folder: &Path) -> Result<File, BucketsError> {
    let path = folder.join(format!("{FILE}.lock"));
    let file = private_file(&path).map_err(BucketsError::disk("locking the buckets"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(BucketsError::InUse {
            path: path.to_string_lossy().into_owned(),
        }),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(BucketsError::disk("locking the buckets")(error))
        }
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}
