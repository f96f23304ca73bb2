//! Bodies that are passed on while they come, for the S3 endpoint: as much is read as its reader takes,
//! and a client that sends nothing for the time limit has failed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cairn_bucket::BodyTimedOut;
use cairn_platform::Clock;
use http_body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;

use super::body::UnreadBody;

/// What ends a body early: [`BodyTimedOut`], or whatever broke the connection.
type Failure = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A body on its way from the client to its reader.
pub(crate) struct StreamedBody {
    /// None once it is over.
    body: Option<UnreadBody>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    is_begun: bool,
    received: Counter,
    unread: Option<oneshot::Sender<Unread>>,
}

impl fmt::Debug for StreamedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedBody")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Unread {
    body: UnreadBody,
    is_begun: bool,
}

/// What a reader has left of a body.
#[derive(Debug)]
pub(crate) struct RestOfBody {
    unread: oneshot::Receiver<Unread>,
    awaits_leave: bool,
}

impl StreamedBody {
    /// Passes `body` on, counting its bytes. The client may pause for `timeout` between two pieces; it
    /// waits for leave to send if `awaits_leave`.
    pub(crate) fn new(
        body: UnreadBody,
        (clock, timeout): (Arc<dyn Clock>, Duration),
        received: Counter,
        awaits_leave: bool,
    ) -> (Self, RestOfBody) {
        let (sender, unread) = oneshot::channel();
        let streamed = Self {
            body: Some(body),
            clock,
            timeout,
            waiting: None,
            is_begun: false,
            received,
            unread: Some(sender),
        };
        let rest = RestOfBody {
            unread,
            awaits_leave,
        };
        (streamed, rest)
    }

    fn is_too_slow(&mut self, context: &mut Context<'_>) -> bool {
        let (clock, timeout) = (&self.clock, self.timeout);
        let waiting = self.waiting.get_or_insert_with(|| clock.sleep(timeout));
        waiting.as_mut().poll(context).is_ready()
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        this.is_begun = true;
        match body.poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = None;
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.received
                    .inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.body = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.body = None;
                Poll::Ready(None)
            }
            Poll::Pending if this.is_too_slow(context) => {
                // Nobody waits for the rest of it: the connection is closed with the answer.
                this.body = None;
                Poll::Ready(Some(Err(BodyTimedOut.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(UnreadBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(UnreadBody::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for StreamedBody {
    fn drop(&mut self) {
        let is_begun = self.is_begun;
        if let (Some(body), Some(unread)) = (self.body.take(), self.unread.take()) {
            // Nobody who wants the rest any more is no loss.
            let _ = unread.send(Unread { body, is_begun });
        }
    }
}

impl RestOfBody {
    /// Throws away what the reader, who must be done, has not read: a client that is still sending reads
    /// no answer. One that has no leave to send yet never gets it.
    pub(crate) async fn discard(mut self, clock: &dyn Clock) {
        if let Ok(unread) = self.unread.try_recv()
            && !unread.body.is_end_stream()
            && (unread.is_begun || !self.awaits_leave)
        {
            unread.body.discard(clock).await;
        }
    }
}
