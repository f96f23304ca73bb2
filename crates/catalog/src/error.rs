//! What can go wrong in the catalog, by the choices that a caller has.

use cairn_platform::SqliteError;

/// Why the catalog did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Another process has the catalog open.
    #[error("the catalog is in use by another process: {path}")]
    InUse {
        /// The lock file.
        path: String,
    },
    /// The database does not keep the promises that durability needs (R10).
    #[error("the catalog's database is not safe to use: {setting} is {found}, needed is {needed}")]
    Unsafe {
        /// The setting that is wrong.
        setting: &'static str,
        /// What the database says.
        found: String,
        /// What it must say.
        needed: &'static str,
    },
    /// The database fails its own integrity check.
    #[error("the catalog is damaged: {finding}")]
    Damaged {
        /// The first finding.
        finding: String,
    },
    /// The database lacks changes that were committed: its write-ahead log was damaged, or it is an older
    /// copy (C5).
    #[error(
        "the catalog holds {held} changes, but {committed} were committed: it was damaged, or \
         replaced by an older copy. Restore catalog, log and lake from the same backup; or, to go on without the \
         newest changes of identities, remove {witness}"
    )]
    RolledBack {
        /// How many changes the database states.
        held: u64,
        /// How many its witness states.
        committed: u64,
        /// The file of the witness.
        witness: String,
    },
    /// A stored value cannot be read back.
    #[error("the catalog holds a {what} that cannot be read: {value}")]
    Unreadable {
        /// The kind of value.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// The catalog is not where its caller believes it to be: somebody else has gone on from there.
    #[error("the catalog has moved on: {what}")]
    OutOfStep {
        /// What was to be changed.
        what: &'static str,
    },
    /// All connections were busy for too long; trying again may succeed.
    #[error("the catalog is busy ({during})")]
    Busy {
        /// What was being done.
        during: &'static str,
    },
    /// The database or its file failed.
    #[error("the catalog failed while {during}: {reason}")]
    Failed {
        /// What was being done.
        during: &'static str,
        /// What the database said.
        reason: String,
    },
    /// There is no such thing.
    #[error("{0}")]
    NoSuchEntity(String),
    /// There is such a thing already.
    #[error("{0}")]
    EntityAlreadyExists(String),
    /// It was changed, or ended, since it was read.
    #[error("{what} was changed meanwhile: version {version} is out of turn")]
    ChangedMeanwhile {
        /// What.
        what: String,
        /// The version that was to be written, or ended.
        version: u64,
    },
    /// It still has parts or holders that must go first.
    #[error("{0}")]
    DeleteConflict(String),
    /// It would exceed a quota.
    #[error("Cannot exceed quota for {quota}: {limit}")]
    LimitExceeded {
        /// The quota's name, as IAM words it.
        quota: &'static str,
        /// Its value.
        limit: usize,
    },
}

impl CatalogError {
    /// True if the same call may succeed later without anything else changing.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Converts the refusal of a database.
    pub(crate) fn opening(during: &'static str) -> impl FnOnce(SqliteError) -> Self {
        move |error| match error {
            SqliteError::InUse { path } => Self::InUse { path },
            SqliteError::Unsafe {
                setting,
                found,
                needed,
            } => Self::Unsafe {
                setting,
                found,
                needed,
            },
            SqliteError::Database(error) => Self::while_(during)(error),
            SqliteError::Disk(error) => Self::Failed {
                during,
                reason: error.to_string(),
            },
        }
    }

    /// Converts a database error where the context is known:
    /// `.map_err(CatalogError::while_("reading settings"))`.
    pub(crate) fn while_(during: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| match &error {
            sqlx::Error::PoolTimedOut => Self::Busy { during },
            sqlx::Error::Database(inner) if is_busy(inner.code().as_deref()) => {
                Self::Busy { during }
            }
            _ => Self::Failed {
                during,
                reason: error.to_string(),
            },
        }
    }
}

/// SQLITE_BUSY and SQLITE_LOCKED, extended codes included.
fn is_busy(code: Option<&str>) -> bool {
    let primary = code
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    matches!(primary, Some(5 | 6))
}
