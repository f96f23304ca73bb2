//! The lake's entry in the catalog: which metadata file is current for each table, up to which log
//! position it is complete, which hot objects stand for the rows after that, and who still reads what.
//!
//! **Invariant (R12).** The metadata pointer and the position of a table move in one transaction, which is
//! accepted only if the writer's epoch is current, the pointer is the expected one and the range starts
//! where the last one ended. A writer that was superseded can therefore change nothing, and a commit whose
//! answer was lost can be told from one that never happened by reading the state again.

#[cfg(test)]
mod conformance;
mod sqlite;
mod statements;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use async_trait::async_trait;
use cairn_model::{PartitionId, Sequence};

/// The name of a table: 1 to 64 lower-case letters, digits and hyphens. It is also its folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(String);

/// A text that cannot name a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a table's name has 1 to 64 lower-case letters, digits and hyphens")]
pub struct TableIdError;

impl TableId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableId {
    type Err = TableIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TableIdError)
        }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableId({})", self.0)
    }
}

/// How often a writer's role was taken. Only the newest holder may change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriterEpoch(pub u64);

/// How often what readers see of a table has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// Rows of one table from one range of the log that are not in the Iceberg table yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotObject {
    /// Object key.
    pub object: String,
    /// Partition of the log.
    pub partition: PartitionId,
    /// The log range that it was made from.
    pub range: Range<Sequence>,
    /// Rows in it; never 0.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// CRC32C of its bytes.
    pub checksum: u32,
}

/// How far a table has followed one partition of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TablePosition {
    /// The partition.
    pub partition: PartitionId,
    /// Records before this are in the Iceberg table or do not belong to it.
    pub committed_end: Sequence,
    /// Records before this are visible.
    pub hot_end: Sequence,
}

/// Everything that a reader of one table needs, taken at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableState {
    /// The table.
    pub table: TableId,
    /// Object key of the current metadata file.
    pub metadata: String,
    /// The point at which this was taken.
    pub generation: Generation,
    /// One for each partition, in order.
    pub positions: Vec<TablePosition>,
    /// Hot objects, by partition and start.
    pub hot: Vec<HotObject>,
}

impl TableState {
    /// The position in `partition`; zero if the table has none there.
    pub fn position(&self, partition: PartitionId) -> TablePosition {
        let zero = TablePosition {
            partition,
            committed_end: Sequence::default(),
            hot_end: Sequence::default(),
        };
        self.positions
            .iter()
            .copied()
            .find(|p| p.partition == partition)
            .unwrap_or(zero)
    }
}

/// A change of one table.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The table.
    pub table: TableId,
    /// The role in which the change is made, such as `lake`.
    pub writer: &'static str,
    /// The epoch that the writer holds.
    pub epoch: WriterEpoch,
    /// The metadata file that the change was built on; ignored by `Create`.
    pub expected_metadata: String,
    /// What changes.
    pub kind: CommitKind,
}

/// What a commit changes.
#[derive(Clone, Debug)]
pub enum CommitKind {
    /// The table comes into being.
    Create {
        /// Its first metadata file.
        metadata: String,
        /// Where it begins to follow the log.
        start: Vec<(PartitionId, Sequence)>,
    },
    /// The rows of a log range entered the table.
    Append {
        /// The partition.
        partition: PartitionId,
        /// The range; it must start at the committed end.
        range: Range<Sequence>,
        /// The new metadata file.
        metadata: String,
        /// Objects that nothing needs any more, besides the hot objects of the range.
        garbage: Vec<String>,
    },
    /// A log range held no rows for the table: no snapshot is made.
    Advance {
        /// The partition.
        partition: PartitionId,
        /// The range; it must start at the committed end.
        range: Range<Sequence>,
    },
    /// The same rows lie in other files.
    Rewrite {
        /// The new metadata file.
        metadata: String,
        /// Objects that nothing needs any more.
        garbage: Vec<String>,
    },
    /// Old rows or old snapshots went away.
    Expire {
        /// The new metadata file.
        metadata: String,
        /// Objects that nothing needs any more.
        garbage: Vec<String>,
    },
}

impl CommitKind {
    /// The metadata file that is current after the commit, unless it stays.
    pub fn metadata(&self) -> Option<&str> {
        match self {
            Self::Create { metadata, .. }
            | Self::Append { metadata, .. }
            | Self::Rewrite { metadata, .. }
            | Self::Expire { metadata, .. } => Some(metadata),
            Self::Advance { .. } => None,
        }
    }
}

/// A log range became visible in one table.
#[derive(Clone, Debug)]
pub struct HotRange {
    /// The table.
    pub table: TableId,
    /// The partition.
    pub partition: PartitionId,
    /// The range; it must start at the hot end.
    pub range: Range<Sequence>,
    /// The object that holds its rows; none if it has none for the table.
    pub object: Option<HotObject>,
}

