//! From a request to a [`SignedRequest`]: every rule that needs no secret is checked here, so that
//! what remains for [`SignedRequest::verify`] is one comparison.

use std::sync::LazyLock;

use super::canonical::{EMPTY_SHA256, UNSIGNED_PAYLOAD, canonical_head, canonical_request};
use super::canonical::{QueryParameter, SIGNATURE_PARAMETER, decode_query};
use super::chunked::{Chain, ChunkedForm, ChunkedRule};
use super::payload::{Kind, PayloadRule};
use super::signature::{ALGORITHM, Scope, SigningKey, string_to_sign};
use super::time::{AmzTime, bound_text};
use super::{AuthenticationError, RequestPart, RequestParts, ServiceRules};
use crate::SecretKey;

/// The longest life of a presigned request: seven days.
const EXPIRES_SECONDS_MAX: i64 = 604_800;

/// What a request says about its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeclaredPayload {
    /// Nothing: the signature covers the hash of the body as received.
    Absent,
    /// The hash in lower-case hex.
    Sha256(String),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// One of the `STREAMING-…` forms, whose chunks the caller must check.
    Streaming(ChunkedForm),
}

/// A request whose signature is well formed, in time and covers what it must, but is not yet compared
/// with any secret.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    access_key_id: String,
    scope: Scope,
    signed_headers: Vec<String>,
    signature: Vec<u8>,
    security_token: Option<String>,
    signed_at: AmzTime,
    payload: DeclaredPayload,
    presigned_seconds: Option<i64>,
    body_checked_later: bool,
    decoded_length: Option<u64>,
    trailers: Option<String>,
    head: String,
}

/// Reads and judges everything about a signature that can be judged without the secret.
pub fn parse(
    request: &RequestParts<'_>,
    rules: &ServiceRules,
) -> Result<SignedRequest, AuthenticationError> {
    request.check_headers()?;
    let query = decode_query(request.query)?;
    let presigned = ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Algorithm"]
        .into_iter()
        .any(|name| {
            query
                .iter()
                .any(|(sent, _)| sent.as_ref() == name.as_bytes())
        });
    let claim = match (request.header("authorization")?, presigned) {
        (None, false) => return Err(AuthenticationError::Missing),
        (Some(_), true) => return Err(AuthenticationError::Ambiguous),
        (Some(header), false) => Claim::from_header(request, header)?,
        (None, true) => Claim::from_query(request, &query)?,
    };
    claim.check_time(request.now_ms, rules)?;
    let signed_headers = claim.check_signed_headers(request, rules)?;
    let head = canonical_head(request, &signed_headers, rules.path)?;
    let payload = claim.check_payload(rules)?;
    let decoded_length = request.header("x-amz-decoded-content-length")?;
    let decoded_length = decoded_length.map(parse_length).transpose()?;
    let (access_key_id, scope) = Scope::parse_credential(&claim.credential)?;
    if scope.date != claim.signed_at.date() {
        let request_date = claim.signed_at.date();
        return Err(AuthenticationError::ScopeDateMismatch {
            scope_date: scope.date,
            request_date,
        });
    }
    Ok(SignedRequest {
        access_key_id,
        scope,
        signed_headers: signed_headers.into_iter().map(str::to_owned).collect(),
        signature: claim.checked_signature()?,
        security_token: claim.security_token,
        signed_at: claim.signed_at,
        payload,
        presigned_seconds: claim.expires_seconds,
        body_checked_later: rules.body_checked_later,
        decoded_length,
        trailers: request.header("x-amz-trailer")?.map(str::to_owned),
        head,
    })
}

impl SignedRequest {
    /// Whose key the request claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Day, Region and service that the client meant. Callers must check Region and service.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The headers that the signature covers, ascending.
    pub fn signed_headers(&self) -> &[String] {
        &self.signed_headers
    }

    /// The session token, which callers must check against the access key.
    pub fn security_token(&self) -> Option<&str> {
        self.security_token.as_deref()
    }

    /// When the request says that it was signed.
    pub fn signed_at(&self) -> AmzTime {
        self.signed_at
    }

    /// What the request says about its body.
    pub fn payload(&self) -> &DeclaredPayload {
        &self.payload
    }

    /// For how many seconds the request is good, if it is presigned.
    pub fn presigned_seconds(&self) -> Option<i64> {
        self.presigned_seconds
    }

