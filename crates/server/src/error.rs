//! Why a server does not start, or stops.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::ConfigError;

/// Exit code of a process whose event log failed (R2): a supervisor restarts it, and recovery decides
/// what the disk really holds.
pub const EXIT_LOG_FAILED: u8 = 70;

/// Why a server does not start, or stops without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(ConfigError),
    /// A folder or file of DATA_DIR cannot be used.
    #[error("{path} cannot be used: {reason}")]
    DataDir {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        reason: String,
    },
    /// Certificate or key cannot be used.
    #[error("tls: {path} cannot be used: {reason}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of the server did not open.
    #[error("{part} cannot be opened: {reason}")]
    Open {
        /// `event log`, `catalog`, `lake` and the like.
        part: &'static str,
        /// What it said.
        reason: String,
    },
    /// The event log failed while serving (R2).
    #[error(
        "the event log failed; the process stops so that recovery can decide what the disk holds"
    )]
    LogFailed,
    /// A background loop ended although nobody asked it to.
    #[error("{part} stopped: {reason}")]
    PartStopped {
        /// Which loop.
        part: &'static str,
        /// What it said.
        reason: String,
    },
}
