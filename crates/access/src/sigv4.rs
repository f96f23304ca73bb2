//! Signature Version 4, from both sides: [`parse`] and [`SignedRequest::verify`] for the server,
//! [`sign`] and [`presign`] for our own clients, over the same public stages (canonical request, string
//! to sign, signing key, signature), which AWS's published vectors prove one by one.
//!
//! This module gets method, path, query and headers as plain values and of a body its SHA-256, or, for
//! S3, its bytes through a [`PayloadReader`]. Which Region, service, key and session token are right is the caller's decision.

mod canonical;
mod chunked;
mod error;
mod parse;
mod payload;
mod request;
mod rules;
mod sign;
mod signature;
mod time;

pub use canonical::{
    EMPTY_SHA256, UNSIGNED_PAYLOAD, canonical_head, canonical_request, sha256_hex,
};
pub use chunked::ChunkedForm;
pub use error::{AuthenticationError, AuthenticationErrorKind, RequestPart};
pub use parse::{DeclaredPayload, SignedRequest, parse};
pub use payload::{PayloadError, PayloadReader, PayloadRule, Taken, Trailer};
pub use request::{RequestParts, without_signature};
pub use rules::{PathRule, ServiceRules};
pub use sign::{Credentials, SigningRequest, presign, sign};
pub use signature::{Scope, SigningKey, string_to_sign};
pub use time::AmzTime;
