//! Bodies as the endpoint reads them: every byte passes the rule that the request was signed under, and
//! the last bytes leave only when the rule has said that all of them are right. So whoever reads a body
//! to its end and then commits can never have committed anything else.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use cairn_access::sigv4::{PayloadError, PayloadReader, PayloadRule, Trailer};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use s3s::{Body, S3Error, S3ErrorCode, StdError};

/// The longest body of one request, as S3 has it: five gibibytes of data.
pub const BODY_BYTES_MAX: u64 = 5 << 30;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
/// The content encoding that is the framing alone and not the object's.
const CHUNKED: &str = "aws-chunked";

/// What a listener ends a body with when its next bytes do not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body came too slowly")]
pub struct BodyTimedOut;

/// Why a body ended early. Readers get it as the stream's error and need not tell its kinds apart: the
/// endpoint answers with [`PayloadReport::failure`] whatever the operation made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayloadFailure {
    /// It is not what the caller signed.
    #[error(transparent)]
    Refused(#[from] PayloadError),
    /// It is longer than S3 allows.
    #[error("Your proposed upload exceeds the maximum allowed size")]
    TooLarge,
    /// It stopped coming.
    #[error(
        "Your socket connection to the server was not read from or written to within the timeout \
         period. Idle connections will be closed."
    )]
    TimedOut,
    /// The client went away or broke the protocol.
    #[error("The request body terminated unexpectedly")]
    Interrupted,
}

impl PayloadFailure {
    /// S3's answer.
    pub(crate) fn to_s3_error(self) -> S3Error {
        let (code, status) = match self {
            Self::Refused(PayloadError::LengthMissing) => ("MissingContentLength", 411),
            Self::Refused(PayloadError::Malformed) => ("InvalidRequest", 400),
            Self::Refused(PayloadError::ChunkTooSmall) => ("InvalidChunkSizeError", 403),
            Self::Refused(PayloadError::WrongLength) | Self::Interrupted => ("IncompleteBody", 400),
            Self::Refused(PayloadError::SignatureDoesNotMatch) => ("SignatureDoesNotMatch", 403),
            Self::Refused(PayloadError::HashMismatch) => ("XAmzContentSHA256Mismatch", 400),
            Self::Refused(PayloadError::MalformedTrailer) => ("MalformedTrailerError", 400),
            Self::TooLarge => ("EntityTooLarge", 400),
            Self::TimedOut => ("RequestTimeout", 400),
        };
        let known = S3ErrorCode::from_bytes(code.as_bytes());
        let mut error = S3Error::new(known.unwrap_or(S3ErrorCode::InvalidRequest));
        error.set_message(self.to_string());
        let status = StatusCode::from_u16(status).expect("each of them is a status");
        error.set_status_code(status);
        error
    }
}

/// What is known of a request's body once it has been read. The endpoint finds it in the request's
/// extensions, and so do operations: trailing checksums are there and nowhere else.
#[derive(Debug, Default)]
pub(crate) struct PayloadReport {
    announced: Vec<String>,
    received: AtomicU64,
    trailers: OnceLock<Vec<Trailer>>,
    failure: OnceLock<PayloadFailure>,
}

impl PayloadReport {
    /// Bytes of data that came so far.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The names of the trailers that the request announces, in lower case: checksums to be computed
    /// while the body is read.
    pub(crate) fn announced(&self) -> &[String] {
        &self.announced
    }

    /// A trailer's value. None before the body was read to its end; afterwards every announced trailer
    /// has one.
    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        let mut trailers = self.trailers.get()?.iter();
        trailers.find_map(|(sent, value)| (sent == name).then_some(value.as_str()))
    }

    /// Why the body was cut off, if it was. It is the request's answer then.
    pub(crate) fn failure(&self) -> Option<PayloadFailure> {
        self.failure.get().copied()
    }
}