    /// Compares the signature. `body_sha256_hex` is the hash of the body as received, before any
    /// decompression; it may be `None` only under rules with `body_checked_later`, and then the caller
    /// must compare the body with [`Self::payload`].
    pub fn verify(
        &self,
        secret: &SecretKey,
        body_sha256_hex: Option<&str>,
    ) -> Result<(), AuthenticationError> {
        self.verify_known_or_not(Some(secret), body_sha256_hex)
    }

    /// As [`Self::verify`], with a key derived earlier for this request's scope.
    pub fn verify_with_key(
        &self,
        key: &SigningKey,
        body_sha256_hex: Option<&str>,
    ) -> Result<(), AuthenticationError> {
        let payload_hash = self.payload_hash(body_sha256_hex)?;
        let canonical = canonical_request(&self.head, payload_hash);
        let text = string_to_sign(self.signed_at, &self.scope, &canonical);
        if key.matches(&text, &self.signature) {
            Ok(())
        } else {
            Err(AuthenticationError::SignatureDoesNotMatch)
        }
    }

    /// How the body is to be checked under rules with `body_checked_later`. Callers must have verified
    /// the request with the same `secret`: the chunks' signatures follow from the request's.
    pub fn payload_rule(&self, secret: &SecretKey) -> PayloadRule {
        PayloadRule(match &self.payload {
            DeclaredPayload::Unsigned => Kind::Unsigned,
            DeclaredPayload::Sha256(hash) => Kind::Sha256(hash.clone()),
            // Such a request is verified with the hash of a body that is known, of none otherwise.
            DeclaredPayload::Absent => Kind::Sha256(EMPTY_SHA256.to_owned()),
            DeclaredPayload::Streaming(form) => Kind::Chunked(Box::new(ChunkedRule {
                form: *form,
                decoded_length: self.decoded_length,
                trailers: self.trailers.clone(),
                chain: (*form != ChunkedForm::UnsignedTrailer).then(|| Chain {
                    key: SigningKey::derive(secret, &self.scope),
                    signed_at: self.signed_at,
                    scope: self.scope.clone(),
                    previous: String::from_utf8_lossy(&self.signature).into_owned(),
                }),
            })),
        })
    }

    /// A planted fault, for proving that the tests catch it: only the first digits are compared.
    #[cfg(feature = "sabotage")]
    pub fn verify_by_prefix(&self, secret: &SecretKey, body_sha256_hex: Option<&str>) -> bool {
        let Ok(payload_hash) = self.payload_hash(body_sha256_hex) else {
            return false;
        };
        let canonical = canonical_request(&self.head, payload_hash);
        let text = string_to_sign(self.signed_at, &self.scope, &canonical);
        let expected = SigningKey::derive(secret, &self.scope).signature(&text);
        self.signature.starts_with(&expected.as_bytes()[..8])
    }

    /// The answer for an access key that nobody has, after the same work as for one that somebody has,
    /// so that the time taken does not tell them apart (A5).
    pub fn refuse_unknown_key(&self, body_sha256_hex: Option<&str>) -> AuthenticationError {
        match self.verify_known_or_not(None, body_sha256_hex) {
            Ok(()) => AuthenticationError::UnknownAccessKey,
            Err(error) => error,
        }
    }

    /// One path for keys that somebody has and keys that nobody has. What the comparison says of the
    /// latter is void.
    fn verify_known_or_not(
        &self,
        secret: Option<&SecretKey>,
        body_sha256_hex: Option<&str>,
    ) -> Result<(), AuthenticationError> {
        /// As long as AWS's secrets are; nobody holds it.
        static NOBODY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::new("0".repeat(40)));
        let key = SigningKey::derive(secret.unwrap_or(&NOBODY), &self.scope);
        let verified = self.verify_with_key(&key, body_sha256_hex);
        if secret.is_some() {
            verified
        } else {
            Err(AuthenticationError::UnknownAccessKey)
        }
    }

    fn payload_hash<'a>(&'a self, body: Option<&'a str>) -> Result<&'a str, AuthenticationError> {
        match (&self.payload, body) {
            (DeclaredPayload::Unsigned, _) => Ok(UNSIGNED_PAYLOAD),
            (DeclaredPayload::Streaming(form), _) => Ok(form.as_str()),
            (DeclaredPayload::Absent, Some(hash)) => Ok(hash),
            (DeclaredPayload::Sha256(declared), Some(hash)) if declared == hash => Ok(declared),
            (DeclaredPayload::Sha256(_), Some(_)) => Err(AuthenticationError::PayloadMismatch),
            (DeclaredPayload::Sha256(declared), None) if self.body_checked_later => Ok(declared),
            (DeclaredPayload::Sha256(_) | DeclaredPayload::Absent, None) => {
                Err(AuthenticationError::Incomplete {
                    parameter: "X-Amz-Content-SHA256",
                })
            }
        }
    }
}

