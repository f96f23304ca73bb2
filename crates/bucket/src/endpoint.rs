//! The endpoint as an HTTP service: one authentication before anything is routed, then S3's protocol,
//! then the gatekeeper's note of what came of it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use cairn_access::sigv4;
use futures::FutureExt as _;
use http::{HeaderName, Method, Request, Response, header};
use http_body::Body as _;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, S3ErrorCode, s3_error};

use crate::gatekeeper::{Caller, Denied, Gatekeeper, Outcome, RequestHead};
use crate::operation::Access;
use crate::read_only::{ReadOnlyBucket, denied};
use crate::stored_objects::StoredObjects;

/// The header of a session's token.
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Serves one folder as one read-only bucket.
///
/// **Invariant.** No request reaches S3's router unless the gatekeeper has authenticated it, and no
/// object or listing leaves unless the gatekeeper has authorized the caller for it and taken note.
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
            extensions: &parts.extensions,
        };
        let caller = match self.gatekeeper.authenticate(head).await {
            Ok(caller) => caller,
            Err(reason) => return answer(denied(&reason)),
        };
        let asked = Access::of(&parts.method, &parts.uri, &parts.headers);
        let method = parts.method.clone();
        let visit = Arc::new(Visit {
            caller,
            admitted: OnceLock::new(),
        });
        let mut defect = None;
        let response = if matches!(method, Method::GET | Method::HEAD) {
            // Verified above. The protocol layer has no keys, so it must not try to verify again.
            for signing in [header::AUTHORIZATION, SECURITY_TOKEN] {
                parts.headers.remove(signing);
            }
            parts.uri = without_signature(&parts.uri);
            parts.extensions.insert(Arc::clone(&visit));
            let answered = self.service.call(Request::from_parts(parts, body));
            // Whoever asked is known, so that they asked is told even if the answer fails.
            match AssertUnwindSafe(answered).catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => {
                    defect = Some(format!("no answer: {error:?}"));
                    answer(internal_error())?
                }
                Err(_) => {
                    defect = Some("a panic".to_owned());
                    answer(internal_error())?
                }
            }
        } else {
            answer(s3_error!(MethodNotAllowed, "This bucket is read-only"))?
        };
        // What S3's router made of the request, if it came that far, is what happened.
        let access = visit.admitted.get().or(asked.as_ref());
        let mut outcome = outcome(&method, &response);
        outcome.defect = defect;
        let noted = self.gatekeeper.witness(&visit.caller, access, &outcome);
        match noted.await {
            Ok(()) => Ok(response),
            Err(reason) => answer(denied(&reason)),
        }
    }
}

/// The answer to a request that is refused before it comes to the endpoint.
pub fn refusal(reason: &Denied) -> Response<Body> {
    answer(denied(reason)).unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn internal_error() -> S3Error {
    let message = "We encountered an internal error. Please try again.";
    S3Error::with_message(S3ErrorCode::InternalError, message)
}

/// What the endpoint and the protocol layer tell each other about a request.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) caller: Caller,
    /// What the caller was, or was not, authorized for.
    pub(crate) admitted: OnceLock<Access>,
}

fn outcome(method: &Method, response: &Response<Body>) -> Outcome {
    let status = response.status();
    let body_bytes = if method == Method::HEAD {
        0
    } else {
        let announced = response.headers().get(header::CONTENT_LENGTH);
        announced
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .or_else(|| response.body().size_hint().exact())
            .unwrap_or_default()
    };
    let error = (status.as_u16() >= 400).then(|| {
        let body = response.body().bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let code = element(&text, "Code").unwrap_or_else(|| status.as_str().to_owned());
        (code, element(&text, "Message").unwrap_or_default())
    });
    Outcome {
        status: status.as_u16(),
        error,
        body_bytes,
        defect: None,
    }
}

/// The text of an element of S3's flat error documents.
fn element(xml: &str, name: &str) -> Option<String> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    let text = rest.split_once(&format!("</{name}>"))?.0;
    let mut plain = text.to_owned();
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(entity, character);
    }
    Some(plain)
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
    let (path, query) = (uri.path(), sigv4::without_signature(query));
    let target = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = target.parse().ok();
    http::Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
