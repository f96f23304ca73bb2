//! What the client commands share: whose credentials, which endpoint, and signed requests.
//!
//! The settings are those of every AWS tool, so that one environment serves `aws` and `cairn` alike.

mod profile;
mod signed_http;

pub use profile::ProfileArguments;
pub(crate) use profile::{CalledService, ClientProfile, credentials_of_section};
pub(crate) use signed_http::{Answer, SignedHttp};
