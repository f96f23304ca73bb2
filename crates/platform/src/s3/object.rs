//! Objects as they are read: their head, their bytes piece by piece, and pages of a listing.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::S3Failure;

/// What is said of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHead {
    /// Its length in bytes.
    pub length: u64,
    /// User metadata, without `x-amz-meta-`, names in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// An object under way.
#[derive(Debug)]
pub struct ObjectReader {
    /// What is said of it.
    pub head: ObjectHead,
    pub(super) body: ByteStream,
}

impl ObjectReader {
    /// The next piece; `None` after the last.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, S3Failure> {
        let piece = self.body.try_next().await;
        piece.map_err(|error| S3Failure::new(S3Failure::CONNECTION, cut_short(&error)))
    }

    /// All bytes. More than `bytes_max` are a failure.
    pub async fn read_all(mut self, bytes_max: u64) -> Result<Vec<u8>, S3Failure> {
        let mut all = Vec::new();
        while let Some(piece) = self.next_piece().await? {
            let length = u64::try_from(all.len() + piece.len()).unwrap_or(u64::MAX);
            if length > bytes_max {
                let message = format!("the object is longer than {bytes_max} bytes");
                return Err(S3Failure::new(S3Failure::INVALID_ANSWER, message));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

fn cut_short(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("the answer was cut short: {error}: {cause}"),
        None => format!("the answer was cut short: {error}"),
    }
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub length: u64,
}

/// One page of a listing, in the order of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The objects.
    pub objects: Vec<ListedObject>,
    /// Where the next page begins; `None` after the last.
    pub next_marker: Option<String>,
}
