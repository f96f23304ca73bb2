//! This crate decides who may do what: it verifies Signature Version 4, names principals and evaluates
//! policies as IAM does. It does no I/O, reads no clock and is not async.

pub mod policy;
mod principal;
mod secret;
pub mod sigv4;

pub use principal::{Principal, RoleSession, User, UserSession};
pub use secret::SecretKey;
