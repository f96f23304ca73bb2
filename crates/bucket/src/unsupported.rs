//! Headers that ask for something that this endpoint does not do. A wish that is not granted is refused:
//! an object that its owner believes locked, or sealed with a key of the caller's, must not exist.

use http::HeaderMap;
use s3s::{S3Error, s3_error};

/// Headers, or beginnings of headers, that are refused whatever they say.
const REFUSED: [&str; 9] = [
    "x-amz-object-lock-",
    "x-amz-bucket-object-lock-",
    "x-amz-server-side-encryption-customer-",
    "x-amz-copy-source-server-side-encryption-customer-",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
    "x-amz-mfa",
    "x-amz-rename-source",
    "x-amz-if-match-",
];
/// Beginning of the headers that grant by access control lists.
const GRANTS: &str = "x-amz-grant-";
/// The one storage class.
const STORAGE_CLASS: &str = "STANDARD";

/// The refusal of the first header that asks for too much.
pub(crate) fn header_refusal(headers: &HeaderMap) -> Option<S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        if name.starts_with(GRANTS) {
            return Some(acl_not_supported());
        }
        if let Some(refused) = REFUSED.iter().find(|refused| name.starts_with(**refused))
            && !(name == "x-amz-bucket-object-lock-enabled" && value == "false")
        {
            return Some(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: {}",
                refused.trim_end_matches('-')
            ));
        }
        if name == "x-amz-storage-class" && value != STORAGE_CLASS {
            return Some(s3_error!(
                InvalidStorageClass,
                "The storage class you specified is not valid"
            ));
        }
    }
    None
}

/// Buckets are owner-enforced: access control lists say nothing here.
pub(crate) fn acl_not_supported() -> S3Error {
    s3_error!(
        AccessControlListNotSupported,
        "The bucket does not allow ACLs"
    )
}