/// A signature's parameters, wherever they were written.
struct Claim {
    credential: String,
    signed_headers: String,
    signature: String,
    signed_at: AmzTime,
    /// The header that carried the time and must be signed; none when the query did.
    date_header: Option<&'static str>,
    security_token: Option<String>,
    payload: Option<String>,
    expires_seconds: Option<i64>,
}

impl Claim {
    fn from_header(
        request: &RequestParts<'_>,
        authorization: &str,
    ) -> Result<Self, AuthenticationError> {
        let (algorithm, parameters) = authorization.split_once(' ').unwrap_or((authorization, ""));
        if algorithm != ALGORITHM {
            return Err(AuthenticationError::UnsupportedAlgorithm);
        }
        let mut found: [Option<&str>; 3] = [None; 3];
        for parameter in parameters.split(',') {
            let (name, value) = parameter.trim_matches(' ').split_once('=').ok_or(
                AuthenticationError::Malformed {
                    part: RequestPart::Authorization,
                },
            )?;
            let place = HEADER_PARAMETERS
                .iter()
                .position(|known| *known == name)
                .ok_or(AuthenticationError::UnexpectedParameter)?;
            if found[place].replace(value).is_some() {
                return Err(AuthenticationError::UnexpectedParameter);
            }
        }
        let required = |place: usize| {
            let value = found[place]
                .filter(|value| !value.is_empty())
                .map(str::to_owned);
            value.ok_or(AuthenticationError::Incomplete {
                parameter: HEADER_PARAMETERS[place],
            })
        };
        let (signed_at, date_header) = match (request.header("x-amz-date")?, request.header("date"))
        {
            (Some(text), _) => (AmzTime::parse(text)?, "x-amz-date"),
            (None, Ok(Some(text))) => (AmzTime::parse_date_header(text)?, "date"),
            (None, Ok(None)) => {
                return Err(AuthenticationError::Incomplete {
                    parameter: "X-Amz-Date",
                });
            }
            (None, Err(repeated)) => return Err(repeated),
        };
        Ok(Self {
            credential: required(0)?,
            signed_headers: required(1)?,
            signature: required(2)?,
            signed_at,
            date_header: Some(date_header),
            security_token: request.header("x-amz-security-token")?.map(str::to_owned),
            payload: request.header("x-amz-content-sha256")?.map(str::to_owned),
            expires_seconds: None,
        })
    }

    fn from_query(
        request: &RequestParts<'_>,
        query: &[QueryParameter<'_>],
    ) -> Result<Self, AuthenticationError> {
        let required = |name: &'static str| {
            let value = query_parameter(query, name)?.filter(|value| !value.is_empty());
            value.ok_or(AuthenticationError::Incomplete { parameter: name })
        };
        if required("X-Amz-Algorithm")? != ALGORITHM {
            return Err(AuthenticationError::UnsupportedAlgorithm);
        }
        if request.header("x-amz-security-token")?.is_some() {
            return Err(AuthenticationError::Ambiguous);
        }
        let payload = match request.header("x-amz-content-sha256")? {
            Some(header) => Some(header.to_owned()),
            None => query_parameter(query, "X-Amz-Content-Sha256")?,
        };
        Ok(Self {
            credential: required("X-Amz-Credential")?,
            signed_headers: required("X-Amz-SignedHeaders")?,
            signature: required(SIGNATURE_PARAMETER)?,
            signed_at: AmzTime::parse(&required("X-Amz-Date")?)?,
            date_header: None,
            security_token: query_parameter(query, "X-Amz-Security-Token")?,
            payload,
            expires_seconds: Some(parse_expires(&required("X-Amz-Expires")?)?),
        })
    }

    fn check_time(&self, now_ms: i64, rules: &ServiceRules) -> Result<(), AuthenticationError> {
        let signed_ms = self.signed_at.as_millis();
        let earliest = now_ms.saturating_sub(rules.skew_ms);
        let latest = now_ms.saturating_add(rules.skew_ms);
        let minutes = rules.skew_ms / 60_000;
        let now = bound_text(now_ms);
        if signed_ms > latest {
            return Err(AuthenticationError::SignatureNotYetCurrent {
                signed_at: self.signed_at.to_string(),
                latest: format!("{} ({now} + {minutes} min.)", bound_text(latest)),
            });
        }
        match self.expires_seconds {
            Some(seconds) if signed_ms.saturating_add(seconds * 1000) < now_ms => {
                Err(AuthenticationError::PresignedExpired)
            }
            None if signed_ms < earliest => Err(AuthenticationError::SignatureExpired {
                signed_at: self.signed_at.to_string(),
                earliest: format!("{} ({now} - {minutes} min.)", bound_text(earliest)),
            }),
            _ => Ok(()),
        }
    }

