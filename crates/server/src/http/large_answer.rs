//! Large answers, handed to the connection piece by piece. A piece that is taken shows that the client
//! takes those before: a long download is not idle, a client that stops reading is. Until the last piece
//! is gone, the connection has work and makes no room for another.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::ResponseBody;
use super::connections::{AnswerOnItsWay, ConnectionPlace};

/// Answers up to this size fit into the buffers between, and larger ones go in pieces of it.
const PIECE_BYTES: usize = 64 << 10;

/// The answer, whose connection keeps its place while the body goes out if it is large, or of unknown
/// length.
pub(super) fn watched(
    response: Response<ResponseBody>,
    place: &Arc<ConnectionPlace>,
) -> Response<ResponseBody> {
    let length = response.body().size_hint().exact();
    if length.is_some_and(|bytes| usize::try_from(bytes).is_ok_and(|bytes| bytes <= PIECE_BYTES)) {
        return response;
    }
    let on_its_way = place.begin_answer();
    response.map(|body| {
        let in_pieces = InPieces {
            body,
            rest: Bytes::new(),
            on_its_way,
        };
        in_pieces.boxed_unsync()
    })
}

struct InPieces {
    body: ResponseBody,
    /// What is left of the body's last frame.
    rest: Bytes,
    on_its_way: AnswerOnItsWay,
}

impl Body for InPieces {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.on_its_way.progressed();
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                Ok(bytes) => self.rest = bytes,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(rest));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
