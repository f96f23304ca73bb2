//! From an outcome to the bytes of an answer. The server adds the request ID and what every answer carries.

use serde::Serialize;
use serde_json::json;

use crate::error::{ApiError, Protocol};

/// An answer without the headers that all answers share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `x-amzn-ErrorType`, on errors.
    pub error_type: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
}

/// The content type of a protocol's answers.
pub const fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::AwsJson => "application/x-amz-json-1.1",
        Protocol::RestJson => "application/json",
        Protocol::Query => "text/xml",
    }
}

/// A success in one of the JSON protocols.
pub fn success<T: Serialize>(protocol: Protocol, output: &T) -> Result<Answer, ApiError> {
    // Generated outputs always serialize; anything else that is passed and does not is a failure of ours.
    let body = serde_json::to_vec(output).map_err(|_| ApiError::internal_failure())?;
    Ok(Answer {
        status: 200,
        content_type: content_type(protocol),
        error_type: None,
        body,
    })
}

/// An error. AWS JSON names it in the body (`__type`), REST-JSON in a header, Query in XML; SDKs look in several of
/// these places, so the header is always there.
pub fn failure(protocol: Protocol, error: &ApiError, request_id: &str) -> Answer {
    let name = error.wire_name(protocol);
    let body = match protocol {
        Protocol::AwsJson => json!({ "__type": name, "message": error.message }).to_string(),
        Protocol::RestJson => json!({ "message": error.message }).to_string(),
        Protocol::Query => {
            let kind = if error.code.is_callers_fault() {
                "Sender"
            } else {
                "Receiver"
            };
            let message = xml_text(&error.message);
            let request_id = xml_text(request_id);
            format!(
                "<ErrorResponse><Error><Type>{kind}</Type><Code>{name}</Code><Message>{message}</Message></Error>\
                 <RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        }
    };
    Answer {
        status: error.http_status(protocol),
        content_type: content_type(protocol),
        error_type: Some(name),
        body: body.into_bytes(),
    }
}

/// Text as it stands between XML tags. Control characters have no form in XML 1.0 and are dropped.
fn xml_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            control if control.is_control() || matches!(control, '\u{FFFE}' | '\u{FFFF}') => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
