//! This crate keeps events in Apache Iceberg tables that it writes from the event log, and gives readers
//! consistent views of them.

mod config;
mod counters;
mod error;
pub mod failpoints;
mod lake;

mod flush;
mod making;
mod tables;
mod workers;
mod writer;

mod build;
mod columns;
mod rows;
mod schema;

mod block_index;
mod contained;
mod hot;
mod merge;
mod parquet_file;
mod row_sizes;

mod live_file;
mod manifests;
mod names;
mod objects;
mod sums;
mod table;
mod view;

mod lookup;

mod maintenance;
mod reachable;
mod steady;
mod stored_file;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use config::LakeConfig;
pub use counters::LakeCounts;
pub use error::LakeError;
pub use hot::HotBatch;
pub use lake::{Lake, LakeStatus, TableStatus};
pub use live_file::LiveFile;
pub use lookup::{LookupCursor, LookupEvent, LookupKey, LookupPage, LookupQuery, LookupSource};
pub use making::{EVENT_HISTORY, INSIGHTS_EVENTS, is_selected};
pub use objects::{LOCATION_PREFIX, LocalObjects, ObjectError, Objects, key_of, location_of};
pub use schema::VISIBLE_COLUMNS;
pub use view::ReadView;
