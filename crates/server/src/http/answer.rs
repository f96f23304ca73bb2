//! An answer as plain values, before it becomes an HTTP response.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::ResponseBody;

/// Name under which clients look for the request ID.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Status, content and the few headers that differ between answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// `x-amzn-ErrorType`, for protocols that read the error's name there.
    pub(crate) error_type: Option<&'static str>,
    /// Seconds after which a refused caller may try again.
    pub(crate) retry_after: Option<u32>,
    /// True if the connection cannot be trusted, or used, any further.
    pub(crate) close: bool,
}

impl Answer {
    /// An answer with nothing but status and content.
    pub(crate) fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        Self {
            status,
            content_type,
            body,
            error_type: None,
            retry_after: None,
            close: false,
        }
    }

    /// A line of plain text.
    pub(crate) fn text(status: StatusCode, line: &'static str) -> Self {
        Self::new(
            status,
            "text/plain; charset=utf-8",
            Bytes::from_static(line.as_bytes()),
        )
    }

    /// The same answer, after which the connection is closed.
    #[must_use]
    pub(crate) fn and_close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The HTTP response. `request_id` stands on every answer, so that a caller can quote it.
    pub(crate) fn into_response(self, request_id: &str, is_http1: bool) -> Response<ResponseBody> {
        let body = Full::new(self.body)
            .map_err(|never| match never {})
            .boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let id = HeaderValue::from_str(request_id).expect("request IDs are UUIDs");
        headers.insert(REQUEST_ID, id);
        if let Some(name) = self.error_type {
            headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close && is_http1 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
