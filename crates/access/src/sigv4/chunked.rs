//! Bodies of S3's `aws-chunked` encoding, each chunk signed in a chain that begins with the request's own
//! signature, or not signed at all; trailers at the end.
//!
//! ```text
//! HEX-SIZE [";chunk-signature=" HEX] CRLF DATA CRLF   repeated; the last has size 0 and no data line
//! (NAME ":" VALUE CRLF)* ["x-amz-trailer-signature:" HEX CRLF]   in the -TRAILER forms
//! CRLF
//! ```
//!
//! Nothing is held but one header line and the trailers, so memory does not grow with the body.

use aws_lc_rs::digest;

use super::canonical::{EMPTY_SHA256, hex, sha256_hex};
use super::payload::{PayloadError, Taken, Trailer};
use super::signature::{Scope, SigningKey};
use super::time::AmzTime;

/// The longest size line: sixteen digits, the name and the digits of a signature.
const SIZE_LINE_BYTES_MAX: usize = 128;
/// The longest trailer line.
const TRAILER_LINE_BYTES_MAX: usize = 1024;
/// Trailers that a request may announce.
const TRAILERS_MAX: usize = 8;
/// Signed chunks are at least as long, but for the last: each costs a signature.
const SIGNED_CHUNK_BYTES_MIN: u64 = 8192;
/// The trailer that signs the others.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// The forms of `x-amz-content-sha256` that announce an `aws-chunked` body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedForm {
    /// Signed chunks.
    Signed,
    /// Signed chunks and signed trailers.
    SignedTrailer,
    /// Unsigned chunks and trailers.
    UnsignedTrailer,
}

impl ChunkedForm {
    const ALL: [Self; 3] = [Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer];

    /// As requests write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }

    fn has_trailers(self) -> bool {
        matches!(self, Self::SignedTrailer | Self::UnsignedTrailer)
    }
}

/// What a verified request says about its `aws-chunked` body.
#[derive(Clone)]
pub(super) struct ChunkedRule {
    pub(super) form: ChunkedForm,
    pub(super) decoded_length: Option<u64>,
    pub(super) trailers: Option<String>,
    /// None for the form whose chunks are not signed.
    pub(super) chain: Option<Chain>,
}

/// What the chunks' signatures are made with. Each signs the one before it.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) key: SigningKey,
    pub(super) signed_at: AmzTime,
    pub(super) scope: Scope,
    pub(super) previous: String,
}

impl Chain {
    fn check_chunk(&mut self, data_sha256: &str, signature: &str) -> Result<(), PayloadError> {
        let (at, scope, previous) = (self.signed_at, &self.scope, &self.previous);
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{at}\n{scope}\n{previous}\n{EMPTY_SHA256}\n{data_sha256}"
        );
        self.check(&text, signature)
    }

    fn check_trailers(&mut self, trailers: &[Trailer], sent: &str) -> Result<(), PayloadError> {
        let mut canonical = String::new();
        for (name, value) in trailers {
            canonical.extend([name.as_str(), ":", value, "\n"]);
        }
        let (at, scope, previous) = (self.signed_at, &self.scope, &self.previous);
        let hash = sha256_hex(canonical.as_bytes());
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{at}\n{scope}\n{previous}\n{hash}");
        self.check(&text, sent)
    }

    fn check(&mut self, text: &str, signature: &str) -> Result<(), PayloadError> {
        if !self.key.matches(text, signature.as_bytes()) {
            return Err(PayloadError::SignatureDoesNotMatch);
        }
        signature.clone_into(&mut self.previous);
        Ok(())
    }
}

/// Where in the body the decoder stands.
enum State {
    SizeLine,
    Data { remaining: u64 },
    DataEnd,
    Trailers,
    Complete,
}

/// The push parser of an `aws-chunked` body.
pub(super) struct ChunkDecoder {
    form: ChunkedForm,
    chain: Option<Chain>,
    /// Bytes of data that are still to come by what the request declared.
    owed: u64,
    announced: Vec<String>,
    state: State,
    line: Vec<u8>,
    /// The signature that the current chunk claims, and the hash of its data so far.
    claimed: Option<String>,
    hash: digest::Context,
    chunk_bytes: u64,
    trailers: Vec<Trailer>,
}

impl ChunkDecoder {
    pub(super) fn new(rule: &ChunkedRule) -> Result<Self, PayloadError> {
        Ok(Self {
            form: rule.form,
            chain: rule.chain.clone(),
            owed: rule.decoded_length.ok_or(PayloadError::LengthMissing)?,
            announced: announced(rule)?,
            state: State::SizeLine,
            line: Vec::new(),
            claimed: None,
            hash: digest::Context::new(&digest::SHA256),
            chunk_bytes: SIGNED_CHUNK_BYTES_MIN,
            trailers: Vec::new(),
        })
    }

