//! The endpoint as an HTTP service: one authentication before anything is routed, the body read through
//! the rule that was signed, then S3's protocol, then the gatekeeper's note of what came of it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use cairn_access::sigv4;
use futures::FutureExt as _;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, s3_error};

use crate::answered::Answered;
use crate::answers::{denied, internal_error};
use crate::gatekeeper::{BucketFacts, Denied, Gatekeeper, Outcome, RequestHead};
use crate::operation::Access;
use crate::payload::{self, PayloadFailure};
use crate::plain_body;
use crate::read_only::{LakeBucket, ReadOnlyBucket};
use crate::service::StoredBuckets;
use crate::store::Buckets;
use crate::unsupported;
use crate::visit::Visit;

/// The header of a session's token.
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The methods of S3's operations.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::HEAD,
    Method::PUT,
    Method::POST,
    Method::DELETE,
];

/// Serves buckets, and beside them one folder as a read-only bucket under a reserved name.
///
/// **Invariant.** No request reaches S3's router unless the gatekeeper has authenticated it, its body is
/// read through the rule that the gatekeeper gave and no other way, and nothing is read or changed
/// unless the gatekeeper has authorized the caller for it; no answer leaves untold.
#[derive(Clone, Debug)]
pub struct BucketEndpoint {
    gatekeeper: Arc<dyn Gatekeeper>,
    lake: BucketFacts,
    read_only: S3Service,
    stored: S3Service,
}

impl BucketEndpoint {
    /// An endpoint for `buckets` and the lake's bucket.
    pub fn new(buckets: Arc<Buckets>, lake: LakeBucket, gatekeeper: Arc<dyn Gatekeeper>) -> Self {
        let facts = lake.facts.clone();
        let stored = StoredBuckets {
            buckets,
            lake: lake.clone(),
            gatekeeper: Arc::clone(&gatekeeper),
        };
        let read_only = ReadOnlyBucket {
            lake,
            gatekeeper: Arc::clone(&gatekeeper),
        };
        Self {
            gatekeeper,
            lake: facts,
            read_only: S3ServiceBuilder::new(read_only).build(),
            stored: service(stored),
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
        let asked = Access::of(&parts.method, &parts.uri, &parts.headers);
        let admission = match self.gatekeeper.authenticate(head).await {
            Ok(admission) => admission,
            Err(reason) => return refused_at_the_door(&reason, asked),
        };
        let method = parts.method.clone();
        let (body, report) = match payload::checked(&mut parts, body, &admission.payload) {
            Ok((body, report)) => (Ok(body), report),
            Err(failure) => (Err(failure), Arc::default()),
        };
        let visit = Arc::new(Visit {
            caller: admission.caller,
            account: admission.account,
            region: admission.region,
            admitted: OnceLock::new(),
            bucket: OnceLock::new(),
            report,
            defect: OnceLock::new(),
        });
        let routed = self.route(parts, body, asked.as_ref(), &visit);
        // Whoever asked is known, so that they asked is told even if the answer fails.
        let mut response = match AssertUnwindSafe(routed).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                visit.note_defect(format!("no answer: {error:?}"));
                answer(internal_error())?
            }
            Err(_) => {
                visit.note_defect("a panic".to_owned());
                answer(internal_error())?
            }
        };
        if let (true, Some(failure)) = (is_error(&response), visit.report.failure()) {
            response = answer(failure.to_s3_error())?;
        }
        // What S3's router made of the request, if it came that far, is what happened.
        let access = visit.admitted.get().or(asked.as_ref());
        let outcome = outcome(&method, &response, &visit);
        let bucket = visit.bucket.get();
        let noted = self
            .gatekeeper
            .witness(&visit.caller, access, bucket, &outcome);
        let noted = noted.await;
        let mut answered = Answered {
            caller: Some(visit.caller.clone()),
            access: access.cloned(),
            error_code: outcome.error.map(|(code, _)| code),
            received_bytes: outcome.received_bytes,
        };
        if let Err(reason) = noted {
            response = answer(denied(&reason))?;
            answered.error_code = Some(reason.code.to_owned());
        }
        Ok(answered.on(response))
    }

    async fn route(
        &self,
        mut parts: Parts,
        body: Result<Body, PayloadFailure>,
        asked: Option<&Access>,
        visit: &Arc<Visit>,
    ) -> Result<Response<Body>, HttpError> {
        let mut body = match body {
            Ok(body) => body,
            Err(failure) => return answer(failure.to_s3_error()),
        };
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let bucket = asked.and_then(|access| access.bucket.as_deref());
        let service = if bucket == Some(self.lake.name.as_str()) {
            // The first to know: it is set once in a visit.
            let _ = visit.bucket.set(self.lake.clone());
            if !is_read {
                return answer(s3_error!(MethodNotAllowed, "This bucket is read-only"));
            }
            &self.read_only
        } else {
            &self.stored
        };
        if !METHODS.contains(&parts.method) {
            return answer(s3_error!(
                MethodNotAllowed,
                "The specified method is not allowed against this resource."
            ));
        }
        if is_form(&parts) {
            return answer(s3_error!(
                NotImplemented,
                "Uploads by browser forms are not implemented"
            ));
        }
        if let Some(refused) = unsupported::header_refusal(&parts.headers) {
            return answer(refused);
        }
        if is_read {
            body = Body::empty();
        } else if !takes_stream(asked) {
            match plain_body::collected(body, &parts.headers, &visit.report).await {
                Ok(bytes) => {
                    parts
                        .headers
                        .insert(header::CONTENT_LENGTH, bytes.len().into());
                    body = Body::from(bytes);
                }
                Err(error) => return answer(error),
            }
        }
        // Verified above. The protocol layer has no keys, so it must not try to verify again.
        for signing in [header::AUTHORIZATION, SECURITY_TOKEN] {
            parts.headers.remove(signing);
        }
        parts.uri = without_signature(&parts.uri);
        parts.extensions.insert(Arc::clone(visit));
        service.call(Request::from_parts(parts, body)).await
    }
}

