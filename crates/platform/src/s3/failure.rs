//! Why a request to an endpoint failed, in the words that GetTrailStatus tells.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// A request that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct S3Failure {
    /// S3's own code, for example `NoSuchBucket` or `AccessDenied`; else one of the words of this type.
    pub code: String,
    /// S3's own message, or what happened on the way.
    pub message: String,
    /// Whether time ran out: the request may have been carried out all the same.
    pub is_timeout: bool,
    /// The status of the answer, if there was one.
    pub http_status: Option<u16>,
}

impl S3Failure {
    /// Time ran out.
    pub const TIMEOUT: &str = "Timeout";
    /// No connection, or it was cut.
    pub const CONNECTION: &str = "ConnectionFailed";
    /// An answer that is none of S3's.
    pub const INVALID_ANSWER: &str = "InvalidResponse";
    /// The object was put, but not encrypted as it should be.
    pub const NOT_ENCRYPTED: &str = "NotEncrypted";
    /// The request could not be made: what was to be sent is not as described.
    pub const INVALID_REQUEST: &str = "InvalidRequest";

    /// A failure of this code, without an answer.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            is_timeout: false,
            http_status: None,
        }
    }

    /// Whether the object, not its bucket, is missing.
    pub fn is_no_such_key(&self) -> bool {
        self.code == "NoSuchKey"
    }

    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let http_status = error.raw_response().map(|answer| answer.status().as_u16());
        let is_timeout = match error {
            SdkError::TimeoutError(_) => true,
            SdkError::DispatchFailure(failure) => failure.is_timeout(),
            _ => false,
        };
        let (code, message) = match error {
            SdkError::ServiceError(failure) => {
                let told = failure.err();
                let code = told
                    .code()
                    .map_or_else(|| code_of(http_status), str::to_owned);
                let message = told.message().map(str::to_owned);
                (code, message.unwrap_or_else(|| causes(error)))
            }
            _ if is_timeout => (Self::TIMEOUT.to_owned(), causes(error)),
            SdkError::ConstructionFailure(_) => (Self::INVALID_REQUEST.to_owned(), causes(error)),
            SdkError::DispatchFailure(_) => (Self::CONNECTION.to_owned(), causes(error)),
            _ => (Self::INVALID_ANSWER.to_owned(), causes(error)),
        };
        Self {
            code,
            message,
            is_timeout,
            http_status,
        }
    }
}

/// The code of an answer without a body, as HEAD gives it.
fn code_of(http_status: Option<u16>) -> String {
    let code = match http_status {
        Some(301 | 307 | 308) => "PermanentRedirect",
        Some(403) => "AccessDenied",
        Some(404) => "NotFound",
        Some(412) => "PreconditionFailed",
        Some(503) => "SlowDown",
        Some(500..=599) => "InternalError",
        _ => S3Failure::INVALID_ANSWER,
    };
    code.to_owned()
}

/// What stands in the first element of that name.
pub(super) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    Some(content)
}

/// The innermost causes: the SDK's own text says only that something failed.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
