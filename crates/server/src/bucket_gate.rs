//! The embedded S3 endpoint behind our own authentication, policies, rates and records (R18, R20). The
//! lake's tables hold every account's events, so the bucket belongs to the operator's account:
//! principals of other accounts are refused whatever their policies say. Who reads the audit trail is
//! audit evidence itself: every authenticated request is an event before its answer leaves.

mod evidence;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_access::policy::ContextKeys;
use cairn_access::sigv4::AuthenticationErrorKind;
use cairn_bucket::{
    Access, Caller as BucketCaller, Denied, Gatekeeper, Outcome, ReadOnlyEndpoint, RequestHead,
};
use cairn_eventlog::AppendError;
use cairn_model::{AccountId, Region};
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tracing::Instrument as _;

use crate::authenticate::{self, NotAuthenticated};
use crate::authorize::{Grants, Question};
use crate::http::{ConnectionFacts, Handler, HeadRefusal, ResponseBody, check_head};
use crate::metrics::CallLabels;
use crate::pipeline::{Call, Server, recording};
use crate::query_protocol::Caller;

/// The service, as metrics and credential scopes name it.
const SERVICE: &str = "s3";
/// Random bytes of an extended request ID.
const EXTENDED_ID_BYTES: usize = 32;

/// Authenticates, authorizes and records requests to the S3 endpoint.
#[derive(Debug)]
pub(crate) struct BucketGate {
    pub(crate) server: Arc<Server>,
    /// The account that the bucket belongs to.
    pub(crate) owner: AccountId,
    pub(crate) region: Region,
    pub(crate) bucket: &'static str,
}

/// A request as it came in, before anyone believes who sent it.
#[derive(Debug)]
struct Arrival {
    call: Call,
    /// What S3 sends as `x-amz-id-2`.
    extended_id: String,
}

/// By which a client and we speak of one request.
#[derive(Clone, Debug)]
struct RequestIds {
    /// S3's own form: sixteen capitals and digits.
    request: String,
    /// What S3 sends as `x-amz-id-2`.
    extended: String,
}

/// An authenticated request.
#[derive(Debug)]
struct Visitor {
    arrival: Arc<Arrival>,
    caller: Caller,
    grants: Grants,
}

#[async_trait]
impl Gatekeeper for BucketGate {
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<BucketCaller, Denied> {
        // The handler attaches it to every request; a request from elsewhere is nobody's.
        let arrival: &Arc<Arrival> = head.extensions.get().ok_or_else(access_denied)?;
        let call = &arrival.call;
        let verified = self
            .server
            .authenticator
            .verify_bodyless(&call.parts())
            .await;
        let (caller, region) = verified.map_err(|error| self.not_authenticated(call, &error))?;
        self.server.believe(call);
        let rate = &self.server.bucket_rate;
        if !rate.admit(caller.principal.stable_id()) {
            self.server.metrics.not_admitted("rate");
            self.answered(call, "unknown", "SlowDown");
            return Err(Denied {
                code: "SlowDown",
                message: "Please reduce your request rate.".into(),
            });
        }
        let grants = self
            .server
            .authorizer
            .grants(call, &caller, region.as_str())
            .await;
        let grants = grants
            .map_err(|error| self.not_authenticated(call, &NotAuthenticated::Failed(error)))?;
        Ok(BucketCaller::new(Visitor {
            arrival: Arc::clone(arrival),
            caller,
            grants,
        }))
    }

    async fn authorize(
        &self,
        caller: &BucketCaller,
        action: &'static str,
        resource_arn: &str,
    ) -> Result<(), Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        let question = Question {
            action,
            resource: resource_arn,
            resource_account: self.owner,
            trust_policy: None,
            keys: &condition_keys(&visitor.arrival.call, action),
            resource_agrees: false,
        };
        visitor.grants.decide(&question).map_err(|message| Denied {
            code: "AccessDenied",
            message,
        })
    }

    async fn witness(
        &self,
        caller: &BucketCaller,
        access: Option<&Access>,
        outcome: &Outcome,
    ) -> Result<(), Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        let call = &visitor.arrival.call;
        if let Some(defect) = &outcome.defect {
            self.server.metrics.panics.inc();
            tracing::error!(defect, "an s3 request failed");
        }
        let error = outcome.error.as_ref();
        let code = error.map_or("ok", |(code, _)| known_code(code));
        let Some(access) = access else {
            // It resembles no operation, so there is no name to record it by.
            self.answered(call, "unknown", code);
            return Ok(());
        };
        let events = self.events(visitor, access, outcome);
        let recorded = recording::append(&self.server, events).await;
        match recorded {
            Ok(()) => {
                self.answered(call, access.operation.name, code);
                Ok(())
            }
            Err(error) => {
                self.server.not_recorded(&error);
                let denied = not_recorded(&error);
                self.answered(call, access.operation.name, denied.code);
                Err(denied)
            }
        }
    }
}

