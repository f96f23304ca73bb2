//! From the bytes of a request to the JSON value that `validate` checks and handlers read.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{ApiError, ErrorCode};
use crate::operations::Operation;
use crate::shape::Location;

/// Content types of AWS JSON that are read. AWS's services take the 1.0 spelling as well.
const CONTENT_TYPES_AWS_JSON: [&str; 2] =
    ["application/x-amz-json-1.1", "application/x-amz-json-1.0"];

/// Whether an AWS JSON request with this `Content-Type` can be read. Parameters such as a character set are ignored.
pub fn is_aws_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    CONTENT_TYPES_AWS_JSON
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

/// The body of a request as JSON.
///
/// An empty body is an empty object: AWS's services take requests without payload where nothing is required. Nesting
/// is bounded (128 levels), and the caller has bounded the size by the operation's `request_bytes_max`.
pub fn read_body(operation: &Operation, body: &[u8]) -> Result<Value, ApiError> {
    if body.len() > operation.request_bytes_max {
        let message = format!(
            "Request must be smaller than {} bytes",
            operation.request_bytes_max
        );
        return Err(ApiError::new(
            ErrorCode::RequestEntityTooLargeException,
            message,
        ));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(ApiError::new(
            ErrorCode::SerializationException,
            "The request body is not a JSON object",
        )),
        Err(_) => Err(ApiError::new(
            ErrorCode::SerializationException,
            "The request body is not valid JSON",
        )),
    }
}

/// Puts the members that the query string carries into the request. A parameter given twice is refused, so that the
/// one that is authorized is the one that is used (R20).
pub fn add_query_members(
    operation: &Operation,
    parameters: &[(String, String)],
    request: &mut Value,
) -> Result<(), ApiError> {
    let Value::Object(members) = request else {
        return Ok(());
    };
    for member in operation.input.members() {
        let Location::Query(parameter) = member.location else {
            continue;
        };
        // The body cannot stand in for the query string.
        members.remove(member.name);
        let mut values = parameters.iter().filter(|(name, _)| name == parameter);
        let value = values.next();
        if values.next().is_some() {
            let message = format!("The query parameter {parameter} is given more than once");
            return Err(ApiError::new(ErrorCode::ValidationException, message));
        }
        if let Some((_, value)) = value {
            members.insert(member.name.to_owned(), Value::String(value.clone()));
        }
    }
    Ok(())
}

/// The typed form of a request that `validate` has passed.
pub fn typed<T: DeserializeOwned>(request: Value) -> Result<T, ApiError> {
    serde_json::from_value(request).map_err(|error| {
        // `validate` holds requests to the same model that the types are made from; this is its safety net.
        ApiError::new(ErrorCode::SerializationException, error.to_string())
    })
}
