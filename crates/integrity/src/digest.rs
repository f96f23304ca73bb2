//! The digest document (REC-248 to REC-256): what it says, and its bytes.
//!
//! The bytes that `to_json` gives are final: they are hashed, signed and stored, and nobody writes a
//! digest again from what was read of it.

use cairn_model::{AccountId, EventTime};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Map, Value};

use crate::error::IntegrityError;
use crate::signing::SIGNATURE_ALGORITHM;

pub(crate) const HASH_ALGORITHM: &str = "SHA-256";

/// A digest: the log files that were delivered in one window, chained to the digest before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The account that it was delivered for.
    pub account: AccountId,
    /// The window's start: the end of the window before it (REC-243).
    pub start: EventTime,
    /// The window's end.
    pub end: EventTime,
    /// The bucket that it lies in.
    pub bucket: String,
    /// Its own key.
    pub object: String,
    /// Names the key that signs it.
    pub public_key_fingerprint: String,
    /// The newest event of all its log files, if there are any.
    pub newest_event: Option<EventTime>,
    /// The oldest event of all its log files, if there are any.
    pub oldest_event: Option<EventTime>,
    /// The digest before; none for a starting digest (REC-256).
    pub previous: Option<PreviousDigest>,
    /// The log files.
    pub log_files: Vec<LogFileEntry>,
}

/// What a digest says of the one before it (REC-251).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousDigest {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub object: String,
    /// The SHA-256 of its uncompressed bytes, in hexadecimal.
    pub hash_value: String,
    /// Its signature, in hexadecimal.
    pub signature: String,
}

/// What a digest says of one log file (REC-254).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFileEntry {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub object: String,
    /// The SHA-256 of its uncompressed bytes, in hexadecimal.
    pub hash_value: String,
    /// Its newest event.
    pub newest_event: Option<EventTime>,
    /// Its oldest event.
    pub oldest_event: Option<EventTime>,
}

impl Digest {
    /// The document's bytes: one JSON object without white space, its members in AWS's order.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, times and lists always have a JSON form")
    }

    /// Reads a document. Members that are not known are ignored; so is the order of those that are.
    pub fn parse(bytes: &[u8]) -> Result<Self, IntegrityError> {
        let value = serde_json::from_slice::<Value>(bytes).map_err(|error| malformed(&error))?;
        let object = value
            .as_object()
            .ok_or_else(|| malformed(&"not a JSON object"))?;
        Self::read(object)
    }

    pub(crate) fn read(object: &Map<String, Value>) -> Result<Self, IntegrityError> {
        let account = text(object, "awsAccountId")?;
        let files = match object.get("logFiles") {
            Some(Value::Array(files)) => files.as_slice(),
            _ => return Err(malformed(&"logFiles is not a list")),
        };
        Ok(Self {
            account: account.parse().map_err(|error| malformed(&error))?,
            start: time(object, "digestStartTime")?,
            end: time(object, "digestEndTime")?,
            bucket: text(object, "digestS3Bucket")?.to_owned(),
            object: text(object, "digestS3Object")?.to_owned(),
            public_key_fingerprint: text(object, "digestPublicKeyFingerprint")?.to_owned(),
            newest_event: optional_time(object, "newestEventTime")?,
            oldest_event: optional_time(object, "oldestEventTime")?,
            previous: PreviousDigest::read(object)?,
            log_files: files
                .iter()
                .map(LogFileEntry::read)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl PreviousDigest {
    /// A digest without bucket or key of the one before is a starting digest.
    fn read(object: &Map<String, Value>) -> Result<Option<Self>, IntegrityError> {
        let bucket = optional_text(object, "previousDigestS3Bucket")?;
        let key = optional_text(object, "previousDigestS3Object")?;
        let (Some(bucket), Some(key)) = (bucket, key) else {
            return Ok(None);
        };
        Ok(Some(Self {
            bucket: bucket.to_owned(),
            object: key.to_owned(),
            hash_value: text(object, "previousDigestHashValue")?.to_owned(),
            signature: text(object, "previousDigestSignature")?.to_owned(),
        }))
    }
}

impl LogFileEntry {
    fn read(value: &Value) -> Result<Self, IntegrityError> {
        let object = value
            .as_object()
            .ok_or_else(|| malformed(&"an entry of logFiles is not an object"))?;
        if text(object, "hashAlgorithm")? != HASH_ALGORITHM {
            return Err(malformed(&"hashAlgorithm is not SHA-256"));
        }
        Ok(Self {
            bucket: text(object, "s3Bucket")?.to_owned(),
            object: text(object, "s3Object")?.to_owned(),
            hash_value: text(object, "hashValue")?.to_owned(),
            newest_event: optional_time(object, "newestEventTime")?,
            oldest_event: optional_time(object, "oldestEventTime")?,
        })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let previous = self.previous.as_ref();
        let of_previous = |member: fn(&PreviousDigest) -> &str| previous.map(member);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("awsAccountId", &self.account)?;
        map.serialize_entry("digestStartTime", &self.start.to_string())?;
        map.serialize_entry("digestEndTime", &self.end.to_string())?;
        map.serialize_entry("digestS3Bucket", &self.bucket)?;
        map.serialize_entry("digestS3Object", &self.object)?;
        map.serialize_entry("digestPublicKeyFingerprint", &self.public_key_fingerprint)?;
        map.serialize_entry("digestSignatureAlgorithm", SIGNATURE_ALGORITHM)?;
        map.serialize_entry("newestEventTime", &shown(self.newest_event))?;
        map.serialize_entry("oldestEventTime", &shown(self.oldest_event))?;
        map.serialize_entry("previousDigestS3Bucket", &of_previous(|p| &p.bucket))?;
        map.serialize_entry("previousDigestS3Object", &of_previous(|p| &p.object))?;
        map.serialize_entry("previousDigestHashValue", &of_previous(|p| &p.hash_value))?;
        map.serialize_entry(
            "previousDigestHashAlgorithm",
            &of_previous(|_| HASH_ALGORITHM),
        )?;
        map.serialize_entry("previousDigestSignature", &of_previous(|p| &p.signature))?;
        map.serialize_entry("logFiles", &self.log_files)?;
        map.end()
    }
}

impl Serialize for LogFileEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("s3Bucket", &self.bucket)?;
        map.serialize_entry("s3Object", &self.object)?;
        map.serialize_entry("hashValue", &self.hash_value)?;
        map.serialize_entry("hashAlgorithm", HASH_ALGORITHM)?;
        map.serialize_entry("newestEventTime", &shown(self.newest_event))?;
        map.serialize_entry("oldestEventTime", &shown(self.oldest_event))?;
        map.end()
    }
}

fn shown(time: Option<EventTime>) -> Option<String> {
    time.map(|time| time.to_string())
}

fn malformed(reason: &dyn std::fmt::Display) -> IntegrityError {
    IntegrityError::DigestDocument {
        reason: reason.to_string(),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, IntegrityError> {
    optional_text(object, name)?.ok_or_else(|| malformed(&format_args!("{name} is missing")))
}

fn optional_text<'a>(
    object: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, IntegrityError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(&format_args!("{name} is not a text"))),
    }
}

fn time(object: &Map<String, Value>, name: &str) -> Result<EventTime, IntegrityError> {
    optional_time(object, name)?.ok_or_else(|| malformed(&format_args!("{name} is missing")))
}

fn optional_time(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<EventTime>, IntegrityError> {
    let Some(text) = optional_text(object, name)? else {
        return Ok(None);
    };
    let time = text
        .parse()
        .map_err(|_| malformed(&format_args!("{name} is not a time")))?;
    Ok(Some(time))
}
