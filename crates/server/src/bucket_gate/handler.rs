//! The S3 endpoint as the listener sees it: heads are checked, bodies passed on while they come, answers
//! marked with the IDs by which a caller can quote them.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_bucket::{BucketEndpoint, Denied};
use http::header::{CONNECTION, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tracing::Instrument as _;

use super::Arrival;
use super::access_line::AccessLine;
use crate::http::{
    BodyLength, ConnectionFacts, Handler, HeadRefusal, ResponseBody, RestOfBody, StreamedBody,
    UnreadBody, check_head,
};
use crate::pipeline::{Call, Server};

/// Random bytes of an extended request ID.
const EXTENDED_ID_BYTES: usize = 32;
/// Says how long the data in a body is whose framing does not.
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";

/// The S3 endpoint as the listener sees it.
#[derive(Debug)]
pub(crate) struct BucketHandler {
    pub(crate) server: Arc<Server>,
    pub(crate) endpoint: BucketEndpoint,
}

#[async_trait]
impl Handler for BucketHandler {
    async fn handle(
        &self,
        connection: &ConnectionFacts,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (mut head, body) = request.into_parts();
        let body = UnreadBody::new(&mut head, body);
        let is_http1 = head.version < http::Version::HTTP_2;
        let server = &self.server;
        let ids = self.new_ids();
        if let Some(refusal) = refused(&head, server.config.http.header_count_max) {
            return ids.refuse(is_http1, refusal);
        }
        let Ok(room) = server.bodies.take_head(connection.peer.ip(), &head) else {
            server.metrics.not_admitted("no-memory");
            let message = "Too many requests are in progress. Please try again.";
            return ids.refuse(is_http1, refusal("SlowDown", message));
        };
        name_host(&mut head);
        let is_last = head.headers.contains_key(TRANSFER_ENCODING);
        let (body, rest) = self.streamed(&head, body);
        let (arrival, version) = (self.arrival(connection, &head, ids.clone()), head.version);
        head.extensions.insert(Arc::clone(&arrival));
        let request = Request::from_parts(head, cairn_bucket::Body::http_body_unsync(body));
        // A task of its own: a client that hangs up must not keep its attempt out of the record.
        let (endpoint, of_work) = (self.endpoint.clone(), Arc::clone(server));
        let work = async move {
            let answer = endpoint.call(request).await.map(|response| {
                let line = AccessLine::of(&of_work, &arrival, version, &response);
                (response, line)
            });
            rest.discard(of_work.clock.as_ref()).await;
            drop(room);
            answer
        };
        // Whatever is logged on the way stands under the ID that the caller gets.
        let work = work.instrument(tracing::error_span!("call", request.id = ids.request));
        let response = match server.calls.spawn(work).await {
            Ok(Ok((response, line))) => response.map(|body| self.counted(body, line)),
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
        if is_last {
            return ids.refuse(is_http1, response);
        }
        ids.marked(response)
    }
}

/// The answer to what must not get further: heads with two readings, and bodies of which nobody says how
/// long their data is.
fn refused(head: &Parts, header_count_max: usize) -> Option<Response<ResponseBody>> {
    if let Err(reason) = check_head(head, header_count_max, BodyLength::DeclaredOrChunked) {
        return Some(refused_head(reason));
    }
    let is_open = head.headers.contains_key(TRANSFER_ENCODING);
    let message = "You must provide the Content-Length HTTP header.";
    (is_open && !head.headers.contains_key(DECODED_LENGTH))
        .then(|| refusal("MissingContentLength", message))
}

/// Gives a request over HTTP/2 the header that names its host.
fn name_host(head: &mut Parts) {
    if let (Some(authority), false) = (
        head.uri.authority(),
        head.headers.contains_key(http::header::HOST),
    ) && let Ok(host) = authority.as_str().parse()
    {
        head.headers.insert(http::header::HOST, host);
    }
}

/// By which a client and we speak of one request.
#[derive(Clone, Debug)]
pub(super) struct RequestIds {
    /// S3's own form: sixteen capitals and digits.
    request: String,
    /// What S3 sends as `x-amz-id-2`.
    extended: String,
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

    /// The answer after which the connection is closed.
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

    /// The body as its reader takes it.
    fn streamed(&self, head: &Parts, body: UnreadBody) -> (StreamedBody, RestOfBody) {
        let server = &self.server;
        let patience = (
            Arc::clone(&server.clock),
            server.config.http.body_read_timeout,
        );
        let received = server.metrics.bucket_received_bytes.clone();
        StreamedBody::new(body, patience, received, head.headers.contains_key(EXPECT))
    }

    /// The body, whose bytes are counted while they leave.
    fn counted(&self, body: cairn_bucket::Body, mut line: Option<AccessLine>) -> ResponseBody {
        let sent = self.server.metrics.bucket_bytes.clone();
        let counted = body.map_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            sent.inc_by(bytes);
            if let Some(line) = &mut line {
                line.sent(bytes);
            }
            frame
        });
        counted.map_err(Into::into).boxed_unsync()
    }
}
