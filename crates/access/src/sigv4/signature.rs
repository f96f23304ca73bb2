//! String to sign, signing key and signature.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use zeroize::{Zeroize, Zeroizing};

use super::canonical::{hex, sha256_hex};
use super::time::AmzTime;
use super::{AuthenticationError, RequestPart};
use crate::SecretKey;

/// The only algorithm there is.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// What a signing key is good for: one day, one Region, one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `YYYYMMDD`.
    pub date: String,
    /// The Region that the client meant; whether it exists is for the caller to check.
    pub region: String,
    /// The service that the client meant, by its signing name.
    pub service: String,
}

impl Scope {
    /// Splits `KEY/DATE/REGION/SERVICE/aws4_request`.
    pub(super) fn parse_credential(text: &str) -> Result<(String, Self), AuthenticationError> {
        const PART_LENGTH_MAX: usize = 128;
        const MALFORMED: AuthenticationError = AuthenticationError::Malformed {
            part: RequestPart::Credential,
        };
        let parts: Vec<&str> = text.split('/').collect();
        let [key, date, region, service, TERMINATOR] = parts[..] else {
            return Err(MALFORMED);
        };
        let named = |text: &str, extra: &[u8]| {
            (1..=PART_LENGTH_MAX).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
        };
        let dated = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        if !(dated && named(key, b"_-.") && named(region, b"-_") && named(service, b"-_.")) {
            return Err(MALFORMED);
        }
        let (date, region, service) = (date.to_owned(), region.to_owned(), service.to_owned());
        Ok((
            key.to_owned(),
            Self {
                date,
                region,
                service,
            },
        ))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}/{TERMINATOR}",
            self.date, self.region, self.service
        )
    }
}

/// The text that is signed.
pub fn string_to_sign(signed_at: AmzTime, scope: &Scope, canonical_request: &str) -> String {
    format!(
        "{ALGORITHM}\n{signed_at}\n{scope}\n{}",
        sha256_hex(canonical_request.as_bytes())
    )
}

/// A key derived from a secret for one [`Scope`]. Callers may cache it by access key and scope, as
/// long as it goes when the access key goes.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// Derives the key.
    pub fn derive(secret: &SecretKey, scope: &Scope) -> Self {
        let mut start = Zeroizing::new(Vec::with_capacity(4 + secret.expose().len()));
        start.extend_from_slice(b"AWS4");
        start.extend_from_slice(secret.expose().as_bytes());
        let mut key = hmac_sha256(&start, scope.date.as_bytes());
        for part in [&scope.region[..], &scope.service[..], TERMINATOR] {
            let next = hmac_sha256(&key[..], part.as_bytes());
            key.zeroize();
            key = next;
        }
        Self(key)
    }

    /// Signs, in lower-case hex: for clients and for the published vectors. Servers compare with
    /// `SignedRequest::verify`, which lets no expected signature out.
    pub fn signature(&self, string_to_sign: &str) -> String {
        hex(&hmac_sha256(&self.0[..], string_to_sign.as_bytes())[..])
    }

    /// Compares in constant time; the expected signature never leaves this function.
    pub(super) fn matches(&self, string_to_sign: &str, signature: &[u8]) -> bool {
        let expected = Zeroizing::new(self.signature(string_to_sign));
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(redacted)")
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let bytes = tag.as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes");
    Zeroizing::new(bytes)
}
