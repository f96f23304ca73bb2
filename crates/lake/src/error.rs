//! What can go wrong in the lake, as the choices that a caller has.

use cairn_catalog::lake::{LakeCatalogError, TableId};
use cairn_eventlog::ReadError;
use cairn_model::{PartitionId, Sequence};
use parquet::errors::ParquetError;

use crate::objects::ObjectError;

/// Why the lake could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The catalog refused or failed.
    #[error("the lake's catalog: {0}")]
    Catalog(#[source] LakeCatalogError),
    /// The object store failed.
    #[error("the lake's store: {0}")]
    Objects(#[source] ObjectError),
    /// The event log could not be read.
    #[error("reading the event log: {0}")]
    Log(#[source] ReadError),
    /// Stored metadata, or metadata to be stored, is not valid.
    #[error("Iceberg metadata, while {doing}: {reason}")]
    Metadata {
        /// What was being done.
        doing: &'static str,
        /// The library's answer.
        reason: String,
    },
    /// A stored object is not what its name or its checksum says.
    #[error("object {key} is damaged: {reason}")]
    Damaged {
        /// The object.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows could not be encoded or decoded.
    #[error("rows, while {doing}: {reason}")]
    Rows {
        /// What was being done.
        doing: &'static str,
        /// The library's answer.
        reason: String,
    },
    /// The table's columns are not those that this build writes.
    #[error("a table has {columns} columns that this build does not know")]
    UnknownSchema {
        /// How many it has.
        columns: usize,
    },
    /// The table has followed the log further than the log goes: it is not the log that the table was
    /// made from, and following it would lose events in silence.
    #[error(
        "table {table} is at {position} in partition {}, but the event log ends at {log_end}: \
         restore the log and the lake from the same time", partition.0
    )]
    LogBehind {
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionId,
        /// Where the table is.
        position: Sequence,
        /// Where the log ends.
        log_end: Sequence,
    },
    /// The log begins behind the place where the table ends: the records between were released because
    /// a later state of the catalog said that they are in the table. This catalog is not that one.
    #[error(
        "table {table} ends at {position} in partition {}, but the event log begins at {log_start}: \
         the catalog is older than the log or new; restore the catalog, the log and the lake from the \
         same time", partition.0
    )]
    LogAhead {
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionId,
        /// Where the table is.
        position: Sequence,
        /// Where the log begins.
        log_start: Sequence,
    },
    /// There is no such table.
    #[error("there is no table {0}")]
    NoSuchTable(TableId),
    /// A setting is out of its range.
    #[error("setting {name} is out of its range")]
    Configuration {
        /// The setting.
        name: &'static str,
    },
    /// As many lookups read already as may at once.
    #[error("too many lookups at once")]
    Busy,
    /// A background task of the runtime was lost.
    #[error("a task was lost: {0}")]
    TaskLost(String),
}

impl LakeError {
    /// True if the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_retryable(),
            Self::Objects(ObjectError::Failed { .. } | ObjectError::NoSpace { .. })
            | Self::Log(ReadError::Disk { .. })
            | Self::Busy
            | Self::TaskLost(_) => true,
            Self::Objects(_)
            | Self::Log(_)
            | Self::Metadata { .. }
            | Self::Damaged { .. }
            | Self::Rows { .. }
            | Self::UnknownSchema { .. }
            | Self::LogBehind { .. }
            | Self::LogAhead { .. }
            | Self::NoSuchTable(_)
            | Self::Configuration { .. } => false,
        }
    }

    /// True if stored objects cannot be read or written: the log is not concerned, and whoever mends the
    /// store may open the lake again.
    pub fn is_of_the_store(&self) -> bool {
        match self {
            Self::Objects(_) | Self::Metadata { .. } | Self::Damaged { .. } | Self::Rows { .. } => {
                true
            }
            Self::Catalog(_)
            | Self::Log(_)
            | Self::UnknownSchema { .. }
            | Self::LogBehind { .. }
            | Self::LogAhead { .. }
            | Self::NoSuchTable(_)
            | Self::Configuration { .. }
            | Self::Busy
            | Self::TaskLost(_) => false,
        }
    }

    /// True if another writer has taken over and this one must stop (R7, R12).
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Catalog(LakeCatalogError::Fenced { .. }))
    }

    pub(crate) fn iceberg(doing: &'static str) -> impl FnOnce(iceberg::Error) -> Self {
        move |error| Self::Metadata {
            doing,
            reason: error.to_string(),
        }
    }

    pub(crate) fn arrow(doing: &'static str) -> impl FnOnce(arrow::error::ArrowError) -> Self {
        move |error| Self::Rows {
            doing,
            reason: error.to_string(),
        }
    }

    pub(crate) fn parquet(
        doing: &'static str,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        move |error| {
            let other = match error {
                // What our own reader said comes back as it was.
                ParquetError::External(inner) => match inner.downcast::<Self>() {
                    Ok(ours) => return *ours,
                    Err(other) => ParquetError::External(other),
                },
                other => other,
            };
            Self::Rows {
                doing,
                reason: other.to_string(),
            }
        }
    }
}
