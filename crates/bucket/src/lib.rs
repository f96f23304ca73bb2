//! This crate is the embedded S3 endpoint over a folder.
//!
//! Today it serves one bucket, read-only: the lake's own objects, so that outside engines read the
//! Iceberg tables where their metadata says they are.

mod endpoint;
mod gatekeeper;
mod listing;
mod operation;
mod read_only;
mod stored_objects;

pub use endpoint::{ReadOnlyEndpoint, refusal};
pub use gatekeeper::{Caller, Denied, Gatekeeper, Outcome, RequestHead};
pub use operation::{Access, Operation, Plane};
pub use s3s::Body;
pub use stored_objects::{ObjectKey, ObjectKeyError, StoredObjects, StoredObjectsError};
