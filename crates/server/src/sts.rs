//! The Security Token Service: temporary credentials, which are stateless. Everything that a session
//! is stands in its token, sealed with the master key, so no node has to remember it.

mod assume_role;
mod caller_identity;
mod service_session;
pub(crate) mod session;
mod session_token;
mod table;

pub(crate) use assume_role::targets as assume_role_targets;
pub(crate) use service_session::service_caller;
pub use service_session::{ServiceCredentials, ServiceSession, ServiceSource, service_credentials};
pub use session::{SessionFacts, TokenError, open_token, session_policy_documents};
pub use table::OPERATIONS;

#[cfg(test)]
mod tests;
