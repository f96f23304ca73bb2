//! This crate is the reader that delivers events to trails: log files, signed digests, and the spool that keeps
//! both until their bucket has them.

mod active;
mod config;
mod cutting;
mod delivery;
mod digests;
mod error;
pub mod failpoints;
mod log_file;
mod reader;
mod spool;
mod trails;

pub use config::TrailsConfig;
pub use delivery::PutSteps;
pub use error::TrailsError;
pub use reader::READER;
pub use trails::{RegionsOfAccount, Trails, TrailsCounts, TrailsParts};
