//! This crate is the reader that delivers events to trails: log files, signed digests, what topics, log groups and
//! buses are told, and the spool that keeps all of it until everybody has it.

mod active;
mod bus_feed;
mod config;
mod cutting;
mod delivery;
mod digests;
mod error;
pub mod failpoints;
mod feed_file;
mod feeding;
mod log_file;
mod logs_feed;
mod notifier;
mod outlet_counts;
mod outlets;
mod reader;
mod spool;
mod spool_room;
mod trails;

pub use config::TrailsConfig;
pub use delivery::PutSteps;
pub use error::TrailsError;
pub use outlet_counts::OutletCounts;
pub use outlets::{BusParts, OutletParts};
pub use reader::READER;
pub use trails::{RegionsOfAccount, Trails, TrailsCounts, TrailsParts};
