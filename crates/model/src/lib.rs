//! This crate defines Cairn's nouns as values: identifiers, ARNs, times, and the event record with its
//! routing header. It does no I/O, reads no clock and is not async.

mod arn;
mod batch;
mod control;
pub mod destination;
mod event_time;
mod header;
mod identifiers;
pub mod json;
mod lookup;
mod record;
pub mod selectors;
mod trail;

pub use arn::{Arn, ArnError};
pub use batch::{BatchError, split_batch};
pub use control::{ControlRecord, ControlRecordError};
pub use event_time::{EventTime, EventTimeError};
pub use header::{EventClass, HeaderError, ResourceReference, RoutingHeader};
pub use identifiers::{AccountId, AccountIdError, PartitionId, Region, RegionError, Sequence};
pub use record::{
    CanonicalEvent, Completion, EVENT_BYTES_MAX, EventVersion, RecordError, canonicalize,
    insight_type_of_trail, is_insight_of_store,
};
pub use trail::{
    InsightSelector, LogGroup, Logging, SnsTopic, Trail, TrailId, TrailSettings, trail_arn,
};
