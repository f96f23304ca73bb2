//! What requests ask of objects in their headers: properties, access, conditions of writing.

use std::collections::HashMap;

use http::HeaderMap;
use s3s::dto;
use s3s::{S3Result, s3_error};

use super::Keys;
use crate::store::{Conditions, Properties};
use crate::unsupported::acl_not_supported;

/// What S3 calls an object whose kind nobody named.
const CONTENT_TYPE: &str = "binary/octet-stream";
/// Most bytes of names and values of user metadata.
const METADATA_BYTES_MAX: usize = 2048;
/// S3's bound on the length of a key, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 1024;

/// Headers that are condition keys by their own names.
const HEADER_KEYS: [(&str, &str); 8] = [
    ("x-amz-acl", "s3:x-amz-acl"),
    (
        "x-amz-server-side-encryption",
        "s3:x-amz-server-side-encryption",
    ),
    (
        "x-amz-server-side-encryption-aws-kms-key-id",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    ),
    ("x-amz-copy-source", "s3:x-amz-copy-source"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
    ("if-match", "s3:if-match"),
    ("if-none-match", "s3:if-none-match"),
];

/// The condition keys of a request that writes.
pub(super) fn header_keys(headers: &HeaderMap) -> Keys {
    HEADER_KEYS
        .into_iter()
        .filter_map(|(header, key)| {
            let value = headers.get(header)?.to_str().ok()?;
            Some((key, value.to_owned()))
        })
        .collect()
}

/// The condition key of a named version.
pub(super) fn version_key(version: Option<&str>) -> Keys {
    let version = version.map(|version| ("s3:VersionId", version.to_owned()));
    version.into_iter().collect()
}

/// The properties that a request gives an object.
pub(super) fn properties(
    headers: &HeaderMap,
    content_type: Option<String>,
    metadata: Option<HashMap<String, String>>,
) -> S3Result<Properties> {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let metadata = metadata.unwrap_or_default();
    let bytes: usize = metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(s3_error!(
            MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size"
        ));
    }
    Ok(Properties {
        content_type: Some(content_type.unwrap_or_else(|| CONTENT_TYPE.to_owned())),
        cache_control: text("cache-control"),
        content_disposition: text("content-disposition"),
        content_encoding: text("content-encoding"),
        content_language: text("content-language"),
        expires: text("expires"),
        metadata: metadata.into_iter().collect(),
        checksum: None,
        parts: None,
        encryption: None,
    })
}

/// Only lists that grant nothing beyond the owner's control are accepted.
pub(super) fn check_acl(headers: &HeaderMap) -> S3Result<()> {
    match headers.get("x-amz-acl").map(http::HeaderValue::as_bytes) {
        None | Some(b"private" | b"bucket-owner-full-control") => Ok(()),
        Some(_) => Err(acl_not_supported()),
    }
}

/// What must hold for an object to be written.
pub(super) fn write_conditions(
    if_match: Option<dto::ETagCondition>,
    if_none_match: Option<&dto::ETagCondition>,
) -> S3Result<Conditions> {
    let if_absent = match if_none_match {
        None => false,
        Some(dto::ETagCondition::Any) => true,
        Some(dto::ETagCondition::ETag(_)) => {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: \
                 If-None-Match with an entity tag"
            ));
        }
    };
    Ok(Conditions {
        if_match: if_match.map(wanted_tag),
        if_absent,
    })
}

/// An entity tag as it is stored; `*` is any.
pub(super) fn wanted_tag(condition: dto::ETagCondition) -> String {
    match condition {
        dto::ETagCondition::Any => "*".to_owned(),
        dto::ETagCondition::ETag(tag) => tag.into_value(),
    }
}

/// Keys from documents; those in paths are measured by the protocol layer.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    Ok(())
}
