//! This crate is the durable ordered log of events and the cursors of its readers.

mod contract;
mod quarantined;

mod config;
mod memory;
mod segmented;

mod queue;
mod writer;

mod cache;
mod reader;
mod release;
mod scrub;

mod recovery;
mod scan;
mod segments;
mod space;
mod watermark;

mod format;

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod failpoints;
mod sabotage;

pub use config::{Damage, LogStatus, RECORD_BYTES_MAX, ScrubReport, SegmentedLogConfig};
pub use contract::{
    AppendError, EventLog, LogRecord, NewRecord, OpenError, ReadError, ReaderName, RecordKind,
};
pub use memory::MemoryLog;
#[cfg(feature = "sabotage")]
pub use sabotage::Sabotage;
pub use scrub::{SegmentInspection, decode_payload, inspect_segment};
pub use segmented::{SegmentedLog, Stepper};
