//! SQLite databases that are as durable as we promise (R10): one process, one writing connection, a few reading
//! ones, each asked what it does, not what it was told.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection, SqlitePool};

/// Reading connections.
const READERS_MAX: u32 = 4;
/// How long a caller waits for a connection before it hears that the database is busy.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The first SQLite that carries the repair of the WAL-reset race.
const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);
const _: () = assert!(BUSY_TIMEOUT.as_secs() < CONNECTION_WAIT.as_secs());

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// Another process uses it.
    #[error("another process uses {path}")]
    InUse {
        /// The lock file.
        path: String,
    },
    /// It does not keep the promises that durability needs.
    #[error("{setting} is {found}, needed is {needed}")]
    Unsafe {
        /// The setting that is wrong.
        setting: &'static str,
        /// What the database says.
        found: String,
        /// What it must say.
        needed: &'static str,
    },
    /// Its files cannot be made.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Number, name and text of a change of the schema. A released one never changes.
pub type SchemaChange = (i64, &'static str, &'static str);

/// A database that this process alone uses, until the value is dropped (R7).
#[derive(Debug)]
pub struct SqliteFile {
    path: PathBuf,
    _lock: File,
}

impl SqliteFile {
    /// Locks the database at `path`, and makes its file if there is none, readable by nobody else: SQLite's
    /// other files inherit that. The lock stands in a file of its own, because SQLite locks ranges of the
    /// database's.
    pub fn lock(path: &Path) -> Result<Self, SqliteError> {
        let lock_path = beside(path, ".lock");
        let lock = private_file(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SqliteError::InUse {
                    path: lock_path.to_string_lossy().into_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        private_file(path)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The one connection that writes.
    pub async fn writer(&self) -> Result<SqlitePool, SqliteError> {
        pool(1, self.options()).await
    }

    /// Connections that only read.
    pub async fn readers(&self) -> Result<SqlitePool, SqliteError> {
        pool(READERS_MAX, self.options().pragma("query_only", "on")).await
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging()
    }
}

/// Brings a schema to the program's version. A database of a newer program is refused.
pub async fn migrate_sqlite(
    writer: &SqlitePool,
    changes: &[SchemaChange],
) -> Result<(), MigrateError> {
    let migrations = changes.iter().map(|(version, name, text)| {
        let text = text.into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, text, false)
    });
    Migrator::with_migrations(migrations.collect())
        .run(writer)
        .await
}

/// A file whose name is the database's and an ending.
pub fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

async fn pool(
    connections_max: u32,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, SqliteError> {
    // A pool tries again when a connection is refused, until time is up: the first look is our own.
    let mut probe = options.connect().await?;
    refuse_unsafe(&mut probe).await?;
    probe.close().await?;
    let pool = SqlitePoolOptions::new()
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
        });
    Ok(pool.connect_with(options).await?)
}

/// R10: what was asked for is not what counts; what the connection says is.
async fn refuse_unsafe(connection: &mut SqliteConnection) -> Result<(), SqliteError> {
    let version = ask(connection, "SELECT sqlite_version()").await?;
    if !is_at_least(&version, SQLITE_VERSION_MIN) {
        return Err(SqliteError::Unsafe {
            setting: "the version of SQLite",
            found: version,
            needed: "3.51.3",
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
            return Err(SqliteError::Unsafe {
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
) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(question).fetch_one(connection).await
}

fn is_at_least(version: &str, minimum: (u32, u32, u32)) -> bool {
    let parts = version.split('.');
    let mut parts = parts.map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= minimum
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &tempfile::TempDir) -> SqliteConnectOptions {
        let path = folder.path().join("database.sqlite");
        let file = SqliteFile::lock(&path).expect("is free");
        file.options()
    }

    async fn refused(options: SqliteConnectOptions) -> &'static str {
        match pool(1, options).await {
            Err(SqliteError::Unsafe { setting, .. }) => setting,
            Err(error) => panic!("refused for another reason: {error}"),
            Ok(_) => panic!("not refused"),
        }
    }

    // Proves: R10
    #[tokio::test]
    async fn a_connection_that_may_lose_commits_is_refused() {
        // A database for each case: a refused connection closes in its own time.
        let folder = || tempfile::tempdir().expect("a folder");
        let safe = folder();
        pool(1, options(&safe))
            .await
            .expect("is safe")
            .close()
            .await;
        let normal = folder();
        let unsynced = options(&normal).synchronous(SqliteSynchronous::Normal);
        assert_eq!(refused(unsynced).await, "synchronous");
        let unchecked = folder();
        let unchecked = options(&unchecked).foreign_keys(false);
        assert_eq!(refused(unchecked).await, "foreign_keys");
        let rollback = folder();
        let delete = options(&rollback).journal_mode(SqliteJournalMode::Delete);
        assert_eq!(refused(delete).await, "journal_mode");
    }

    // Proves: R10
    #[test]
    fn an_sqlite_without_the_repair_of_the_wal_reset_race_is_too_old() {
        for (version, enough) in [
            ("3.51.3", true),
            ("3.52.0", true),
            ("4.0", true),
            ("3.51.2", false),
            ("x", false),
        ] {
            assert_eq!(
                is_at_least(version, SQLITE_VERSION_MIN),
                enough,
                "{version}"
            );
        }
    }

    // Proves: R7
    #[test]
    fn one_process_uses_a_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("database.sqlite");
        let first = SqliteFile::lock(&path).expect("is free");
        let second = SqliteFile::lock(&path);
        assert!(matches!(second, Err(SqliteError::InUse { .. })));
        drop(first);
        SqliteFile::lock(&path).expect("is free again");
    }
}
