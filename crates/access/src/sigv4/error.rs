//! Why a request is not authenticated. The messages are the ones that AWS's clients show; the server
//! chooses code and status by [`AuthenticationError::kind`] and its protocol.

use std::fmt;

/// The parts of a request that can be malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPart {
    /// The `Authorization` header.
    Authorization,
    /// The `Credential` parameter.
    Credential,
    /// The `SignedHeaders` parameter.
    SignedHeaders,
    /// The `Signature` parameter.
    Signature,
    /// The time of signing.
    Date,
    /// The life of a presigned request.
    Expires,
    /// `x-amz-content-sha256`.
    PayloadHash,
    /// `x-amz-decoded-content-length`.
    DecodedLength,
    /// The path.
    Path,
    /// The query.
    Query,
    /// A header's name.
    HeaderName,
}

impl fmt::Display for RequestPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorization => "Authorization header",
            Self::Credential => "Credential",
            Self::SignedHeaders => "SignedHeaders",
            Self::Signature => "Signature",
            Self::Date => "X-Amz-Date",
            Self::Expires => "X-Amz-Expires",
            Self::PayloadHash => "X-Amz-Content-SHA256",
            Self::DecodedLength => "X-Amz-Decoded-Content-Length",
            Self::Path => "path",
            Self::Query => "query string",
            Self::HeaderName => "header name",
        })
    }
}

/// Why a request is not authenticated. No variant carries a secret or an expected signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// Neither header nor query carries a signature.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// Both the header and the query carry one: which of them counts must never be a matter of
    /// taste (TESTING 2.4, MinIO).
    #[error("Only one auth mechanism is allowed: the Authorization header or the query string")]
    Ambiguous,
    /// A header that decides who the caller is came more than once.
    #[error("The {name} header must be sent only once")]
    RepeatedHeader {
        /// The header.
        name: &'static str,
    },
    /// An algorithm other than AWS4-HMAC-SHA256.
    #[error("Unsupported AWS 'algorithm': only AWS4-HMAC-SHA256 is supported")]
    UnsupportedAlgorithm,
    /// A parameter that every signature needs is not there.
    #[error("Authorization requires '{parameter}' parameter")]
    Incomplete {
        /// The parameter.
        parameter: &'static str,
    },
    /// A parameter came more than once or is not one of the signature's.
    #[error("Authorization has a repeated or unknown parameter")]
    UnexpectedParameter,
    /// A part that cannot be read.
    #[error("The {part} of the request is malformed")]
    Malformed {
        /// The part.
        part: RequestPart,
    },
    /// A header that must be covered by the signature is not.
    #[error("'{name}' must be a 'SignedHeader' in the AWS Authorization.")]
    HeaderNotSigned {
        /// The header.
        name: String,
    },
    /// A header that the signature claims to cover was not sent.
    #[error("'{name}' is a 'SignedHeader' but was not sent")]
    SignedHeaderAbsent {
        /// The header.
        name: String,
    },
    /// The scope names another day than the request.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
         '{scope_date}' != '{request_date}'"
    )]
    ScopeDateMismatch {
        /// The scope's day.
        scope_date: String,
        /// The request's day.
        request_date: String,
    },
    /// The request was signed too long ago.
    #[error("Signature expired: {signed_at} is now earlier than {earliest}")]
    SignatureExpired {
        /// When the request says that it was signed.
        signed_at: String,
        /// The earliest acceptable time.
        earliest: String,
    },
    /// The request was signed in the future.
    #[error("Signature not yet current: {signed_at} is still later than {latest}")]
    SignatureNotYetCurrent {
        /// When the request says that it was signed.
        signed_at: String,
        /// The latest acceptable time.
        latest: String,
    },
    /// A presigned request has outlived its `X-Amz-Expires`.
    #[error("Request has expired")]
    PresignedExpired,
    /// The service does not accept this kind of payload hash.
    #[error("The payload must be signed: '{declared}' is not accepted here")]
    PayloadNotAllowed {
        /// What the request declared.
        declared: String,
    },
    /// The body is not the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadMismatch,
    /// The signature is wrong, whatever the cause: secret, path, header or body.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    SignatureDoesNotMatch,
    /// The scope names a Region that the caller of [`super::parse`] does not serve.
    #[error("Credential should be scoped to a valid region.")]
    ScopeRegion,
    /// The scope names a service that this endpoint is not.
    #[error("Credential should be scoped to correct service.")]
    ScopeService,
    /// No such access key, or it is inactive: the two are told apart only in our own log.
    #[error("The security token included in the request is invalid.")]
    UnknownAccessKey,
    /// The session token is missing, forged, or belongs to another key.
    #[error("The security token included in the request is invalid")]
    InvalidSessionToken,
    /// The session is over.
    #[error("The security token included in the request is expired")]
    ExpiredSessionToken,
}

/// The answers that AWS's protocols distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationErrorKind {
    /// `MissingAuthenticationToken`.
    Missing,
    /// `IncompleteSignature`.
    Incomplete,
    /// `InvalidSignatureException` in JSON, `SignatureDoesNotMatch` in Query and XML.
    InvalidSignature,
    /// The request's own time is off: `InvalidSignatureException` in JSON, `SignatureDoesNotMatch` in
    /// Query, `RequestTimeTooSkewed` in S3.
    Skewed,
    /// A presigned request is over: `RequestExpired`, in S3 `AccessDenied`.
    Expired,
    /// `UnrecognizedClientException` in JSON, `InvalidClientTokenId` in Query, `InvalidAccessKeyId` in
    /// S3.
    UnknownKey,
    /// `UnrecognizedClientException` in JSON, `InvalidClientTokenId` in Query, `InvalidToken` in S3.
    InvalidToken,
    /// `ExpiredTokenException` in JSON, `ExpiredToken` elsewhere.
    ExpiredToken,
}

impl AuthenticationError {
    /// Which of AWS's answers this is.
    pub fn kind(&self) -> AuthenticationErrorKind {
        use AuthenticationErrorKind as Kind;
        match self {
            Self::Missing => Kind::Missing,
            Self::Ambiguous
            | Self::RepeatedHeader { .. }
            | Self::UnsupportedAlgorithm
            | Self::Incomplete { .. }
            | Self::UnexpectedParameter
            | Self::Malformed { .. } => Kind::Incomplete,
            Self::HeaderNotSigned { .. }
            | Self::SignedHeaderAbsent { .. }
            | Self::ScopeDateMismatch { .. }
            | Self::PayloadNotAllowed { .. }
            | Self::PayloadMismatch
            | Self::SignatureDoesNotMatch
            | Self::ScopeRegion
            | Self::ScopeService => Kind::InvalidSignature,
            Self::SignatureExpired { .. } | Self::SignatureNotYetCurrent { .. } => Kind::Skewed,
            Self::PresignedExpired => Kind::Expired,
            Self::UnknownAccessKey => Kind::UnknownKey,
            Self::InvalidSessionToken => Kind::InvalidToken,
            Self::ExpiredSessionToken => Kind::ExpiredToken,
        }
    }

    /// Whether the same credentials may succeed on a later try: only a clock that was off can mend
    /// itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), AuthenticationErrorKind::Skewed)
    }
}
