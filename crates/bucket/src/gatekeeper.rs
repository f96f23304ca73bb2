//! Who may read. The endpoint asks a gatekeeper, which the server implements with its one
//! authentication layer and policy evaluation (R20); this crate decides nothing about identities.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Method, Uri};

/// What was signed of a request without a body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// Path and query as received.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a HeaderMap,
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

/// Authenticates and authorizes requests to the endpoint.
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
}
