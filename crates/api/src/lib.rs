//! This crate is the wire contract: every operation of the CloudTrail APIs with its types, constraints,
//! authorization targets and errors, and how requests are read and answers written.
//!
//! It decides nothing and keeps nothing: handlers, policy evaluation and recording live elsewhere and read the
//! operations table. The code under `generated/` is made from `api-model/` by `cargo xtask codegen`.

pub mod answer;
pub mod authorization;
pub mod error;
pub mod operations;
pub mod request;
pub mod shape;
pub mod validate;

mod blob;
mod generated;
mod timestamp;

pub use blob::Blob;
pub use error::{ApiError, ErrorCode, Protocol};
pub use generated::{cloudtrail, cloudtrail_data};
pub use operations::{Operation, OperationId, Service, UnknownOperation, find, operations, route};
pub use timestamp::Timestamp;
pub use validate::validate;
