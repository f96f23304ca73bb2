//! This crate is the embedded S3 endpoint: buckets on the local disk, and beside them the lake's own
//! objects as a read-only bucket, so that outside engines read the Iceberg tables where their metadata
//! says they are.

mod access_log;
mod answered;
mod answers;
mod checksums;
mod endpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gatekeeper;
mod listing;
mod operation;
mod payload;
mod plain_body;
mod read_only;
mod service;
mod store;
mod stored_objects;
mod unsupported;
mod visit;

pub use access_log::{AccessLog, AccessLogConfig, AccessLogCounters, AccessLogEntry, Due};
pub use answered::Answered;
pub use endpoint::{BucketEndpoint, refusal};
pub use error::BucketsError;
pub use gatekeeper::{
    Admission, BucketFacts, Caller, Demand, Denied, Gatekeeper, KeyUse, LogDelivery, NewObjectKey,
    Outcome, RequestHead, WrappedObjectKey,
};
pub use operation::{Access, Operation, Plane};
pub use payload::{BODY_BYTES_MAX, BodyTimedOut};
pub use read_only::LakeBucket;
pub use s3s::Body;
pub use store::{
    Buckets, BucketsConfig, BucketsCounters, EncryptionContext, LoggedBucket, PlainKey,
};
pub use stored_objects::{ObjectKey, ObjectKeyError, StoredObjects, StoredObjectsError};
