//! The listener: connections, TLS, HTTP/1.1 and HTTP/2, and the limits on each of them (R18).
//! What a request means is not decided here: a `Handler` gets heads and bodies and gives answers.

mod answer;
mod body;
mod connections;
mod date;
mod form;
mod head;
mod large_answer;
mod listener;
mod socket;
mod streamed_body;
mod tls;

pub(crate) use answer::Answer;
pub(crate) use body::{BodyBudget, BodyError, BodyLimits, HeldBody, Room, UnreadBody};
pub(crate) use form::decoded_pairs;
pub(crate) use head::{BodyLength, HeadRefusal, check_head, client_host, header_values};
pub(crate) use listener::{Handler, Listener};
pub(crate) use streamed_body::{RestOfBody, StreamedBody};
pub(crate) use tls::TlsFacts;

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// The body of an answer: whole, or streamed by the S3 endpoint.
pub(crate) type ResponseBody =
    UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync + 'static>>;

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionFacts {
    /// The other end of the socket.
    pub(crate) peer: SocketAddr,
    /// Set if the connection is encrypted.
    pub(crate) tls: Option<TlsFacts>,
}
