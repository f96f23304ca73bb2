//! The points in which AWS's services differ when they check a signature.

/// How the path enters the canonical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRule {
    /// Dot segments and repeated slashes are removed, then the path is encoded once more.
    NormalizeAndEncode,
    /// The path is decoded and encoded again, nothing removed: object keys may hold anything.
    EncodeOnce,
}

/// What one service demands of a signed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceRules {
    /// How the path enters the canonical request.
    pub path: PathRule,
    /// How far the request's time may lie from the server's, either way.
    pub skew_ms: i64,
    /// Whether `UNSIGNED-PAYLOAD` is an acceptable payload hash. A presigned request without a
    /// payload hash then counts as unsigned.
    pub unsigned_payload_allowed: bool,
    /// Whether `STREAMING-…` payload hashes are acceptable. Callers that allow them must read the body
    /// through [`super::SignedRequest::payload_rule`].
    pub streaming_payload_allowed: bool,
    /// Whether `content-type` has to be signed when it is sent.
    pub content_type_signed: bool,
    /// Whether a body that the caller has not hashed yet is acceptable when the request declares its
    /// hash. Callers that allow it must compare the body with [`super::SignedRequest::payload`].
    pub body_checked_later: bool,
}

impl ServiceRules {
    /// Every service but S3: five minutes, the whole body signed.
    pub const STANDARD: Self = Self {
        path: PathRule::NormalizeAndEncode,
        skew_ms: 5 * 60 * 1000,
        unsigned_payload_allowed: false,
        streaming_payload_allowed: false,
        content_type_signed: true,
        body_checked_later: false,
    };

    /// S3: fifteen minutes, bodies may be unsigned, hashed later or signed chunk by chunk.
    pub const S3: Self = Self {
        path: PathRule::EncodeOnce,
        skew_ms: 15 * 60 * 1000,
        unsigned_payload_allowed: true,
        streaming_payload_allowed: true,
        content_type_signed: false,
        body_checked_later: true,
    };
}
