//! What can go wrong in delivery, by the choices that the server has.

use cairn_catalog::CatalogError;
use cairn_eventlog::ReadError;
use cairn_model::Sequence;
use cairn_platform::DiskError;
use tokio::task::JoinError;

/// Why delivery could not go on. Troubles of buckets are none: they are retried and told in a trail's status.
#[derive(Debug, thiserror::Error)]
pub enum TrailsError {
    /// The catalog refused, or could not be asked.
    #[error("the catalog failed: {0}")]
    Catalog(CatalogError),
    /// The log could not be read.
    #[error("the event log could not be read: {0}")]
    Log(ReadError),
    /// The spool's disk failed or is full.
    #[error("the spool failed: {0}")]
    Spool(DiskError),
    /// The log and the catalog do not belong together.
    #[error("the trails are at {position}, but the event log has {log_start} to {log_end}")]
    LogElsewhere {
        /// Where the trails are.
        position: Sequence,
        /// The oldest record of the log.
        log_start: Sequence,
        /// The end of the log.
        log_end: Sequence,
    },
    /// A spooled file is not what was written.
    #[error("the spooled file {name} is damaged")]
    SpoolDamaged {
        /// Its name in the spool.
        name: String,
    },
    /// A key that signs digests could not be made or opened.
    #[error("digests cannot be signed: {reason}")]
    Signing {
        /// Why.
        reason: String,
    },
    /// A panic was met off the async threads; the step it was in is forgotten, and tried again.
    #[error("a panic ended {during}")]
    Panicked {
        /// What was under way.
        during: &'static str,
    },
    /// The runtime takes no more work: the process is ending.
    #[error("the threads of the trails have ended")]
    ThreadsEnded,
}

impl TrailsError {
    /// What became of work on another thread that gave no answer.
    pub(crate) fn of_thread(during: &'static str) -> impl Fn(JoinError) -> Self {
        move |error| {
            if error.is_panic() {
                Self::Panicked { during }
            } else {
                Self::ThreadsEnded
            }
        }
    }
}

impl From<CatalogError> for TrailsError {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(error)
    }
}

impl From<DiskError> for TrailsError {
    fn from(error: DiskError) -> Self {
        Self::Spool(error)
    }
}