impl BucketGate {
    fn answered(&self, call: &Call, operation: &'static str, code: &'static str) {
        let labels = CallLabels {
            service: SERVICE,
            operation,
        };
        let took = self.server.clock.monotonic().saturating_sub(call.began);
        self.server.metrics.answered(&labels, code, took);
    }

    fn not_authenticated(&self, call: &Call, error: &NotAuthenticated) -> Denied {
        let error = match error {
            NotAuthenticated::Refused(error) => error,
            NotAuthenticated::Failed(error) => {
                tracing::error!(
                    error = %error,
                    "an s3 request could not be authenticated"
                );
                return Denied {
                    code: "InternalError",
                    message: "We encountered an internal error. Please try again.".into(),
                };
            }
        };
        let (_, reason) = authenticate::refusal(error);
        self.server.metrics.authentication_failed(reason);
        tracing::info!(
            source.ip = %call.source_ip,
            reason,
            "an s3 request was not authenticated"
        );
        let code = match error.kind() {
            AuthenticationErrorKind::Missing | AuthenticationErrorKind::Expired => "AccessDenied",
            AuthenticationErrorKind::Incomplete => "AuthorizationHeaderMalformed",
            AuthenticationErrorKind::InvalidSignature => "SignatureDoesNotMatch",
            AuthenticationErrorKind::Skewed => "RequestTimeTooSkewed",
            AuthenticationErrorKind::UnknownKey => "InvalidAccessKeyId",
            AuthenticationErrorKind::InvalidToken => "InvalidToken",
            AuthenticationErrorKind::ExpiredToken => "ExpiredToken",
        };
        Denied {
            code,
            message: error.to_string(),
        }
    }
}

fn access_denied() -> Denied {
    Denied {
        code: "AccessDenied",
        message: "Access Denied".into(),
    }
}

/// What a reader learns when the event log did not take the record of the reading.
fn not_recorded(error: &AppendError) -> Denied {
    let code = match error {
        AppendError::RefusedBusy => "SlowDown",
        AppendError::RefusedTooLarge { .. }
        | AppendError::RefusedNoSpace
        | AppendError::Poisoned { .. }
        | AppendError::Closed => "ServiceUnavailable",
    };
    Denied {
        code,
        message: "The request cannot be recorded now. Please try again.".into(),
    }
}

/// S3's own condition keys, as far as reads have them. The parameters of a listing mean something in
/// listings alone: elsewhere the caller could write into them whatever a policy wants to see.
fn condition_keys(call: &Call, action: &str) -> ContextKeys {
    let mut keys = ContextKeys::new();
    let is_of_bucket = !call.path.trim_matches('/').contains('/');
    if action == "s3:ListBucket" && call.method == "GET" && is_of_bucket {
        for (name, value) in call.query_parameters() {
            if let "prefix" | "delimiter" | "max-keys" = name.as_str() {
                keys.set(&format!("s3:{name}"), value);
            }
        }
    }
    let in_header = call.header("authorization").is_some();
    let kind = if in_header {
        "REST-HEADER"
    } else {
        "REST-QUERY-STRING"
    };
    keys.set("s3:authType", kind);
    keys.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    keys
}

/// Codes come from the endpoint's own few and from the protocol library; only so many become labels.
fn known_code(code: &str) -> &'static str {
    const CODES: [&str; 13] = [
        "AccessDenied",
        "InternalError",
        "InvalidArgument",
        "InvalidBucketName",
        "InvalidRange",
        "InvalidRequest",
        "InvalidURI",
        "KeyTooLongError",
        "MethodNotAllowed",
        "NoSuchBucket",
        "NoSuchKey",
        "NotImplemented",
        "PreconditionFailed",
    ];
    CODES
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("Other")
}

/// The S3 endpoint as the listener sees it.
#[derive(Debug)]
pub(crate) struct BucketHandler {
    pub(crate) server: Arc<Server>,
    pub(crate) endpoint: ReadOnlyEndpoint,
}

