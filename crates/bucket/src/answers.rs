//! Refusals and failures as S3's errors: one place for codes, statuses and texts.

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::error::BucketsError;
use crate::gatekeeper::Denied;

/// The gatekeeper's refusal.
pub(crate) fn denied(reason: &Denied) -> S3Error {
    with_code(reason.code, reason.message.clone())
}

/// An error with a code that the protocol library need not know; the client's mistake if it does not.
pub(crate) fn with_code(code: &str, message: String) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::AccessDenied);
    let is_unknown = code.status_code().is_none();
    let mut error = S3Error::with_message(code, message);
    if is_unknown {
        error.set_status_code(StatusCode::BAD_REQUEST);
    }
    error
}

/// What a client learns of a defect.
pub(crate) fn internal_error() -> S3Error {
    let message = "We encountered an internal error. Please try again.";
    S3Error::with_message(S3ErrorCode::InternalError, message)
}

/// What a client learns of an error of the store. Internal causes are not for it: callers must note them.
#[expect(clippy::too_many_lines, reason = "a flat table of codes and texts")]
pub(crate) fn of_store(error: &BucketsError) -> S3Error {
    match error {
        BucketsError::InUse { .. }
        | BucketsError::Unsafe { .. }
        | BucketsError::Failed { .. }
        | BucketsError::Damaged { .. } => internal_error(),
        BucketsError::Busy { .. } => s3_error!(SlowDown, "Please reduce your request rate."),
        BucketsError::NoSpace { .. } => s3_error!(
            ServiceUnavailable,
            "There is no room to store this now. Please try again later."
        ),
        BucketsError::BodyBroken => crate::plain_body::broken_body(),
        BucketsError::NoSuchBucket => no_such_bucket(),
        BucketsError::NoSuchKey => no_such_key(),
        BucketsError::NoSuchVersion => {
            s3_error!(NoSuchVersion, "The specified version does not exist.")
        }
        BucketsError::NoSuchUpload => s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed."
        ),
        BucketsError::BucketAlreadyExists => s3_error!(
            BucketAlreadyExists,
            "The requested bucket name is not available. The bucket namespace is shared by all \
             users of the system. Please select a different name and try again."
        ),
        BucketsError::BucketAlreadyOwnedByYou => s3_error!(
            BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it."
        ),
        BucketsError::TooManyBuckets => s3_error!(
            TooManyBuckets,
            "You have attempted to create more buckets than allowed."
        ),
        BucketsError::BucketNotEmpty => s3_error!(
            BucketNotEmpty,
            "The bucket you tried to delete is not empty"
        ),
        BucketsError::InvalidLogTarget => s3_error!(
            InvalidTargetBucketForLogging,
            "The target bucket for logging does not exist, is not owned by you, or does not have the \
             appropriate grants for the log-delivery group."
        ),
        BucketsError::LogTargetElsewhere => s3_error!(
            CrossLocationLoggingProhibited,
            "Cross S3 location logging not allowed."
        ),
        BucketsError::PreconditionFailed => precondition_failed(),
        BucketsError::InvalidPart => s3_error!(
            InvalidPart,
            "One or more of the specified parts could not be found. The part may not have been \
             uploaded, or the specified entity tag may not match the part's entity tag."
        ),
        BucketsError::InvalidPartOrder => s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ),
        BucketsError::EntityTooSmall => s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ),
        BucketsError::EntityTooLarge => s3_error!(
            EntityTooLarge,
            "Your proposed upload exceeds the maximum allowed size"
        ),
        BucketsError::InvalidDigest => {
            s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid.")
        }
        BucketsError::InvalidChecksum => s3_error!(
            InvalidRequest,
            "Expecting a single, valid x-amz-checksum- header"
        ),
        BucketsError::MalformedTrailer => with_code(
            "MalformedTrailerError",
            "The request contained trailing data that was not well-formed or did not conform to \
             our published schema."
                .to_owned(),
        ),
        BucketsError::BadDigest { what } => S3Error::with_message(
            S3ErrorCode::BadDigest,
            format!("The {what} you specified did not match what we received."),
        ),
    }
}

/// A bucket that is not there.
pub(crate) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

/// An object that is not there.
pub(crate) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// A condition of the request that does not hold.
pub(crate) fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_no_fault_of_the_clients_and_passes() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = BucketsError::disk("writing a body")(kind.into());
            assert!(error.is_retryable() && error.is_defect());
            let answer = of_store(&error).status_code();
            assert_eq!(answer, Some(StatusCode::SERVICE_UNAVAILABLE));
        }
        let other = BucketsError::disk("writing a body")(io::ErrorKind::Other.into());
        let answer = of_store(&other).status_code();
        assert_eq!(answer, Some(StatusCode::INTERNAL_SERVER_ERROR));
    }
}
