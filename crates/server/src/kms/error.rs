//! Errors of KMS: name, status and words in one place.

use cairn_catalog::CatalogError;

use crate::keys::KeyProblem;

/// What a caller of KMS can hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KmsErrorCode {
    /// The caller may not do it.
    AccessDenied,
    /// The name is taken.
    AlreadyExists,
    /// The key is disabled.
    Disabled,
    /// It would have been done.
    DryRun,
    /// Another key made the ciphertext.
    IncorrectKey,
    /// The text is no name for an alias.
    InvalidAliasName,
    /// The text is no ARN of a key.
    InvalidArn,
    /// The ciphertext is damaged, or was made for another context.
    InvalidCiphertext,
    /// There are no grants, so no token is one.
    InvalidGrantToken,
    /// The key cannot be used in this way.
    InvalidKeyUsage,
    /// The marker is none that this service gave.
    InvalidMarker,
    /// Something failed here.
    Internal,
    /// The key's state does not allow it.
    InvalidState,
    /// A quota would be exceeded.
    LimitExceeded,
    /// The policy is not one, or would lock out its author.
    MalformedPolicyDocument,
    /// There is no such key or alias.
    NotFound,
    /// The body cannot be read.
    Serialization,
    /// A tag breaks a rule.
    Tag,
    /// Too many calls.
    Throttling,
    /// Busy; try again.
    Unavailable,
    /// There is no such operation.
    UnknownOperation,
    /// KMS has it, this service does not.
    Unsupported,
    /// A parameter is missing or of the wrong form.
    Validation,
}

/// An error as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub(crate) struct KmsError {
    /// The code.
    pub(crate) code: KmsErrorCode,
    /// KMS's words where it has some.
    pub(crate) message: String,
}

impl KmsErrorCode {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::AlreadyExists => "AlreadyExistsException",
            Self::Disabled => "DisabledException",
            Self::DryRun => "DryRunOperationException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::InvalidAliasName => "InvalidAliasNameException",
            Self::InvalidArn => "InvalidArnException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::InvalidGrantToken => "InvalidGrantTokenException",
            Self::InvalidKeyUsage => "InvalidKeyUsageException",
            Self::InvalidMarker => "InvalidMarkerException",
            Self::Internal => "KMSInternalException",
            Self::InvalidState => "KMSInvalidStateException",
            Self::LimitExceeded => "LimitExceededException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::NotFound => "NotFoundException",
            Self::Serialization => "SerializationException",
            Self::Tag => "TagException",
            Self::Throttling => "ThrottlingException",
            Self::Unavailable => "ServiceUnavailable",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Unsupported => "UnsupportedOperationException",
            Self::Validation => "ValidationException",
        }
    }

    /// The code in the record of the call: CloudTrail writes refusals of authorization without their suffix.
    pub(crate) fn recorded_name(self) -> &'static str {
        if self == Self::AccessDenied {
            return "AccessDenied";
        }
        self.name()
    }

    /// The HTTP status.
    pub(crate) fn http_status(self) -> u16 {
        match self {
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::AccessDenied
            | Self::AlreadyExists
            | Self::Disabled
            | Self::DryRun
            | Self::IncorrectKey
            | Self::InvalidAliasName
            | Self::InvalidArn
            | Self::InvalidCiphertext
            | Self::InvalidGrantToken
            | Self::InvalidKeyUsage
            | Self::InvalidMarker
            | Self::InvalidState
            | Self::LimitExceeded
            | Self::MalformedPolicyDocument
            | Self::NotFound
            | Self::Serialization
            | Self::Tag
            | Self::Throttling
            | Self::UnknownOperation
            | Self::Unsupported
            | Self::Validation => 400,
        }
    }

    /// Whether the same call may succeed later.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Self::Throttling | Self::Unavailable)
    }
}

impl KmsError {
    /// An error with KMS's words.
    pub(crate) fn new(code: KmsErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A parameter is missing or of the wrong form.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(KmsErrorCode::Validation, message)
    }

    /// KMS has it, this service does not.
    pub(super) fn unsupported(what: &str) -> Self {
        let message = format!("{what} is not supported by this version of Cairn.");
        Self::new(KmsErrorCode::Unsupported, message)
    }

    /// The answer of an operation that is in the table but not built.
    pub(crate) fn not_built(operation: &str) -> Self {
        Self::unsupported(&format!("The operation {operation}"))
    }

    /// What a caller learns of a failure of ours; the cause is in the log.
    pub(crate) fn internal() -> Self {
        Self::new(
            KmsErrorCode::Internal,
            "The request could not be processed because of an internal error.",
        )
    }

    /// Logs what went wrong in the catalog: a caller learns no internals.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "made to be handed to map_err"
    )]
    pub(crate) fn from_catalog(error: CatalogError) -> Self {
        tracing::error!(error = %error, "the catalog failed");
        if error.is_retryable() {
            let message = "The request could not be completed. Try again later.";
            return Self::new(KmsErrorCode::Unavailable, message);
        }
        Self::internal()
    }
}

impl From<KeyProblem> for KmsError {
    fn from(problem: KeyProblem) -> Self {
        let code = match problem {
            KeyProblem::NotFound { .. } => KmsErrorCode::NotFound,
            KeyProblem::Disabled { .. } => KmsErrorCode::Disabled,
            KeyProblem::PendingDeletion { .. } => KmsErrorCode::InvalidState,
            KeyProblem::WrongKind { .. } => KmsErrorCode::InvalidKeyUsage,
            KeyProblem::Denied { .. } => KmsErrorCode::AccessDenied,
            KeyProblem::InvalidCiphertext => KmsErrorCode::InvalidCiphertext,
            KeyProblem::Unavailable => KmsErrorCode::Unavailable,
        };
        Self::new(code, problem.to_string())
    }
}
