//! An object that is to be put.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use super::S3Failure;

/// The largest object that is put in one request; log files are cut far below it.
pub const OBJECT_BYTES_MAX: u64 = 256 << 20;

/// A new object with all that is said of it.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub body: ObjectBody,
    /// The SHA-256 of its bytes, as recorded when they were decided. Bytes of another hash are not sent (R14), and
    /// the endpoint checks it once more.
    pub sha256: [u8; 32],
    /// User metadata, without `x-amz-meta-`.
    pub metadata: Vec<(String, String)>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// Whether the bucket's owner gets full control (`x-amz-acl`), which policies of trails demand.
    pub gives_owner_full_control: bool,
    /// How it is encrypted; as the bucket says if nothing is said.
    pub encryption: Option<ObjectEncryption>,
    /// Whether an object of this key must not be replaced (`If-None-Match: *`).
    pub if_none_match: bool,
}

/// The bytes of an object.
#[derive(Clone, Debug)]
pub enum ObjectBody {
    /// In memory.
    Bytes(Bytes),
    /// In a file of this length. It is read into memory for the request: callers must bound how many are under
    /// way.
    File {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
    },
}

/// Server-side encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectEncryption {
    /// With keys of the endpoint's own (SSE-S3).
    Managed,
    /// With a KMS key (SSE-KMS).
    Kms {
        /// The key's ARN, ID or alias.
        key_id: String,
        /// The encryption context.
        context: Vec<(String, String)>,
    },
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is stored.
    Created,
    /// `If-None-Match` found an object of this key: an earlier attempt had succeeded.
    AlreadyThere,
}

/// What lies under the key of an object that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredBytes {
    /// Its bytes.
    Same,
    /// Others.
    Other,
    /// Nobody may say: most buckets of trails let CloudTrail write and not read.
    Unreadable,
}

impl NewObject {
    /// The bytes, which are those that `sha256` was made of.
    pub(super) async fn read_body(&self) -> Result<Bytes, S3Failure> {
        let bytes = match &self.body {
            ObjectBody::Bytes(bytes) => bytes.clone(),
            ObjectBody::File { path, length } => {
                let (path, length) = (path.clone(), *length);
                let reading = tokio::task::spawn_blocking(move || read_file(&path, length));
                reading
                    .await
                    .unwrap_or_else(|error| Err(unusable(&error)))?
            }
        };
        if digest(&SHA256, &bytes).as_ref() == self.sha256 {
            Ok(bytes)
        } else {
            Err(unusable(&"the bytes are not those that were recorded"))
        }
    }
}

fn read_file(path: &Path, length: u64) -> Result<Bytes, S3Failure> {
    let failed = |error: std::io::Error| unusable(&format_args!("{}: {error}", path.display()));
    if length > OBJECT_BYTES_MAX {
        return Err(unusable(&"longer than one request may be"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(length + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()) == Ok(length) {
        Ok(Bytes::from(bytes))
    } else {
        Err(unusable(&format_args!(
            "{}: not {length} bytes long",
            path.display()
        )))
    }
}

fn unusable(reason: &dyn std::fmt::Display) -> S3Failure {
    S3Failure::new(S3Failure::INVALID_REQUEST, reason.to_string())
}