    /// Reads up to the end of the first run of data, or of the input.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<Taken, PayloadError> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Data { remaining } => {
                    let rest = &input[at..];
                    let here = usize::try_from(remaining).map_or(rest.len(), |n| n.min(rest.len()));
                    self.take_data(&rest[..here], remaining)?;
                    return Ok(Taken {
                        consumed: at + here,
                        data: at..at + here,
                    });
                }
                State::Complete => return Err(PayloadError::Malformed),
                State::SizeLine | State::DataEnd | State::Trailers => {
                    self.take_line_byte(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Taken {
            consumed: at,
            data: at..at,
        })
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    pub(super) fn finish(self) -> Result<Vec<Trailer>, PayloadError> {
        if self.is_complete() {
            Ok(self.trailers)
        } else {
            Err(PayloadError::WrongLength)
        }
    }

    fn take_data(&mut self, data: &[u8], remaining: u64) -> Result<(), PayloadError> {
        if self.chain.is_some() {
            self.hash.update(data);
        }
        let taken = u64::try_from(data.len()).map_err(|_| PayloadError::Malformed)?;
        // `owed` covers the whole chunk since its size line.
        self.owed = self.owed.saturating_sub(taken);
        let remaining = remaining.saturating_sub(taken);
        self.state = State::Data { remaining };
        if remaining == 0 {
            self.check_chunk()?;
            self.state = State::DataEnd;
        }
        Ok(())
    }

    fn check_chunk(&mut self) -> Result<(), PayloadError> {
        let Some(chain) = &mut self.chain else {
            return Ok(());
        };
        let claimed = self.claimed.take().ok_or(PayloadError::Malformed)?;
        let hash = std::mem::replace(&mut self.hash, digest::Context::new(&digest::SHA256));
        chain.check_chunk(&hex(hash.finish().as_ref()), &claimed)
    }

    fn take_line_byte(&mut self, byte: u8) -> Result<(), PayloadError> {
        let (longest, too_long) = match self.state {
            State::DataEnd => (2, PayloadError::Malformed),
            State::Trailers => (TRAILER_LINE_BYTES_MAX, PayloadError::MalformedTrailer),
            _ => (SIZE_LINE_BYTES_MAX, PayloadError::Malformed),
        };
        self.line.push(byte);
        if byte != b'\n' {
            return if self.line.len() < longest {
                Ok(())
            } else {
                Err(too_long)
            };
        }
        let line = std::mem::take(&mut self.line);
        match self.state {
            State::Trailers => self.trailer_line(&line),
            State::DataEnd if line == b"\r\n" => {
                self.state = State::SizeLine;
                Ok(())
            }
            State::SizeLine => self.size_line(&line),
            State::DataEnd | State::Data { .. } | State::Complete => Err(PayloadError::Malformed),
        }
    }

    fn size_line(&mut self, line: &[u8]) -> Result<(), PayloadError> {
        let line = line.strip_suffix(b"\r\n").ok_or(PayloadError::Malformed)?;
        let line = std::str::from_utf8(line).map_err(|_| PayloadError::Malformed)?;
        let size = if self.chain.is_some() {
            let (size, signature) = line
                .split_once(";chunk-signature=")
                .ok_or(PayloadError::Malformed)?;
            self.claimed = Some(signature.to_owned());
            size
        } else {
            line
        };
        let digits = (1..=16).contains(&size.len()) && size.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| digits);
        let size = size.ok_or(PayloadError::Malformed)?;
        if size == 0 {
            if self.owed > 0 {
                return Err(PayloadError::WrongLength);
            }
            self.check_chunk()?;
            self.state = State::Trailers;
            return Ok(());
        }
        if self.chain.is_some() && self.chunk_bytes < SIGNED_CHUNK_BYTES_MIN {
            return Err(PayloadError::ChunkTooSmall);
        }
        if size > self.owed {
            return Err(PayloadError::WrongLength);
        }
        self.chunk_bytes = size;
        self.state = State::Data { remaining: size };
        Ok(())
    }

    /// A line after the last chunk; the empty one ends the body. Clients end these lines with a line
    /// feed alone as well.
    fn trailer_line(&mut self, line: &[u8]) -> Result<(), PayloadError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| PayloadError::MalformedTrailer)?;
        if line.is_empty() {
            let signed = self.form != ChunkedForm::SignedTrailer || self.claimed.is_some();
            if self.trailers.len() != self.announced.len() || !signed {
                return Err(PayloadError::MalformedTrailer);
            }
            self.state = State::Complete;
            return Ok(());
        }
        let (name, value) = line.split_once(':').ok_or(PayloadError::MalformedTrailer)?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']));
        // What follows the signature is not signed.
        if self.claimed.is_some() {
            return Err(PayloadError::MalformedTrailer);
        }
        if name == TRAILER_SIGNATURE && self.form == ChunkedForm::SignedTrailer {
            let chain = self.chain.as_mut().ok_or(PayloadError::MalformedTrailer)?;
            chain.check_trailers(&self.trailers, value)?;
            self.claimed = Some(value.to_owned());
            return Ok(());
        }
        let repeated = self.trailers.iter().any(|(sent, _)| *sent == name);
        if repeated || !self.announced.contains(&name) {
            return Err(PayloadError::MalformedTrailer);
        }
        self.trailers.push((name, value.to_owned()));
        Ok(())
    }
}

/// The names of `x-amz-trailer`, which the forms with trailers need and the other must not have.
fn announced(rule: &ChunkedRule) -> Result<Vec<String>, PayloadError> {
    let mut names: Vec<String> = Vec::new();
    for name in rule.trailers.iter().flat_map(|list| list.split(',')) {
        let name = name.trim_matches(' ').to_ascii_lowercase();
        if !name.starts_with("x-amz-checksum-") || names.contains(&name) {
            return Err(PayloadError::MalformedTrailer);
        }
        names.push(name);
    }
    if rule.form.has_trailers() == names.is_empty() || names.len() > TRAILERS_MAX {
        return Err(PayloadError::MalformedTrailer);
    }
    Ok(names)
}
