//! The line of a request in its bucket's access log, from the head to the last byte of the answer. It is added
//! when the answer's body is done with, sent or not, because only then its times and bytes are known.

use std::sync::Arc;
use std::time::Duration;

use cairn_access::sigv4;
use cairn_bucket::{Access, AccessLog, AccessLogEntry, Answered, LoggedBucket};
use cairn_platform::Clock;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, Response, Version};
use percent_encoding::percent_decode_str;

use super::{Arrival, Visitor};
use crate::pipeline::Server;

/// A line to be; added when it is dropped.
#[derive(Debug)]
pub(super) struct AccessLine {
    log: Arc<AccessLog>,
    clock: Arc<dyn Clock>,
    source: Arc<LoggedBucket>,
    began: Duration,
    entry: AccessLogEntry,
}

impl AccessLine {
    /// The line of a request that has been answered, if its bucket is logged.
    pub(super) fn of<B>(
        server: &Server,
        arrival: &Arrival,
        version: Version,
        response: &Response<B>,
    ) -> Option<Self> {
        let answered: &Answered = response.extensions().get()?;
        let source = server
            .access_log
            .source(&bucket_name(arrival, answered.access.as_ref())?)?;
        let call = &arrival.call;
        let visitor: Option<&Visitor> = answered.caller.as_ref().and_then(|caller| caller.facts());
        let headers = response.headers();
        let taken = server.clock.monotonic().saturating_sub(call.began);
        let entry = AccessLogEntry {
            received_ms: call.received_ms,
            remote_ip: call.source_ip.to_string(),
            requester: visitor.map(|visitor| visitor.caller.principal.arn()),
            request_id: call.request_id.clone(),
            access: answered.access.clone(),
            method: call.method.clone(),
            target: target(&call.path, &call.query),
            protocol: protocol(version),
            status: response.status().as_u16(),
            error_code: answered.error_code.clone(),
            sent_bytes: 0,
            object_bytes: object_bytes(answered, headers),
            total_ms: 0,
            // Of a body, nobody noted when its last byte came.
            turn_around_ms: (answered.received_bytes == 0).then(|| millis(taken)),
            referrer: call.header("referer").map(str::to_owned),
            user_agent: call.header("user-agent").map(str::to_owned),
            version_id: version_id(arrival, headers),
            host_id: arrival.extended_id.clone(),
            authentication: authentication(arrival),
            cipher_suite: call.tls.map(|tls| tls.cipher_suite),
            tls_version: call.tls.map(|tls| tls.version),
            host: call.client_host.clone(),
        };
        Some(Self {
            log: Arc::clone(&server.access_log),
            clock: Arc::clone(&server.clock),
            source,
            began: call.began,
            entry,
        })
    }

    /// Bytes of the answer have been handed over.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.entry.sent_bytes = self.entry.sent_bytes.saturating_add(bytes);
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        self.entry.total_ms = millis(self.clock.monotonic().saturating_sub(self.began));
        self.log.add(&self.source, &self.entry);
    }
}

/// The bucket that the path names, whether or not the request resembles an operation.
fn bucket_name(arrival: &Arrival, access: Option<&Access>) -> Option<String> {
    if let Some(access) = access {
        return access.bucket.clone();
    }
    let first = arrival.call.path.split('/').nth(1)?;
    let name = percent_decode_str(first).decode_utf8().ok()?;
    Some(name.into_owned())
}

/// Path and query as they came, without what signed the request: nobody may learn that from a log.
fn target(path: &str, query: &str) -> String {
    let query = sigv4::without_signature(query);
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

fn protocol(version: Version) -> &'static str {
    if version >= Version::HTTP_2 {
        "HTTP/2.0"
    } else if version == Version::HTTP_11 {
        "HTTP/1.1"
    } else {
        "HTTP/1.0"
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The size of the whole object, where the answer or the request says it.
fn object_bytes(answered: &Answered, headers: &HeaderMap) -> Option<u64> {
    if answered.error_code.is_some() {
        return None;
    }
    let text = |name| headers.get(name)?.to_str().ok();
    match answered.access.as_ref()?.operation.name {
        "PutObject" | "UploadPart" => Some(answered.received_bytes),
        "GetObject" | "HeadObject" => match text(CONTENT_RANGE) {
            Some(range) => range.rsplit_once('/')?.1.parse().ok(),
            None => text(CONTENT_LENGTH)?.parse().ok(),
        },
        _ => None,
    }
}

fn version_id(arrival: &Arrival, headers: &HeaderMap) -> Option<String> {
    let told = headers.get("x-amz-version-id");
    let told = told
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    told.or_else(|| {
        let mut asked = arrival.call.query_parameters();
        asked
            .find(|(name, _)| name == "versionId")
            .map(|(_, value)| value)
    })
}

fn authentication(arrival: &Arrival) -> Option<&'static str> {
    let call = &arrival.call;
    if call.header("authorization").is_some() {
        return Some("AuthHeader");
    }
    let mut parameters = call.query_parameters();
    parameters
        .any(|(name, _)| name.eq_ignore_ascii_case("x-amz-signature"))
        .then_some("QueryString")
}
