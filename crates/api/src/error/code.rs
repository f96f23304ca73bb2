//! The codes. Their names are AWS's; for the JSON protocols the name is the wire's.

use std::fmt;

use super::Protocol;

/// Declares the enum, the names, the kinds and the list of all codes from one list, so that none can be forgotten.
macro_rules! error_codes {
    ($($kind:ident { $($(#[$meta:meta])* $code:ident,)* })*) => {
        /// An error that a client of Cairn can see.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $($(
                #[doc = concat!("AWS's `", stringify!($code), "`.")]
                $(#[$meta])*
                $code,
            )*)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$($(Self::$code,)*)*];

            /// AWS's name of the error, as models, SDKs and event records (`errorCode`) spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$code => stringify!($code),)*)*
                }
            }

            const fn kind(self) -> ErrorKind {
                match self {
                    $($(Self::$code => ErrorKind::$kind,)*)*
                }
            }
        }
    };
}

error_codes! {
    Failure {
        /// A failure of ours; the cause is in the log under the request ID.
        InternalFailure,
    }
    Unavailable {
        /// The server cannot take the request now.
        ServiceUnavailable,
    }
    Throttled {
        /// Too many requests; the client should wait and try again.
        ThrottlingException,
    }
    TooSlow {
        /// The body did not arrive in time.
        RequestTimeoutException,
    }
    TooLarge {
        /// The body is larger than the operation allows.
        RequestEntityTooLargeException,
    }
    UnknownOperation {
        /// No operation of that name.
        UnknownOperationException,
    }
    Refused {
        /// The caller may not do this.
        AccessDeniedException,
        /// The session token has expired.
        ExpiredTokenException,
        /// The Authorization header lacks a part, or a header that must be signed is not.
        IncompleteSignatureException,
        /// The signature does not match, the date is off, or the scope names another service or Region.
        InvalidSignatureException,
        /// The request is not signed.
        MissingAuthenticationTokenException,
        /// The presigned URL has expired.
        RequestExpired,
        /// The access key or session token is unknown.
        UnrecognizedClientException,
    }
    // What every operation can answer.
    Invalid {
        /// The body is no JSON, or a member has the wrong JSON type.
        SerializationException,
        /// A limit of the account is reached.
        ServiceQuotaExceededException,
        /// The operation is not supported.
        UnsupportedOperationException,
        /// A member breaks a constraint of the model.
        ValidationException,
    }
    // CloudTrail's own.
    Invalid {
        AccountHasOngoingImportException,
        AccountNotFoundException,
        AccountNotRegisteredException,
        AccountRegisteredException,
        CannotDelegateManagementAccountException,
        ChannelARNInvalidException,
        ChannelAlreadyExistsException,
        ChannelExistsForEDSException,
        ChannelMaxLimitExceededException,
        ChannelNotFoundException,
        CloudTrailARNInvalidException,
        CloudTrailAccessNotEnabledException,
        CloudTrailInvalidClientTokenIdException,
        CloudWatchLogsDeliveryUnavailableException,
        ConcurrentModificationException,
        ConflictException,
        DelegatedAdminAccountLimitExceededException,
        EventDataStoreARNInvalidException,
        EventDataStoreAlreadyExistsException,
        EventDataStoreFederationEnabledException,
        EventDataStoreHasOngoingImportException,
        EventDataStoreMaxLimitExceededException,
        EventDataStoreNotFoundException,
        EventDataStoreTerminationProtectedException,
        GenerateResponseException,
        ImportNotFoundException,
        InactiveEventDataStoreException,
        InactiveQueryException,
        InsightNotEnabledException,
        InsufficientDependencyServiceAccessPermissionException,
        InsufficientEncryptionPolicyException,
        InsufficientIAMAccessPermissionException,
        InsufficientS3BucketPolicyException,
        InsufficientSnsTopicPolicyException,
        InvalidCloudWatchLogsLogGroupArnException,
        InvalidCloudWatchLogsRoleArnException,
        InvalidDateRangeException,
        InvalidEventCategoryException,
        InvalidEventDataStoreCategoryException,
        InvalidEventDataStoreStatusException,
        InvalidEventSelectorsException,
        InvalidHomeRegionException,
        InvalidImportSourceException,
        InvalidInsightSelectorsException,
        InvalidKmsKeyIdException,
        InvalidLookupAttributesException,
        InvalidMaxResultsException,
        InvalidNextTokenException,
        InvalidParameterCombinationException,
        InvalidParameterException,
        InvalidQueryStatementException,
        InvalidQueryStatusException,
        InvalidS3BucketNameException,
        InvalidS3PrefixException,
        InvalidSnsTopicNameException,
        InvalidSourceException,
        InvalidTagParameterException,
        InvalidTimeRangeException,
        InvalidTokenException,
        InvalidTrailNameException,
        KmsException,
        KmsKeyDisabledException,
        KmsKeyNotFoundException,
        MaxConcurrentQueriesException,
        MaximumNumberOfTrailsExceededException,
        NoManagementAccountSLRExistsException,
        NotOrganizationManagementAccountException,
        NotOrganizationMasterAccountException,
        OperationNotPermittedException,
        OrganizationNotInAllFeaturesModeException,
        OrganizationsNotInUseException,
        QueryIdNotFoundException,
        ResourceARNNotValidException,
        ResourceNotFoundException,
        ResourcePolicyNotFoundException,
        ResourcePolicyNotValidException,
        ResourceTypeNotSupportedException,
        S3BucketDoesNotExistException,
        TagsLimitExceededException,
        TrailAlreadyExistsException,
        TrailNotFoundException,
        TrailNotProvidedException,
    }
    // CloudTrail Data's own.
    Invalid {
        ChannelInsufficientPermission,
        ChannelNotFound,
        ChannelUnsupportedSchema,
        DuplicatedAuditEventId,
        InvalidChannelARN,
    }
}