    /// The names that are signed, once it is certain that nothing a handler acts on is left out.
    fn check_signed_headers<'a>(
        &'a self,
        request: &RequestParts<'_>,
        rules: &ServiceRules,
    ) -> Result<Vec<&'a str>, AuthenticationError> {
        let names: Vec<&str> = self.signed_headers.split(';').collect();
        let lower = |name: &&str| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
        if !names.iter().all(lower) || !names.is_sorted_by(|left, right| left < right) {
            return Err(AuthenticationError::Malformed {
                part: RequestPart::SignedHeaders,
            });
        }
        let require = |name: &str| {
            if names.contains(&name) {
                Ok(())
            } else {
                Err(AuthenticationError::HeaderNotSigned {
                    name: name.to_owned(),
                })
            }
        };
        // Over HTTP/2 some SDKs sign the pseudo header that stands for it.
        require("host").or_else(|missing| require(":authority").map_err(|_| missing))?;
        self.date_header.map_or(Ok(()), require)?;
        for (name, _) in request.headers {
            let sensitive =
                name.starts_with("x-amz-") || (name == "content-type" && rules.content_type_signed);
            if sensitive {
                require(name)?;
            }
        }
        Ok(names)
    }

    fn check_payload(&self, rules: &ServiceRules) -> Result<DeclaredPayload, AuthenticationError> {
        let refused = |declared: &str| {
            Err(AuthenticationError::PayloadNotAllowed {
                declared: declared.to_owned(),
            })
        };
        match self.payload.as_deref() {
            None if self.expires_seconds.is_some() && rules.unsigned_payload_allowed => {
                Ok(DeclaredPayload::Unsigned)
            }
            None => Ok(DeclaredPayload::Absent),
            Some(UNSIGNED_PAYLOAD) if rules.unsigned_payload_allowed => {
                Ok(DeclaredPayload::Unsigned)
            }
            Some(UNSIGNED_PAYLOAD) => refused(UNSIGNED_PAYLOAD),
            Some(form) if form.starts_with("STREAMING-") => {
                // A presigned request cannot say so: its signature begins no chain.
                let allowed = rules.streaming_payload_allowed && self.expires_seconds.is_none();
                match ChunkedForm::parse(form) {
                    Some(form) if allowed => Ok(DeclaredPayload::Streaming(form)),
                    Some(_) | None => refused("STREAMING"),
                }
            }
            Some(hash) if is_lower_hex_256(hash) => Ok(DeclaredPayload::Sha256(hash.to_owned())),
            Some(_) => Err(AuthenticationError::Malformed {
                part: RequestPart::PayloadHash,
            }),
        }
    }

    fn checked_signature(&self) -> Result<Vec<u8>, AuthenticationError> {
        if is_lower_hex_256(&self.signature) {
            Ok(self.signature.clone().into_bytes())
        } else {
            Err(AuthenticationError::Malformed {
                part: RequestPart::Signature,
            })
        }
    }
}

const HEADER_PARAMETERS: [&str; 3] = ["Credential", "SignedHeaders", "Signature"];

/// The value of a query parameter that may be sent at most once and must be text.
fn query_parameter(
    query: &[QueryParameter<'_>],
    name: &'static str,
) -> Result<Option<String>, AuthenticationError> {
    let mut values = query
        .iter()
        .filter(|(sent, _)| sent.as_ref() == name.as_bytes());
    let Some((_, value)) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(AuthenticationError::UnexpectedParameter);
    }
    let text = std::str::from_utf8(value).map_err(|_| AuthenticationError::Malformed {
        part: RequestPart::Query,
    })?;
    Ok(Some(text.to_owned()))
}

fn parse_expires(text: &str) -> Result<i64, AuthenticationError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if digits {
        text.parse::<i64>().ok()
    } else {
        None
    };
    seconds
        .filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds))
        .ok_or(AuthenticationError::Malformed {
            part: RequestPart::Expires,
        })
}

fn parse_length(text: &str) -> Result<u64, AuthenticationError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|_| digits);
    length.ok_or(AuthenticationError::Malformed {
        part: RequestPart::DecodedLength,
    })
}

fn is_lower_hex_256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
