//! The endpoint as an HTTP service: one authentication before anything is routed, then S3's protocol.

use std::sync::Arc;

use http::{Method, Request, Response, header};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, s3_error};

use crate::gatekeeper::{Gatekeeper, RequestHead};
use crate::read_only::{ReadOnlyBucket, denied};
use crate::stored_objects::StoredObjects;

/// Serves one folder as one read-only bucket.
///
/// **Invariant.** No request reaches S3's router unless the gatekeeper has authenticated it, and no
/// object or listing leaves unless the gatekeeper has authorized the caller for it.
#[derive(Clone, Debug)]
pub struct ReadOnlyEndpoint {
    gatekeeper: Arc<dyn Gatekeeper>,
    service: S3Service,
}

impl ReadOnlyEndpoint {
    /// An endpoint for `stored` under the bucket name `bucket` in `region`.
    pub fn new(
        bucket: &str,
        region: &str,
        stored: Arc<StoredObjects>,
        gatekeeper: Arc<dyn Gatekeeper>,
    ) -> Self {
        let bucket = ReadOnlyBucket {
            name: bucket.to_owned(),
            region: region.to_owned(),
            stored,
            gatekeeper: Arc::clone(&gatekeeper),
        };
        Self {
            gatekeeper,
            service: S3ServiceBuilder::new(bucket).build(),
        }
    }

    /// Answers one request. An `Err` means that the connection must be closed.
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let head = RequestHead {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        let caller = match self.gatekeeper.authenticate(head).await {
            Ok(caller) => caller,
            Err(reason) => return answer(denied(&reason)),
        };
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return answer(s3_error!(MethodNotAllowed, "This bucket is read-only"));
        }
        // Verified above. The protocol layer has no keys, so it must not try to verify again.
        parts.headers.remove(header::AUTHORIZATION);
        parts.uri = without_signature(&parts.uri);
        parts.extensions.insert(caller);
        self.service.call(Request::from_parts(parts, body)).await
    }
}

fn answer(error: S3Error) -> Result<Response<Body>, HttpError> {
    error
        .to_http_response()
        .map_err(|unprintable| HttpError::new(Box::new(unprintable)))
}

/// The URI without the parameters of a presigned request.
fn without_signature(uri: &http::Uri) -> http::Uri {
    let Some(query) = uri.query() else {
        return uri.clone();
    };
    let is_signature = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        name.get(..6)
            .is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !is_signature(pair))
        .collect();
    let path = uri.path();
    let target = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = target.parse().ok();
    http::Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
