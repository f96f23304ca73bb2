//! Where digests, log files and public keys come from: a bucket and the API, or a folder and a file.

use cairn_integrity::{FetchedDigest, LogFileEntry, LogFileFault, PublicKeys};
use cairn_model::EventTime;

use super::bucket::BucketSource;
use super::exported_keys::ExportedKeys;
use super::folder::FolderSource;
use super::service::CloudTrail;

/// The largest digest that is read, as gzip: some hundred thousand log files.
pub(super) const DIGEST_BYTES_MAX: u64 = 16 << 20;

/// Where the files come from.
#[derive(Debug)]
pub(super) enum LogSource {
    Bucket(Box<BucketSource>),
    Folder(FolderSource),
}

/// What became of a digest that was asked for.
#[derive(Debug)]
pub(super) enum DigestAnswer {
    There(FetchedDigest),
    /// There, but without metadata: its signature may stand in the digest after it.
    Unsigned(FetchedDigest),
    NotFound,
}

impl LogSource {
    /// Keys after `marker` that begin with `prefix`, in order, up to the first for which `is_beyond` is true.
    pub(super) async fn keys(
        &self,
        bucket: &str,
        prefix: &str,
        marker: &str,
        is_beyond: &(dyn Fn(&str) -> bool + Sync),
    ) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Bucket(source) => source.keys(bucket, prefix, marker, is_beyond).await,
            Self::Folder(source) => source.keys(bucket, prefix, marker, is_beyond),
        }
    }

    pub(super) async fn digest(&self, bucket: &str, key: &str) -> anyhow::Result<DigestAnswer> {
        match self {
            Self::Bucket(source) => source.digest(bucket, key).await,
            Self::Folder(source) => source.digest(bucket, key),
        }
    }

    /// Whether a log file is the one that a digest lists. The outer error says that it could not be told.
    pub(super) async fn check(
        &self,
        entry: &LogFileEntry,
    ) -> anyhow::Result<Result<(), LogFileFault>> {
        match self {
            Self::Bucket(source) => source.check(entry).await,
            Self::Folder(source) => source.check(entry),
        }
    }
}

/// Where public keys come from.
#[derive(Debug)]
pub(super) enum KeySource {
    Service(Box<CloudTrail>),
    Exported(ExportedKeys),
}

impl KeySource {
    /// The keys of a span; all that there are, if they come from a file.
    pub(super) async fn keys(&self, from: EventTime, to: EventTime) -> anyhow::Result<PublicKeys> {
        match self {
            Self::Service(service) => service.public_keys(from, to).await,
            Self::Exported(keys) => Ok(keys.keys()),
        }
    }
}
