//! What can be set of a bucket. Each setting is stored with the bucket and acted on where it applies; a
//! setting that nothing acts on is not here.

use serde::{Deserialize, Serialize};

use super::versions::Tags;

/// Whether a bucket keeps old versions of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioning {
    /// It never did.
    Unversioned,
    /// It does.
    Enabled,
    /// It did; new objects replace those without a version.
    Suspended,
}

impl Versioning {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unversioned => "Unversioned",
            Self::Enabled => "Enabled",
            Self::Suspended => "Suspended",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Unversioned, Self::Enabled, Self::Suspended]
            .into_iter()
            .find(|versioning| versioning.as_str() == text)
    }
}

/// Every setting but versioning and policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) public_access_block: Option<PublicAccessBlock>,
    pub(crate) tags: Option<Tags>,
    pub(crate) logging: Option<AccessLogging>,
    /// How objects are encrypted of which no request says it; SSE-S3 if nobody set it.
    pub(crate) encryption: Option<DefaultEncryption>,
}

/// Default encryption that is not SSE-S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DefaultEncryption {
    /// SSE-KMS with this key, as it was named.
    Kms(String),
}

/// Where a bucket's access log goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct AccessLogging {
    pub(crate) target_bucket: String,
    pub(crate) target_prefix: String,
    /// Simple if nobody said.
    pub(crate) key_format: Option<KeyFormat>,
}

/// How log objects are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum KeyFormat {
    /// Time and random digits after the prefix.
    SimplePrefix,
    /// The same in folders of account, Region, bucket and day.
    PartitionedPrefix(DateSource),
}

/// Which day is meant by a partitioned prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum DateSource {
    /// The day of delivery.
    DeliveryTime,
    /// The day of the requests.
    EventTime,
}

/// Block Public Access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublicAccessBlock {
    pub(crate) block_public_acls: bool,
    pub(crate) ignore_public_acls: bool,
    pub(crate) block_public_policy: bool,
    pub(crate) restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// What a new bucket has.
    pub(crate) const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}
