//! Values of answers that several operations give.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::digest;
use cairn_model::AccountId;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto;
use s3s::{S3Result, s3_error};

use crate::checksums::{Algorithm, ChecksumKind, StoredChecksum};
use crate::store::{NULL_VERSION, Version, Versioning};

/// What S3 writes as itself under `encoding-type=url`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'/')
    .remove(b'*');
/// Most entries of a page, whatever the caller asks (S3's own bound).
const PAGE_ENTRIES_MAX: usize = 1000;

/// A time of the index.
pub(super) fn timestamp(unix_ms: i64) -> dto::Timestamp {
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or_default());
    (UNIX_EPOCH + since).into()
}

/// The same as HTTP's headers have it: in whole seconds.
pub(super) fn http_time(unix_ms: i64) -> dto::Timestamp {
    timestamp(unix_ms - unix_ms.rem_euclid(1000))
}

pub(super) fn entity_tag(text: &str) -> dto::ETag {
    dto::ETag::Strong(text.to_owned())
}

pub(super) fn wire_bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(super) fn wire_count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// How many entries a page may have.
pub(super) fn entries_max(asked: Option<i32>) -> S3Result<usize> {
    match asked {
        None => Ok(PAGE_ENTRIES_MAX),
        Some(count) => usize::try_from(count)
            .map(|count| count.min(PAGE_ENTRIES_MAX))
            .map_err(|_| s3_error!(InvalidArgument, "A maximum must not be negative")),
    }
}

/// A version's ID as answers tell it: not at all in a bucket that never had versions.
pub(super) fn told_version(versioning: Versioning, version: &Version) -> Option<String> {
    let is_silent = versioning == Versioning::Unversioned && version.version == NULL_VERSION;
    (!is_silent).then(|| version.version.clone())
}

/// The ID of an account's canonical user: stable, and not the account's number.
pub(super) fn canonical_id(account: AccountId) -> String {
    let text = format!("cairn canonical user {account}");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref()
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

pub(super) fn owner(account: AccountId) -> dto::Owner {
    dto::Owner {
        display_name: None,
        id: Some(canonical_id(account)),
    }
}

/// A key as a listing writes it.
pub(super) fn encoded(text: String, encoding: Option<&dto::EncodingType>) -> String {
    match encoding {
        Some(_) => utf8_percent_encode(&text, ENCODED).to_string(),
        None => text,
    }
}

/// The one encoding that there is.
pub(super) fn known_encoding(encoding: Option<&dto::EncodingType>) -> S3Result<()> {
    match encoding.map(dto::EncodingType::as_str) {
        None | Some("url") => Ok(()),
        Some(_) => Err(s3_error!(
            InvalidArgument,
            "Invalid Encoding Method specified in Request"
        )),
    }
}

/// A checksum as answers tell it.
pub(super) fn wire_checksum(stored: Option<&StoredChecksum>) -> dto::Checksum {
    let mut told = dto::Checksum::default();
    let Some(stored) = stored else {
        return told;
    };
    let value = Some(stored.value.clone());
    match stored.algorithm {
        Algorithm::Crc32 => told.checksum_crc32 = value,
        Algorithm::Crc32c => told.checksum_crc32c = value,
        Algorithm::Crc64Nvme => told.checksum_crc64nvme = value,
        Algorithm::Sha1 => told.checksum_sha1 = value,
        Algorithm::Sha256 => told.checksum_sha256 = value,
    }
    told.checksum_type = Some(wire_kind(stored.kind));
    told
}

pub(super) fn wire_kind(kind: ChecksumKind) -> dto::ChecksumType {
    dto::ChecksumType::from_static(match kind {
        ChecksumKind::FullObject => dto::ChecksumType::FULL_OBJECT,
        ChecksumKind::Composite => dto::ChecksumType::COMPOSITE,
    })
}

/// Headers of an error that speaks of a delete marker.
pub(super) fn marker_headers(version: &Version) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let xml = HeaderValue::from_static("application/xml");
    headers.insert(header::CONTENT_TYPE, xml);
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&version.version) {
        headers.insert("x-amz-version-id", id);
    }
    headers
}