/// An object that may be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// Names the entry for [`LakeCatalog::forget_garbage`].
    pub id: i64,
    /// Object key.
    pub object: String,
}

/// The commit entry of the lake.
///
/// An error that [`LakeCatalogError::is_ambiguous`] leaves open whether the change was made: callers read
/// the state again and compare.
#[async_trait]
pub trait LakeCatalog: Send + Sync + fmt::Debug {
    /// Takes the role `writer`: whoever held it before can change nothing from now on.
    async fn acquire_writer(&self, writer: &'static str) -> Result<WriterEpoch, LakeCatalogError>;

    /// All tables.
    async fn tables(&self) -> Result<Vec<TableId>, LakeCatalogError>;

    /// The state of a table, or none if it does not exist.
    async fn table(&self, table: &TableId) -> Result<Option<TableState>, LakeCatalogError>;

    /// Makes one change of one table, whole or not at all.
    async fn commit(&self, commit: Commit) -> Result<Generation, LakeCatalogError>;

    /// Makes log ranges visible in several tables, all or none.
    async fn register_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        ranges: Vec<HotRange>,
    ) -> Result<(), LakeCatalogError>;

    /// Puts `replacement` in the place of a damaged hot object of the same range; none if a rebuild found
    /// no rows in it. The damaged object becomes garbage.
    async fn replace_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        table: &TableId,
        damaged: &str,
        replacement: Option<HotObject>,
    ) -> Result<(), LakeCatalogError>;

    /// Keeps everything that is visible now, or was since `since`, from deletion during `term`, which runs
    /// from now to the expiry in milliseconds since the epoch. One lease for each holder and table: a
    /// later call replaces the earlier one. Leases that expired before the term are forgotten.
    async fn lease(
        &self,
        holder: &str,
        table: &TableId,
        since: Option<Generation>,
        term: Range<i64>,
    ) -> Result<TableState, LakeCatalogError>;

    /// Gives a lease up.
    async fn release(&self, holder: &str, table: &TableId) -> Result<(), LakeCatalogError>;

    /// Objects that no lease which is unexpired at `now_ms` keeps, oldest first.
    async fn garbage(
        &self,
        table: &TableId,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<Garbage>, LakeCatalogError>;

    /// All objects that are waiting to be deleted, kept by a lease or not.
    async fn all_garbage(&self, table: &TableId) -> Result<Vec<String>, LakeCatalogError>;

    /// Forgets garbage that has been deleted.
    async fn forget_garbage(&self, ids: &[i64]) -> Result<(), LakeCatalogError>;
}

/// Why the catalog refused or could not tell.
#[derive(Debug, thiserror::Error)]
pub enum LakeCatalogError {
    /// Somebody else has taken the writer's role since (R7, R12).
    #[error("the writer's epoch {held} was superseded by {current}")]
    Fenced {
        /// The epoch of the refused writer.
        held: u64,
        /// The epoch now.
        current: u64,
    },
    /// The table has another metadata file than the change was built on.
    #[error("table {table} is at metadata {current}, not at the expected {expected}")]
    MetadataMoved {
        /// The table.
        table: TableId,
        /// What the change was built on.
        expected: String,
        /// What is current.
        current: String,
    },
    /// The range does not start where the last one ended.
    #[error("table {table} ends at {current} in partition {}, not at {start}", partition.0)]
    PositionMoved {
        /// The table.
        table: TableId,
        /// The partition.
        partition: PartitionId,
        /// Where the range starts.
        start: Sequence,
        /// Where the table ends.
        current: Sequence,
    },
    /// A `Create` of a table that exists.
    #[error("table {0} exists")]
    TableExists(TableId),
    /// The table does not exist.
    #[error("there is no table {0}")]
    NoSuchTable(TableId),
    /// The damaged hot object is not registered (any more).
    #[error("table {table} has no hot object {object}")]
    NoSuchHotObject {
        /// The table.
        table: TableId,
        /// The object.
        object: String,
    },
    /// A lease asked for a time before the oldest that is kept.
    #[error("a lease cannot begin at generation {since}, which is after the current one {current}")]
    LeaseFromFuture {
        /// What was asked.
        since: u64,
        /// What is.
        current: u64,
    },
    /// A stored or given number does not fit.
    #[error("a number is out of range: {0}")]
    OutOfRange(&'static str),
    /// The database failed before the change could have been made.
    #[error("the catalog database failed while {doing}: {reason}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The database's answer.
        reason: String,
    },
    /// The database failed at the commit: the change may have been made or not.
    #[error("the catalog database did not say whether a commit happened: {reason}")]
    Ambiguous {
        /// The database's answer.
        reason: String,
    },
}

impl LakeCatalogError {
    /// True if the change may have been made although an error came back.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }

    /// True if the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::Ambiguous { .. })
    }
}
