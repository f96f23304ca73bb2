//! The one S3 client: deliveries, validation and whatever else reads or writes buckets go through it, to the
//! embedded endpoint, to AWS and to every other server that speaks S3.
//!
//! It goes where the configuration says and nowhere else (R22): it follows no redirect, uses no proxy, and takes
//! no credentials from environment, files or metadata services. It makes one attempt; when to try again is its
//! caller's decision, whose clock and patience it does not know.

mod client;
mod failure;
mod memory;
mod object;
mod pattern;
mod put;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use client::S3Client;
pub(crate) use client::http_client;
pub use failure::S3Failure;
pub use memory::{MemoryObject, MemoryPuts, ScriptedPut};
pub use object::{ListedObject, ObjectHead, ObjectPage, ObjectReader};
pub use pattern::BucketPattern;
pub use put::{NewObject, OBJECT_BYTES_MAX, ObjectBody, ObjectEncryption, PutOutcome, StoredBytes};

/// One endpoint: where it answers, for which buckets, and who signs.
#[derive(Clone, Debug)]
pub struct S3EndpointConfig {
    /// What logs and errors call it.
    pub name: String,
    /// The buckets that it has.
    pub buckets: Vec<BucketPattern>,
    /// Its address; AWS's own address of the Region if there is none.
    pub url: Option<String>,
    /// The Region that requests are signed for.
    pub region: String,
    /// Whether the bucket's name stands in the path instead of the host name.
    pub path_style: bool,
    /// Who signs.
    pub credentials: S3CredentialSource,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeouts: S3Timeouts,
}

/// How long the parts of one request may take.
#[derive(Clone, Copy, Debug)]
pub struct S3Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the answer begins, once the request is sent.
    pub read: Duration,
    /// All of the request, up to the head of its answer.
    pub operation: Duration,
}

impl Default for S3Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(30),
            operation: Duration::from_mins(2),
        }
    }
}

/// On whose behalf a request is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum S3Purpose {
    /// CloudTrail delivers to a trail's bucket: bucket policies see `aws:SourceArn` and `aws:SourceAccount`.
    Delivery {
        /// The trail.
        trail_arn: String,
        /// The trail's account.
        account: String,
    },
    /// Somebody runs a command with credentials of their own.
    Command,
}

/// Credentials of one request.
#[derive(Clone)]
pub struct S3Credentials {
    /// The key's ID.
    pub access_key_id: String,
    /// The key's secret.
    pub secret: Zeroizing<String>,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Credentials({})", self.access_key_id)
    }
}

/// Where an endpoint's credentials come from.
#[derive(Clone, Debug)]
pub enum S3CredentialSource {
    /// The configuration.
    Static(S3Credentials),
    /// Whoever makes sessions: asked before each request.
    Dynamic(Arc<dyn CredentialSource>),
}

/// Makes credentials for a purpose.
#[async_trait]
pub trait CredentialSource: Send + Sync + fmt::Debug {
    /// Credentials that are valid for at least as long as one request takes.
    async fn credentials(&self, purpose: &S3Purpose) -> Result<S3Credentials, S3Failure>;
}

/// Whatever new objects are put to.
#[async_trait]
pub trait ObjectPuts: Send + Sync + fmt::Debug {
    /// Puts an object, in one attempt. Implementations must tell `AlreadyThere` only if an object of that key is
    /// stored, and `Created` only if this one is.
    async fn put_new(
        &self,
        object: &NewObject,
        purpose: &S3Purpose,
    ) -> Result<PutOutcome, S3Failure>;

    /// Whether what is stored under the object's key are its bytes, if they may be read.
    async fn compare(&self, object: &NewObject, purpose: &S3Purpose) -> StoredBytes;
}

/// All endpoints of a configuration: a bucket belongs to the first whose patterns match its name, and to the
/// embedded endpoint if none does.
#[derive(Debug)]
pub struct S3Endpoints {
    configured: Vec<(Vec<BucketPattern>, S3Client)>,
    embedded: S3Client,
}

impl S3Endpoints {
    /// Clients for all endpoints. An unreadable certificate file is the one thing that can be wrong.
    pub fn new(
        configured: Vec<S3EndpointConfig>,
        embedded: S3EndpointConfig,
    ) -> Result<Self, S3Failure> {
        let configured = configured.into_iter().map(|config| {
            let patterns = config.buckets.clone();
            S3Client::new(config).map(|client| (patterns, client))
        });
        Ok(Self {
            configured: configured.collect::<Result<_, _>>()?,
            embedded: S3Client::new(embedded)?,
        })
    }

    /// The client for `bucket`.
    pub fn of_bucket(&self, bucket: &str) -> &S3Client {
        let found = self
            .configured
            .iter()
            .find(|(patterns, _)| patterns.iter().any(|pattern| pattern.matches(bucket)));
        found.map_or(&self.embedded, |(_, client)| client)
    }

    /// Whether `bucket` is one of the embedded endpoint's.
    pub fn is_embedded(&self, bucket: &str) -> bool {
        std::ptr::eq(self.of_bucket(bucket), &raw const self.embedded)
    }
}

#[async_trait]
impl ObjectPuts for S3Endpoints {
    async fn put_new(
        &self,
        object: &NewObject,
        purpose: &S3Purpose,
    ) -> Result<PutOutcome, S3Failure> {
        let client = self.of_bucket(&object.bucket);
        client.put_new(object, purpose).await
    }

    /// The embedded endpoint is not asked: policies of trails let nobody read.
    async fn compare(&self, object: &NewObject, purpose: &S3Purpose) -> StoredBytes {
        if self.is_embedded(&object.bucket) {
            return StoredBytes::Unreadable;
        }
        let client = self.of_bucket(&object.bucket);
        client.compare(object, purpose).await
    }
}
