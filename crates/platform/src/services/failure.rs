//! Why a call of a service failed, in the words that GetTrailStatus tells.

use crate::S3Failure;

/// A call that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceFailure {
    /// The service's own code, for example `AuthorizationError`; else one of those of [`S3Failure`] or of this type.
    pub code: String,
    /// The service's own message, or what happened on the way.
    pub message: String,
    /// Whether time ran out: the call may have been carried out all the same.
    pub is_timeout: bool,
}

impl ServiceFailure {
    /// The configuration names no address for the service, or none for the Region.
    pub const NOT_CONFIGURED: &str = "EndpointNotConfigured";

    /// A failure of this code.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            is_timeout: false,
        }
    }

    /// Whether what was named is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.code.as_str(),
            "NotFound" | "NotFoundException" | "ResourceNotFoundException"
        )
    }

    /// Whether the service refused the caller.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AuthorizationError"
                | "AuthorizationErrorException"
                | "AccessDenied"
                | "AccessDeniedException"
        )
    }
}

impl From<S3Failure> for ServiceFailure {
    fn from(failure: S3Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
            is_timeout: failure.is_timeout,
        }
    }
}
