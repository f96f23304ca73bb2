//! This crate is the running server: configuration, listener, doors, operations and background loops,
//! wired together.

pub mod cli;
pub mod config;
mod lifecycle;
mod logging;

mod http;

mod authenticate;
mod authorize;
mod pipeline;

mod administration;
mod bucket_gate;
pub mod iam;
mod keys;
mod kms;
mod operations;
pub mod query_protocol;
pub mod sts;
mod trail_delivery;
mod trail_destinations;

mod doors;
mod recorded_time;

mod background;
mod error;
pub mod first_start;
mod lake_keeper;
mod metrics;
mod sabotage;

pub mod client;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use error::{EXIT_LOG_FAILED, StartError};
pub use lifecycle::{RunningServer, Surroundings};
