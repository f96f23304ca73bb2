//! What came of a request, for whoever sends its answer.

use http::Response;
use s3s::Body;

use crate::gatekeeper::Caller;
use crate::operation::Access;

/// Attached to every answer of the endpoint.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who asked; None if the request was not authenticated.
    pub caller: Option<Caller>,
    /// What the request asked for; None if it resembles no operation.
    pub access: Option<Access>,
    /// S3's error code, if it failed.
    pub error_code: Option<String>,
    /// Bytes of the request's body, decoded.
    pub received_bytes: u64,
}

impl Answered {
    /// The answer with this attached.
    pub(crate) fn on(self, mut response: Response<Body>) -> Response<Body> {
        response.extensions_mut().insert(self);
        response
    }
}
