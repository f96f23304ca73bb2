//! Who may do what, and who did. The endpoint asks a gatekeeper, which the server implements with its one
//! authentication layer, policy evaluation (R20) and event log; this crate decides nothing about
//! identities and keeps no record of its own.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_access::sigv4::PayloadRule;
use cairn_model::{AccountId, Region};
use http::{Extensions, HeaderMap, Method, Uri};

use crate::operation::Access;
use crate::store::{EncryptionContext, PlainKey};

/// What was signed of a request, but for its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// Path and query as received.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// What the listener attached to the request: peer, TLS, whatever the gatekeeper wants to know.
    pub extensions: &'a Extensions,
}

/// An authenticated request: who sent it, and how its body is to be checked while it is read.
#[derive(Debug)]
pub struct Admission {
    /// The caller.
    pub caller: Caller,
    /// The caller's account: the owner of buckets that it makes. None for a service.
    pub account: Option<AccountId>,
    /// The Region of the credential scope: that of buckets that the request makes without naming one.
    pub region: Region,
    /// What the body must be like. The endpoint reads it through this rule and no other way.
    pub payload: PayloadRule,
}

/// An authenticated caller; opaque here, the gatekeeper's own type inside.
#[derive(Clone)]
pub struct Caller(Arc<dyn Any + Send + Sync>);

impl Caller {
    /// Wraps what the gatekeeper knows of a caller.
    pub fn new<T: Any + Send + Sync>(facts: T) -> Self {
        Self(Arc::new(facts))
    }

    /// What the gatekeeper wrapped, if it is a `T`.
    pub fn facts<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The IAM action, such as `s3:PutObject`.
    pub action: &'static str,
    /// The ARN of the bucket or object.
    pub resource_arn: &'a str,
    /// The bucket that it is about; None if it is about none, or about one that does not exist.
    pub bucket: Option<&'a BucketFacts>,
    /// S3's condition keys that this request has, such as `s3:x-amz-acl`, beyond those of every request.
    pub keys: &'a [(&'static str, String)],
}

/// What a gatekeeper has to know of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketFacts {
    /// Its name.
    pub name: String,
    /// The account that it belongs to.
    pub owner: AccountId,
    /// The Region that it is said to be in.
    pub region: Region,
    /// Its policy as JSON, if it has one; checked when it was put.
    pub policy: Option<String>,
}

/// An access log that is to be put into a bucket.
#[derive(Clone, Copy, Debug)]
pub struct LogDelivery<'a> {
    /// The bucket whose requests it tells of.
    pub source_bucket: &'a str,
    /// The account of that bucket.
    pub source_account: AccountId,
    /// Where it goes.
    pub target: &'a BucketFacts,
    /// Under which key.
    pub key: &'a str,
}

/// A key of an object is made or opened with a KMS key.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// The object's bucket: KMS keys of other Regions than its own do not serve it (SEC-313).
    pub bucket: &'a BucketFacts,
    /// What the object's key is bound to.
    pub context: &'a EncryptionContext,
}

/// A new key of an object.
#[derive(Clone)]
pub struct NewObjectKey {
    /// The ARN of the KMS key that wraps it, whatever that was named by.
    pub key_arn: String,
    /// The key itself.
    pub plain: PlainKey,
    /// The key as it may lie on a disk.
    pub wrapped: Vec<u8>,
}

/// A key of an object as it lies in the index.
#[derive(Clone, Copy, Debug)]
pub struct WrappedObjectKey<'a> {
    /// The ARN of the KMS key that wrapped it.
    pub key_arn: &'a str,
    /// The wrapped key.
    pub bytes: &'a [u8],
}

impl fmt::Debug for NewObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewObjectKey")
            .field("key_arn", &self.key_arn)
            .finish_non_exhaustive()
    }
}

/// A refusal in S3's terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Denied {
    /// S3's error code, for example `AccessDenied` or `SignatureDoesNotMatch`.
    pub code: &'static str,
    /// The text for the client.
    pub message: String,
}

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// S3's error code and message, if it is an error.
    pub error: Option<(String, String)>,
    /// Bytes of the request's body, decoded.
    pub received_bytes: u64,
    /// Bytes of the answer's body, as announced to the client.
    pub body_bytes: u64,
    /// How the object that was put or read is encrypted, as the answer's header says.
    pub encryption: Option<String>,
    /// What broke in the endpoint itself, for the log.
    pub defect: Option<String>,
}

/// Authenticates, authorizes and witnesses requests to the endpoint, and uses keys in their callers' names.
#[async_trait]
pub trait Gatekeeper: Send + Sync + fmt::Debug {
    /// Verifies the request's signature. Every request passes here before it is routed.
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<Admission, Denied>;

    /// Decides whether `caller` may do what the request wants.
    async fn authorize(&self, caller: &Caller, demand: Demand<'_>) -> Result<(), Denied>;

    /// Refuses a text that is no bucket policy, or one that names other buckets than `bucket`; the
    /// message is for the client (`MalformedPolicy`).
    fn check_policy(&self, bucket: &str, policy: &str) -> Result<(), Denied>;

    /// Refuses a text that names no KMS key, or one that cannot serve the bucket.
    fn check_key_name(
        &self,
        caller: &Caller,
        key_id: &str,
        bucket: &BucketFacts,
    ) -> Result<(), Denied>;

    /// A new key of an object under a KMS key, which is named in any of its four forms (SEC-357). The
    /// caller must be allowed to use it, and the use is recorded before this returns.
    async fn new_object_key(
        &self,
        caller: &Caller,
        key_id: &str,
        used: KeyUse<'_>,
    ) -> Result<NewObjectKey, Denied>;

    /// Opens what `new_object_key` wrapped for the same context; again allowed and recorded.
    async fn open_object_key(
        &self,
        caller: &Caller,
        wrapped: WrappedObjectKey<'_>,
        used: KeyUse<'_>,
    ) -> Result<PlainKey, Denied>;

    /// Whether the policy of the target lets S3's log delivery put this log.
    fn lets_logs_in(&self, delivery: &LogDelivery<'_>) -> bool;

    /// Takes note of a request that was authenticated, whatever came of it, before the first byte of
    /// its answer leaves. `access` is `None` if the request resembles no operation of S3; `bucket` is
    /// the bucket that it was about, if there is one. With an `Err`, the client gets that instead of
    /// the answer.
    async fn witness(
        &self,
        caller: &Caller,
        access: Option<&Access>,
        bucket: Option<&BucketFacts>,
        outcome: &Outcome,
    ) -> Result<(), Denied>;
}
