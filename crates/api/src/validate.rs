//! Holds a request to the model before any handler sees it: JSON types, required members, lengths, ranges, patterns
//! and enums, and the few rules that the models state in prose only.
//!
//! A wrong JSON type is a `SerializationException`. Everything else is collected and answered at once in AWS's words,
//! under the exception that the operation's model has for the member ([`refusals`]), else `ValidationException`.
//! The cost is linear in the size of the request; messages are bounded, and never repeat a sensitive value.

mod constraints;
mod message;
mod prose;
mod refusals;
mod trail_name;

use serde_json::Value;

use crate::error::{ApiError, ErrorCode};
use crate::operations::Operation;

pub use refusals::refusal;

/// Checks a request against the operation's model.
pub fn validate(operation: &Operation, request: &Value) -> Result<(), ApiError> {
    let failures = constraints::check(operation, request)?;
    if let Some(first) = failures.first() {
        let code = refusals::refusal(operation, first.root, first.is_missing);
        return Err(ApiError::new(code, message::compose(&failures)));
    }
    prose::check(operation, request)
}

/// Checks the name of a trail (TRL-274 to TRL-278).
pub fn trail_name(name: &str) -> Result<(), ApiError> {
    trail_name::check(name)
        .map_err(|message| ApiError::new(ErrorCode::InvalidTrailNameException, message))
}

/// A constraint that the request breaks.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The member of the request that it lies under.
    root: &'static str,
    /// Whether the member is required and not there.
    is_missing: bool,
    /// AWS's sentence for it, without the count that goes before all sentences.
    sentence: String,
}

fn serialization(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::SerializationException, message)
}

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
