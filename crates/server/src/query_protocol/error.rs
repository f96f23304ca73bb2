//! Errors of the Query protocol: code, status and both spellings in one place.

use cairn_catalog::CatalogError;

use super::answer::escape;
use super::operation::QueryService;

/// What a caller of IAM or STS can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryErrorCode {
    /// The caller may not do it.
    AccessDenied,
    /// It still has parts or holders.
    DeleteConflict,
    /// The name is taken.
    EntityAlreadyExists,
    /// The action or version does not exist.
    InvalidAction,
    /// A parameter is wrong in a way that its form does not show.
    InvalidInput,
    /// A quota would be exceeded.
    LimitExceeded,
    /// The policy is not one.
    MalformedPolicyDocument,
    /// The body is not a form.
    MalformedQueryString,
    /// There is no such thing.
    NoSuchEntity,
    /// The session's policies and tags do not fit into its token.
    PackedPolicyTooLarge,
    /// The policy cannot be attached to what was named.
    PolicyNotAttachable,
    /// Something failed here.
    ServiceFailure,
    /// Busy; try again.
    ServiceUnavailable,
    /// The thing is managed by AWS.
    UnmodifiableEntity,
    /// A parameter is missing or of the wrong form.
    ValidationError,
}

/// An error as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.wire_name())]
pub struct QueryError {
    /// The code.
    pub code: QueryErrorCode,
    /// AWS's sentence.
    pub message: String,
}

impl QueryErrorCode {
    /// The code in an answer.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::DeleteConflict => "DeleteConflict",
            Self::EntityAlreadyExists => "EntityAlreadyExists",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidInput => "InvalidInput",
            Self::LimitExceeded => "LimitExceeded",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::MalformedQueryString => "MalformedQueryString",
            Self::NoSuchEntity => "NoSuchEntity",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLarge",
            Self::PolicyNotAttachable => "PolicyNotAttachable",
            Self::ServiceFailure => "ServiceFailure",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::UnmodifiableEntity => "UnmodifiableEntity",
            Self::ValidationError => "ValidationError",
        }
    }

    /// The code in the record of the call: the exception's name (SEC-027). AWS records the model's
    /// exceptions of IAM and STS with their suffix and the protocol's own errors without.
    pub fn recorded_name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::DeleteConflict => "DeleteConflictException",
            Self::EntityAlreadyExists => "EntityAlreadyExistsException",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidInput => "InvalidInputException",
            Self::LimitExceeded => "LimitExceededException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::MalformedQueryString => "MalformedQueryString",
            Self::NoSuchEntity => "NoSuchEntityException",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLargeException",
            Self::PolicyNotAttachable => "PolicyNotAttachableException",
            Self::ServiceFailure => "ServiceFailureException",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::UnmodifiableEntity => "UnmodifiableEntityException",
            Self::ValidationError => "ValidationException",
        }
    }

    /// The HTTP status.
    pub fn http_status(self) -> u16 {
        match self {
            Self::AccessDenied => 403,
            Self::NoSuchEntity => 404,
            Self::DeleteConflict | Self::EntityAlreadyExists | Self::LimitExceeded => 409,
            Self::InvalidAction
            | Self::InvalidInput
            | Self::MalformedPolicyDocument
            | Self::MalformedQueryString
            | Self::PackedPolicyTooLarge
            | Self::PolicyNotAttachable
            | Self::UnmodifiableEntity
            | Self::ValidationError => 400,
            Self::ServiceFailure => 500,
            Self::ServiceUnavailable => 503,
        }
    }
}

impl QueryError {
    /// An error with AWS's sentence.
    pub fn new(code: QueryErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        self.code.http_status()
    }

    /// `errorCode` of the record.
    pub fn recorded_code(&self) -> &'static str {
        self.code.recorded_name()
    }

    /// The body of the answer.
    pub fn xml(&self, service: QueryService, request_id: &str) -> String {
        let receiver = self.http_status() >= 500;
        let kind = if receiver {
            FaultOf::Receiver
        } else {
            FaultOf::Sender
        };
        render(
            service,
            kind,
            self.code.wire_name(),
            &self.message,
            request_id,
        )
    }

    /// Says what the catalog refused, or logs what went wrong there: a caller learns no internals.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "made to be handed to map_err"
    )]
    pub fn from_catalog(error: CatalogError) -> Self {
        let code = match &error {
            CatalogError::NoSuchEntity(_) => QueryErrorCode::NoSuchEntity,
            CatalogError::EntityAlreadyExists(_) => QueryErrorCode::EntityAlreadyExists,
            CatalogError::DeleteConflict(_) => QueryErrorCode::DeleteConflict,
            CatalogError::LimitExceeded { .. } => QueryErrorCode::LimitExceeded,
            other => {
                tracing::error!(error.message = %other, "the catalog failed");
                let code = if other.is_retryable() {
                    QueryErrorCode::ServiceUnavailable
                } else {
                    QueryErrorCode::ServiceFailure
                };
                return Self::new(code, "The request could not be completed. Try again later.");
            }
        };
        Self::new(code, error.to_string())
    }
}

#[derive(Clone, Copy)]
enum FaultOf {
    Sender,
    Receiver,
}

/// The body for an error that has no `QueryErrorCode`: one of authentication, or of the listener.
pub fn error_xml(service: QueryService, code: &str, message: &str, request_id: &str) -> String {
    render(service, FaultOf::Sender, code, message, request_id)
}

fn render(
    service: QueryService,
    fault: FaultOf,
    code: &str,
    message: &str,
    request_id: &str,
) -> String {
    let namespace = service.namespace();
    let kind = match fault {
        FaultOf::Sender => "Sender",
        FaultOf::Receiver => "Receiver",
    };
    let (code, message, request_id) = (escape(code), escape(message), escape(request_id));
    format!(
        "<ErrorResponse xmlns=\"{namespace}\">\n  <Error>\n    <Type>{kind}</Type>\n    \
         <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  \
         <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n"
    )
}