/// The request's body behind its rule. The head loses what speaks of the body's framing (its
/// `content-length` is the data's, `aws-chunked` is no content encoding), so that what follows sees a
/// plain body; its extensions gain an `Arc<PayloadReport>`.
pub(crate) fn checked(
    head: &mut Parts,
    body: Body,
    rule: &PayloadRule,
) -> Result<(Body, Arc<PayloadReport>), PayloadFailure> {
    let reader = rule.reader()?;
    let expected = match rule.decoded_length() {
        Some(length) => Some(length),
        None => body.size_hint().exact(),
    };
    if expected.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(PayloadFailure::TooLarge);
    }
    let announced = rule.announced_trailers().into_iter();
    let announced = announced.flat_map(|names| names.split(','));
    let report = Arc::new(PayloadReport {
        announced: announced
            .map(|name| name.trim_matches(' ').to_ascii_lowercase())
            .collect(),
        ..PayloadReport::default()
    });
    head.extensions.insert(Arc::clone(&report));
    head.headers.remove(CONTENT_SHA256);
    if rule.is_chunked() {
        plain_head(head, rule.decoded_length());
    }
    // An empty body has no last bytes to hold back.
    if body.is_end_stream() {
        let trailers = reader.finish()?;
        let _ = report.trailers.set(trailers);
        return Ok((Body::empty(), report));
    }
    let checked = CheckedBody {
        inner: body,
        reader: Some(reader),
        fed: Bytes::new(),
        held: None,
        left: expected,
        report: Arc::clone(&report),
    };
    Ok((Body::http_body_unsync(checked), report))
}

fn plain_head(head: &mut Parts, decoded_length: Option<u64>) {
    head.headers.remove(DECODED_LENGTH);
    head.headers.remove(TRAILER);
    head.headers.remove(header::TRANSFER_ENCODING);
    if let Some(length) = decoded_length {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let sent = head.headers.remove(header::CONTENT_ENCODING);
    let kept: Vec<&str> = sent
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(CHUNKED))
        .collect();
    if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_str(&kept.join(","))) {
        head.headers.insert(header::CONTENT_ENCODING, value);
    }
}

/// A body whose data has passed its rule.
struct CheckedBody {
    inner: Body,
    /// None when the body is over.
    reader: Option<PayloadReader>,
    /// What came and has not passed the reader yet.
    fed: Bytes,
    /// Data that leaves when more has come, or when all of it is right.
    held: Option<Bytes>,
    /// Data that is still to leave, as far as it is declared.
    left: Option<u64>,
    report: Arc<PayloadReport>,
}

impl CheckedBody {
    fn fail(&mut self, failure: PayloadFailure) -> StdError {
        self.reader = None;
        self.held = None;
        let _ = self.report.failure.set(failure);
        Box::new(failure)
    }

    /// Passes what came through the reader, up to the first run of data.
    fn decode(&mut self) -> Result<Option<Bytes>, PayloadFailure> {
        let reader = self.reader.as_mut().ok_or(PayloadFailure::Interrupted)?;
        let taken = reader.take(&self.fed)?;
        let data = self.fed.slice(taken.data);
        let _ = self.fed.split_to(taken.consumed);
        if data.is_empty() {
            return Ok(None);
        }
        let length = u64::try_from(data.len()).map_err(|_| PayloadFailure::TooLarge)?;
        let before = self.report.received.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > BODY_BYTES_MAX {
            return Err(PayloadFailure::TooLarge);
        }
        Ok(self.held.replace(data))
    }

    fn end(&mut self) -> Result<Option<Bytes>, PayloadFailure> {
        let reader = self.reader.take().ok_or(PayloadFailure::Interrupted)?;
        let trailers = reader.finish()?;
        let _ = self.report.trailers.set(trailers);
        Ok(self.held.take())
    }

    fn leaving(&mut self, data: Bytes) -> Frame<Bytes> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(length));
        Frame::data(data)
    }
}

impl http_body::Body for CheckedBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        while this.reader.is_some() {
            let step = if this.fed.is_empty() {
                match std::task::ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                    Some(Ok(frame)) => {
                        // HTTP's own trailers mean nothing to S3.
                        this.fed = frame.into_data().unwrap_or_default();
                        Ok(None)
                    }
                    Some(Err(error)) => Err(match error.downcast_ref() {
                        Some(BodyTimedOut) => PayloadFailure::TimedOut,
                        None => PayloadFailure::Interrupted,
                    }),
                    None => this.end(),
                }
            } else {
                this.decode()
            };
            match step {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(this.leaving(data)))),
                Ok(None) => {}
                Err(failure) => return Poll::Ready(Some(Err(this.fail(failure)))),
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests;
