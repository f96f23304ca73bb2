//! Who may read, and who did. The endpoint asks a gatekeeper, which the server implements with its one
//! authentication layer, policy evaluation (R20) and event log; this crate decides nothing about
//! identities and keeps no record of its own.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Extensions, HeaderMap, Method, Uri};

use crate::operation::Access;

/// What was signed of a request without a body.
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
    /// Bytes of the answer's body, as announced to the client.
    pub body_bytes: u64,
    /// What broke in the endpoint itself, for the log.
    pub defect: Option<String>,
}

/// Authenticates, authorizes and witnesses requests to the endpoint.
#[async_trait]
pub trait Gatekeeper: Send + Sync + fmt::Debug {
    /// Verifies the request's signature. Every request passes here before it is routed.
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<Caller, Denied>;

    /// Decides whether `caller` may do `action` (such as `s3:GetObject`) on `resource_arn`.
    async fn authorize(
        &self,
        caller: &Caller,
        action: &'static str,
        resource_arn: &str,
    ) -> Result<(), Denied>;

    /// Takes note of a request that was authenticated, whatever came of it, before the first byte of
    /// its answer leaves. `access` is `None` if the request resembles no operation of S3. With an
    /// `Err`, the client gets that instead of the answer.
    async fn witness(
        &self,
        caller: &Caller,
        access: Option<&Access>,
        outcome: &Outcome,
    ) -> Result<(), Denied>;
}
