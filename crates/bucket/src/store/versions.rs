//! Versions of objects as the index keeps them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::data_keys::KmsEncryption;
use crate::checksums::StoredChecksum;
use crate::error::BucketsError;

/// The name of the one version that an object has without versioning.
pub(crate) const NULL_VERSION: &str = "null";

/// Tags, in the order in which they came.
pub(crate) type Tags = Vec<(String, String)>;

/// The columns of a version, in the order of `Version::of_row`.
pub(super) const VERSION_COLUMNS: &str =
    "id, key, version, is_latest, is_marker, bytes, etag, modified_ms, properties, tags";

/// What an object has beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Properties {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    /// As the header had it.
    pub(crate) expires: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) checksum: Option<StoredChecksum>,
    /// How many parts it was uploaded in; none if in one piece.
    pub(crate) parts: Option<u32>,
    /// SSE-KMS; SSE-S3 if there is none.
    pub(crate) encryption: Option<KmsEncryption>,
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "S3 names a version by its version ID"
)]
pub(crate) struct Version {
    pub(super) id: i64,
    pub(crate) key: String,
    pub(crate) version: String,
    pub(crate) is_latest: bool,
    pub(crate) is_marker: bool,
    pub(crate) bytes: u64,
    pub(crate) etag: String,
    pub(crate) modified_ms: i64,
    pub(crate) properties: Properties,
    pub(crate) tags: Tags,
}

impl Version {
    pub(super) fn of_row(row: &SqliteRow) -> Result<Self, BucketsError> {
        Self::read(row).map_err(BucketsError::while_("reading a version"))
    }

    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            key: key_of(row.try_get("key")?)?,
            version: row.try_get("version")?,
            is_latest: row.try_get("is_latest")?,
            is_marker: row.try_get("is_marker")?,
            bytes: count_of(row.try_get("bytes")?),
            etag: row.try_get("etag")?,
            modified_ms: row.try_get("modified_ms")?,
            properties: json_of(row.try_get("properties")?)?,
            tags: json_of(row.try_get("tags")?)?,
        })
    }
}

/// Keys are kept as bytes; what was stored was text.
pub(super) fn key_of(bytes: Vec<u8>) -> Result<String, sqlx::Error> {
    String::from_utf8(bytes).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A count that is never negative.
pub(super) fn count_of(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// A count as the database holds it.
pub(super) fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn json_of<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names are text and values are plain")
}