#[async_trait]
impl Handler for BucketHandler {
    async fn handle(
        &self,
        connection: &ConnectionFacts,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (mut head, _) = request.into_parts();
        let is_http1 = head.version < http::Version::HTTP_2;
        let server = &self.server;
        let ids = self.new_ids();
        if let Err(refusal) = check_head(&head, server.config.http.header_count_max) {
            return ids.refuse(is_http1, refused_head(refusal));
        }
        let Ok(room) = server.bodies.take_head(connection.peer.ip(), &head) else {
            server.metrics.not_admitted("no-memory");
            let message = "Too many requests are in progress. Please try again.";
            return ids.refuse(is_http1, refusal("SlowDown", message));
        };
        if let (Some(authority), false) = (
            head.uri.authority().cloned(),
            head.headers.contains_key(http::header::HOST),
        ) && let Ok(host) = authority.as_str().parse()
        {
            head.headers.insert(http::header::HOST, host);
        }
        head.extensions
            .insert(self.arrival(connection, &head, ids.clone()));
        // The bucket is read-only, so no request needs its body.
        let request = Request::from_parts(head, cairn_bucket::Body::empty());
        // A task of its own: a client that hangs up must not keep its attempt out of the record.
        let endpoint = self.endpoint.clone();
        let work = async move {
            let answer = endpoint.call(request).await;
            drop(room);
            answer
        };
        // Whatever is logged on the way stands under the ID that the caller gets.
        let work = work.instrument(tracing::error_span!("call", request.id = ids.request));
        let response = match server.calls.spawn(work).await {
            Ok(Ok(response)) => response.map(|body| self.counted(body)),
            Ok(Err(error)) => {
                tracing::error!(
                    request.id = ids.request,
                    ?error,
                    "an s3 answer could not be made"
                );
                return ids.refuse(is_http1, internal_error());
            }
            Err(_) => {
                server.metrics.panics.inc();
                tracing::error!(request.id = ids.request, "a handler panicked");
                return ids.refuse(is_http1, internal_error());
            }
        };
        ids.marked(response)
    }
}

impl RequestIds {
    /// The answer, with the IDs by which a caller can quote it.
    fn marked(&self, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
        let ids = [
            ("x-amz-request-id", &self.request),
            ("x-amz-id-2", &self.extended),
        ];
        for (name, id) in ids {
            let value = HeaderValue::from_str(id).expect("a UUID and Base64 are plain text");
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// The answer, after which the connection is closed.
    fn refuse(
        &self,
        is_http1: bool,
        mut response: Response<ResponseBody>,
    ) -> Response<ResponseBody> {
        if is_http1 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        self.marked(response)
    }
}

fn refused_head(reason: HeadRefusal) -> Response<ResponseBody> {
    let code = match reason {
        HeadRefusal::Ambiguous(_) => "InvalidRequest",
        HeadRefusal::TooManyHeaders => "RequestHeaderSectionTooLarge",
    };
    let mut response = refusal(code, reason.message());
    *response.status_mut() = reason.status();
    response
}

fn internal_error() -> Response<ResponseBody> {
    refusal(
        "InternalError",
        "We encountered an internal error. Please try again.",
    )
}

fn refusal(code: &'static str, message: &str) -> Response<ResponseBody> {
    let reason = Denied {
        code,
        message: message.to_owned(),
    };
    cairn_bucket::refusal(&reason).map(|body| body.map_err(Into::into).boxed_unsync())
}

impl BucketHandler {
    fn new_ids(&self) -> RequestIds {
        let entropy = &self.server.world.entropy;
        let mut number = [0; 8];
        entropy.fill(&mut number);
        let mut random = [0; EXTENDED_ID_BYTES];
        entropy.fill(&mut random);
        RequestIds {
            request: format!("{:016X}", u64::from_be_bytes(number)),
            extended: STANDARD.encode(random),
        }
    }

    fn arrival(
        &self,
        connection: &ConnectionFacts,
        head: &http::request::Parts,
        ids: RequestIds,
    ) -> Arc<Arrival> {
        let server = &self.server;
        let now = (server.clock.monotonic(), server.clock.now_ms());
        let proxies = &server.config.http.trusted_proxies;
        Arc::new(Arrival {
            call: Call::new(head, connection, proxies, (ids.request, now.0, now.1)),
            extended_id: ids.extended,
        })
    }

    fn counted(&self, body: cairn_bucket::Body) -> ResponseBody {
        let sent = self.server.metrics.bucket_bytes.clone();
        let counted = body.map_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            sent.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
            frame
        });
        counted.map_err(Into::into).boxed_unsync()
    }
}