impl ErrorCode {
    /// The HTTP status under a protocol.
    ///
    /// AWS JSON services answer every error of the caller with 400; REST-JSON and Query services answer 403 for
    /// authentication and authorization. SDKs read the code first and the status second, except that the older retry
    /// mode of botocore retries `ThrottlingException` only with status 400 and bare statuses 429, 500, 502, 503, 504.
    pub const fn http_status(self, protocol: Protocol) -> u16 {
        match (self.kind(), protocol) {
            (ErrorKind::Refused, Protocol::RestJson | Protocol::Query) => 403,
            (ErrorKind::Throttled, Protocol::RestJson) => 429,
            (ErrorKind::UnknownOperation, Protocol::RestJson) => 404,
            (ErrorKind::TooLarge, _) => 413,
            (ErrorKind::TooSlow, _) => 408,
            (ErrorKind::Failure, _) => 500,
            (ErrorKind::Unavailable, _) => 503,
            (
                ErrorKind::Invalid
                | ErrorKind::Refused
                | ErrorKind::Throttled
                | ErrorKind::UnknownOperation,
                _,
            ) => 400,
        }
    }

    /// The name on the wire. Query services have older names for what all services share.
    pub const fn wire_name(self, protocol: Protocol) -> &'static str {
        match (protocol, self) {
            (Protocol::Query, Self::AccessDeniedException) => "AccessDenied",
            (Protocol::Query, Self::ExpiredTokenException) => "ExpiredToken",
            (Protocol::Query, Self::IncompleteSignatureException) => "IncompleteSignature",
            (Protocol::Query, Self::InvalidSignatureException) => "SignatureDoesNotMatch",
            (Protocol::Query, Self::MissingAuthenticationTokenException) => {
                "MissingAuthenticationToken"
            }
            (Protocol::Query, Self::SerializationException) => "MalformedInput",
            (Protocol::Query, Self::ThrottlingException) => "Throttling",
            (Protocol::Query, Self::UnknownOperationException) => "InvalidAction",
            (Protocol::Query, Self::UnrecognizedClientException) => "InvalidClientTokenId",
            (Protocol::Query, Self::ValidationException) => "ValidationError",
            (Protocol::AwsJson | Protocol::RestJson | Protocol::Query, code) => code.name(),
        }
    }

    /// Whether the same request may succeed later without any change.
    pub const fn is_retryable(self) -> bool {
        match self.kind() {
            ErrorKind::Throttled
            | ErrorKind::TooSlow
            | ErrorKind::Failure
            | ErrorKind::Unavailable => true,
            ErrorKind::Invalid
            | ErrorKind::Refused
            | ErrorKind::TooLarge
            | ErrorKind::UnknownOperation => false,
        }
    }

    /// Whether the fault is the caller's ("Sender" in AWS's words) and not the server's.
    pub const fn is_callers_fault(self) -> bool {
        !matches!(self.kind(), ErrorKind::Failure | ErrorKind::Unavailable)
    }
}

/// What decides status and retry.
#[derive(Clone, Copy)]
enum ErrorKind {
    /// The request is wrong, or what it asks for is not there or not allowed by the state of things.
    Invalid,
    /// The caller is unknown or may not do this.
    Refused,
    Throttled,
    UnknownOperation,
    TooLarge,
    TooSlow,
    Failure,
    Unavailable,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
