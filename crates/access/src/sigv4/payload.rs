//! What the body of an authenticated request must be like, and the push parser that sees to it. Whoever
//! reads the body passes every byte through a [`PayloadReader`] and believes none of it before
//! [`PayloadReader::finish`] has said that all of it is right.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::{constant_time, digest};

use super::canonical::hex;
use super::chunked::{ChunkDecoder, ChunkedRule};

/// How a body is to be read and checked. It holds keys, so it shows nothing of itself.
#[derive(Clone)]
pub struct PayloadRule(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Unsigned,
    Sha256(String),
    Chunked(Box<ChunkedRule>),
}

impl PayloadRule {
    /// Any body is right.
    pub fn unsigned() -> Self {
        Self(Kind::Unsigned)
    }

    /// The body has this SHA-256, in lower-case hex.
    pub fn sha256(hex: &str) -> Self {
        Self(Kind::Sha256(hex.to_owned()))
    }

    /// Whether the body comes as `aws-chunked`: its length on the wire is not that of the data.
    pub fn is_chunked(&self) -> bool {
        matches!(self.0, Kind::Chunked(_))
    }

    /// The length of the data in an `aws-chunked` body, if the request declares it.
    pub fn decoded_length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Chunked(rule) => rule.decoded_length,
            Kind::Unsigned | Kind::Sha256(_) => None,
        }
    }

    /// The trailers that the request announces, as `x-amz-trailer` writes them.
    pub fn announced_trailers(&self) -> Option<&str> {
        match &self.0 {
            Kind::Chunked(rule) => rule.trailers.as_deref(),
            Kind::Unsigned | Kind::Sha256(_) => None,
        }
    }

    /// A reader for one body; refused if the request does not say what is needed to read it.
    pub fn reader(&self) -> Result<PayloadReader, PayloadError> {
        let reading = match &self.0 {
            Kind::Unsigned => Reading::Unsigned,
            Kind::Sha256(expected) => Reading::Sha256 {
                expected: expected.clone(),
                context: digest::Context::new(&digest::SHA256),
            },
            Kind::Chunked(rule) => Reading::Chunked(Box::new(ChunkDecoder::new(rule)?)),
        };
        Ok(PayloadReader(reading))
    }
}

impl fmt::Debug for PayloadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Unsigned => "PayloadRule(unsigned)",
            Kind::Sha256(_) => "PayloadRule(SHA-256)",
            Kind::Chunked(_) => "PayloadRule(aws-chunked)",
        })
    }
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// An `aws-chunked` body whose data's length is not declared.
    #[error("You must provide the Content-Length HTTP header.")]
    LengthMissing,
    /// The framing cannot be read.
    #[error("The chunked encoding of the request body is malformed")]
    Malformed,
    /// A signed chunk that is not the last is too small.
    #[error("Only the last chunk is allowed to have a size less than 8192 bytes")]
    ChunkTooSmall,
    /// There is less data than was declared, or more.
    #[error("The request body terminated unexpectedly")]
    WrongLength,
    /// A chunk or the trailers do not carry the signature that they should.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    SignatureDoesNotMatch,
    /// The body's SHA-256 is not the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    HashMismatch,
    /// The trailers are not those that the request announced, or cannot be read.
    #[error(
        "The request contained trailing data that was not well-formed or did not conform to our published schema."
    )]
    MalformedTrailer,
}

/// Which part of what was fed is the object's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of the input that are done with. At least one if the input holds any.
    pub consumed: usize,
    /// The bytes of the input that are data; often none.
    pub data: Range<usize>,
}

/// A trailer's name in lower case, and its value.
pub type Trailer = (String, String);

/// Reads one body piece by piece. After an error it must not be fed again.
pub struct PayloadReader(Reading);

enum Reading {
    Unsigned,
    Sha256 {
        expected: String,
        context: digest::Context,
    },
    Chunked(Box<ChunkDecoder>),
}

impl PayloadReader {
    /// Takes a piece from the front of `input`; callers feed the rest again until there is none.
    pub fn take(&mut self, input: &[u8]) -> Result<Taken, PayloadError> {
        match &mut self.0 {
            Reading::Unsigned => {}
            Reading::Sha256 { context, .. } => context.update(input),
            Reading::Chunked(decoder) => return decoder.take(input),
        }
        Ok(Taken {
            consumed: input.len(),
            data: 0..input.len(),
        })
    }

    /// Whether the body must be over: what follows is refused.
    pub fn is_complete(&self) -> bool {
        match &self.0 {
            Reading::Unsigned | Reading::Sha256 { .. } => false,
            Reading::Chunked(decoder) => decoder.is_complete(),
        }
    }

    /// The body is over. With `Ok`, all that was taken is what the caller signed; the trailers are
    /// exactly those that it announced.
    pub fn finish(self) -> Result<Vec<Trailer>, PayloadError> {
        match self.0 {
            Reading::Unsigned => Ok(Vec::new()),
            Reading::Sha256 { expected, context } => {
                let actual = hex(context.finish().as_ref());
                constant_time::verify_slices_are_equal(actual.as_bytes(), expected.as_bytes())
                    .map(|()| Vec::new())
                    .map_err(|_| PayloadError::HashMismatch)
            }
            Reading::Chunked(decoder) => decoder.finish(),
        }
    }
}

impl fmt::Debug for PayloadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadReader")
    }
}