/// The answer to a request that is refused before it comes to the endpoint.
pub fn refusal(reason: &Denied) -> Response<Body> {
    answer(denied(reason)).unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn service(stored: StoredBuckets) -> S3Service {
    let mut config = S3Config::default();
    config.xml_max_body_size = plain_body::DOCUMENT_BYTES_MAX;
    let mut builder = S3ServiceBuilder::new(stored);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

/// Objects are streamed; every other body is a document that is read whole.
fn takes_stream(asked: Option<&Access>) -> bool {
    asked.is_some_and(|access| matches!(access.operation.name, "PutObject" | "UploadPart"))
}

fn is_form(parts: &Parts) -> bool {
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.map(HeaderValue::as_bytes).unwrap_or_default();
    let form = b"multipart/form-data";
    parts.method == Method::POST
        && kind
            .get(..form.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(form))
}

fn refused_at_the_door(
    reason: &Denied,
    asked: Option<Access>,
) -> Result<Response<Body>, HttpError> {
    let answered = Answered {
        caller: None,
        access: asked,
        error_code: Some(reason.code.to_owned()),
        received_bytes: 0,
    };
    answer(denied(reason)).map(|response| answered.on(response))
}

fn is_error(response: &Response<Body>) -> bool {
    response.status().as_u16() >= 400
}

fn outcome(method: &Method, response: &Response<Body>, visit: &Visit) -> Outcome {
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
    let error = is_error(response).then(|| {
        let body = response.body().bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let code = element(&text, "Code").unwrap_or_else(|| status.as_str().to_owned());
        (code, element(&text, "Message").unwrap_or_default())
    });
    Outcome {
        status: status.as_u16(),
        error,
        received_bytes: visit.report.received_bytes(),
        body_bytes,
        encryption: response
            .headers()
            .get("x-amz-server-side-encryption")
            .and_then(|algorithm| algorithm.to_str().ok())
            .map(str::to_owned),
        defect: visit.defect.get().cloned(),
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
