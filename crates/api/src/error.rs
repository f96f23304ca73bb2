//! Every error that a client can see: code, HTTP status and form, made in this one place.
//!
//! A handler says which code and with what words; the protocol decides the rest. Internal causes never stand in an
//! [`ApiError`]: the server logs them under the same request ID.

mod code;

pub use code::ErrorCode;

/// The wire protocol of a request, which decides how an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// AWS JSON 1.1: operations are named by `X-Amz-Target`.
    AwsJson,
    /// REST-JSON: operations are named by method and path.
    RestJson,
    /// AWS Query: form in, XML out (IAM, STS).
    Query,
}

/// A refusal or failure, as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// Which error.
    pub code: ErrorCode,
    /// AWS's words for it.
    pub message: String,
}

impl ApiError {
    /// An error with AWS's words for it.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// What a client learns of a failure of ours; the cause belongs in the log.
    pub fn internal_failure() -> Self {
        let message =
            "The request processing has failed because of an unknown error, exception or failure.";
        Self::new(ErrorCode::InternalFailure, message)
    }

    /// The answer of an operation that is in the table but not built.
    pub fn not_built(operation: &str) -> Self {
        let message =
            format!("The operation {operation} is not supported by this version of Cairn.");
        Self::new(ErrorCode::UnsupportedOperationException, message)
    }

    /// The HTTP status under a protocol.
    pub fn http_status(&self, protocol: Protocol) -> u16 {
        self.code.http_status(protocol)
    }

    /// The name on the wire under a protocol.
    pub fn wire_name(&self, protocol: Protocol) -> &'static str {
        self.code.wire_name(protocol)
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }
}
