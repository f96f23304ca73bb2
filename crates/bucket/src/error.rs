//! What can go wrong in the store of buckets, by the choices that a caller has.

use std::io;

use cairn_platform::SqliteError;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BucketsError {
    /// Another process has the store open.
    #[error("the buckets are in use by another process: {path}")]
    InUse {
        /// The lock file.
        path: String,
    },
    /// The index does not keep the promises that durability needs (R10).
    #[error(
        "the index of the buckets is not safe to use: {setting} is {found}, needed is {needed}"
    )]
    Unsafe {
        /// The setting that is wrong.
        setting: &'static str,
        /// What the database says.
        found: String,
        /// What it must say.
        needed: &'static str,
    },
    /// All connections were busy for too long; trying again may succeed.
    #[error("the index of the buckets is busy ({during})")]
    Busy {
        /// What was being done.
        during: &'static str,
    },
    /// The disk is full; trying again succeeds once there is room (C6).
    #[error("no room on the disk while {during}")]
    NoSpace {
        /// What was being done.
        during: &'static str,
    },
    /// The index or the disk failed.
    #[error("the buckets failed while {during}: {reason}")]
    Failed {
        /// What was being done.
        during: &'static str,
        /// What the system said.
        reason: String,
    },
    /// Stored bytes are not what was stored.
    #[error("the stored body {file} is damaged: {reason}")]
    Damaged {
        /// The body's file.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The body that was to be stored ended in an error of the client's or of the connection.
    #[error("the body of the request broke off")]
    BodyBroken,
    /// There is no such bucket.
    #[error("no such bucket")]
    NoSuchBucket,
    /// There is no such object.
    #[error("no such object")]
    NoSuchKey,
    /// The object has no such version.
    #[error("no such version")]
    NoSuchVersion,
    /// There is no such multipart upload.
    #[error("no such upload")]
    NoSuchUpload,
    /// Another account has a bucket of this name.
    #[error("the name of the bucket is taken")]
    BucketAlreadyExists,
    /// The caller's account has this bucket already.
    #[error("the bucket exists already")]
    BucketAlreadyOwnedByYou,
    /// The account has as many buckets as it may have.
    #[error("the account has too many buckets")]
    TooManyBuckets,
    /// A bucket with objects cannot be deleted.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// A bucket that access logs cannot go to.
    #[error(
        "the target bucket does not exist, belongs to another account or does not let log delivery in"
    )]
    InvalidLogTarget,
    /// A bucket that access logs cannot go to, for it is in another Region.
    #[error("the target bucket of the access log is in another Region")]
    LogTargetElsewhere,
    /// A condition of the request does not hold.
    #[error("a condition does not hold")]
    PreconditionFailed,
    /// A part is not there, or is another one.
    #[error("no such part")]
    InvalidPart,
    /// The parts are not in order.
    #[error("the parts are not in order")]
    InvalidPartOrder,
    /// A part that is not the last one is too small.
    #[error("a part is too small")]
    EntityTooSmall,
    /// The body is larger than allowed.
    #[error("the body is too large")]
    EntityTooLarge,
    /// The Content-MD5 of the request is none.
    #[error("the stated Content-MD5 is not valid")]
    InvalidDigest,
    /// The stated checksum is none, or there are several.
    #[error("the stated checksum is not valid")]
    InvalidChecksum,
    /// The body has not the trailer that was announced.
    #[error("the announced trailer is missing")]
    MalformedTrailer,
    /// The body does not have the checksum that was stated.
    #[error("the body does not match its {what}")]
    BadDigest {
        /// The name of the checksum.
        what: &'static str,
    },
}

impl BucketsError {
    /// True if the same call may succeed later without anything else changing.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::NoSpace { .. })
    }

    /// True if it is no caller's mistake: the log must know of it.
    pub(crate) fn is_defect(&self) -> bool {
        matches!(
            self,
            Self::InUse { .. }
                | Self::Unsafe { .. }
                | Self::NoSpace { .. }
                | Self::Failed { .. }
                | Self::Damaged { .. }
        )
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
            SqliteError::Disk(error) => Self::disk(during)(error),
        }
    }

    /// Converts a database error where the context is known.
    pub(crate) fn while_(during: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| {
            let code = match &error {
                sqlx::Error::PoolTimedOut => return Self::Busy { during },
                sqlx::Error::Database(inner) => primary_code(inner.code().as_deref()),
                _ => None,
            };
            match code {
                Some(5 | 6) => Self::Busy { during },
                Some(13) => Self::NoSpace { during },
                _ => Self::Failed {
                    during,
                    reason: error.to_string(),
                },
            }
        }
    }

    /// Converts an error of the disk where the context is known.
    pub(crate) fn disk(during: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { during },
            _ => Self::Failed {
                during,
                reason: error.to_string(),
            },
        }
    }
}

/// SQLite's code without its extension: 5 is busy, 6 locked, 13 full.
fn primary_code(code: Option<&str>) -> Option<u32> {
    let code: u32 = code?.parse().ok()?;
    Some(code & 0xff)
}
