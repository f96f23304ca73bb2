//! This crate is the durable ordered log of events and the cursors of its readers.

mod contract;

pub use contract::{
    AppendError, EventLog, LogRecord, NewRecord, ReadError, ReaderName, RecordKind,
};
