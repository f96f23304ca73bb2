//! The check of one digest, in the order in which the AWS CLI makes it: which fault is told of a digest
//! with several is part of the output (REC-284, REC-290).

use std::collections::HashMap;

use cairn_model::EventTime;
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::gzip::{self, SIZE_LIMITS};
use crate::hexadecimal::{self, HexadecimalFault, sha256_hex};
use crate::object_key::DigestKind;
use crate::{public_key, time_text};

/// Public keys by fingerprint, each as the DER of PKCS #1.
pub type PublicKeys = HashMap<String, Vec<u8>>;

/// A digest object as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedDigest {
    /// The object's bytes: gzip.
    pub packed: Vec<u8>,
    /// Metadata `signature`.
    pub signature: Option<String>,
    /// Metadata `signature-algorithm`.
    pub signature_algorithm: Option<String>,
    /// Metadata `backfill-generation-timestamp`; backfill digests must have it.
    pub backfill_generation: Option<String>,
}

/// What is wrong with a digest; the words are the AWS CLI's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestFault {
    /// Not gzip, not JSON, or without a member that validation needs.
    #[error("INVALID: invalid format")]
    Format,
    /// It says that it lies elsewhere.
    #[error("INVALID: has been moved from its original location")]
    Moved,
    /// The object is not there.
    #[error("INVALID: not found")]
    NotFound,
    /// No key of that name.
    #[error("INVALID: public key not found in region {region} for fingerprint {fingerprint}")]
    KeyUnknown {
        /// The trail's home Region.
        region: String,
        /// The name of the key.
        fingerprint: String,
    },
    /// The key is no PKCS #1 key.
    #[error("INVALID: Unable to load PKCS #1 key with fingerprint {fingerprint}")]
    KeyUnreadable {
        /// The name of the key.
        fingerprint: String,
    },
    /// The signature is missing, or is not this digest's.
    #[error("INVALID: signature verification failed")]
    Signature,
    /// The signature is not hexadecimal.
    #[error("INVALID: {0}")]
    SignatureText(#[from] HexadecimalFault),
    /// The time at which a backfill digest was made is no time.
    #[error("INVALID: Unable to parse date value: {0}")]
    BackfillTime(String),
    /// There are no keys of the time at which a backfill digest was made.
    #[error("INVALID: No public keys found between {from} and {to}")]
    NoKeys {
        /// An hour before it was made.
        from: EventTime,
        /// An hour after.
        to: EventTime,
    },
}

/// Where a digest lies, and of which trail it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DigestPlace<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) home_region: &'a str,
}

/// A digest that has been unpacked and lies where it says; its signature is not yet checked.
#[derive(Clone, Debug)]
pub struct SignedDigest {
    members: Map<String, Value>,
    sha256_hex: String,
    signature: String,
    pub(crate) fingerprint: String,
    pub(crate) backfill_generation: Option<String>,
}

const REQUIRED: [&str; 6] = [
    "digestPublicKeyFingerprint",
    "digestS3Bucket",
    "digestS3Object",
    "previousDigestSignature",
    "digestEndTime",
    "digestStartTime",
];

impl SignedDigest {
    pub(crate) fn open(
        fetched: FetchedDigest,
        place: DigestPlace<'_>,
    ) -> Result<Self, DigestFault> {
        let text = gzip::inflate(&fetched.packed, SIZE_LIMITS).ok_or(DigestFault::Format)?;
        let document: Value = serde_json::from_slice(&text).map_err(|_| DigestFault::Format)?;
        let (Some(signature), Some(_)) = (fetched.signature, fetched.signature_algorithm) else {
            return Err(DigestFault::Signature);
        };
        if DigestKind::of_key(place.key) == DigestKind::Backfill
            && fetched.backfill_generation.is_none()
        {
            return Err(DigestFault::Format);
        }
        let Value::Object(members) = document else {
            return Err(DigestFault::Format);
        };
        if REQUIRED.iter().any(|name| !members.contains_key(*name)) {
            return Err(DigestFault::Format);
        }
        let says = |name: &str, expected: &str| members[name].as_str() == Some(expected);
        if !says("digestS3Bucket", place.bucket) || !says("digestS3Object", place.key) {
            return Err(DigestFault::Moved);
        }
        let fingerprint = members["digestPublicKeyFingerprint"].as_str();
        let fingerprint = fingerprint.ok_or(DigestFault::Format)?.to_owned();
        Ok(Self {
            sha256_hex: sha256_hex(&text),
            members,
            signature,
            fingerprint,
            backfill_generation: fetched.backfill_generation,
        })
    }

    /// The span in which the key of a backfill digest is looked for: an hour on either side of the
    /// time at which it was made.
    pub(crate) fn backfill_span(&self) -> Result<(EventTime, EventTime), DigestFault> {
        let text = self.backfill_generation.as_deref().unwrap_or_default();
        let made = time_text::read_time(text);
        let made = made.ok_or_else(|| DigestFault::BackfillTime(text.to_owned()))?;
        Ok((
            time_text::shifted(made, -3_600),
            time_text::shifted(made, 3_600),
        ))
    }

    /// Checks the signature and reads what was signed.
    pub(crate) fn verify(
        &self,
        place: DigestPlace<'_>,
        keys: &PublicKeys,
    ) -> Result<Digest, DigestFault> {
        let fingerprint = &self.fingerprint;
        let key = keys
            .get(fingerprint)
            .ok_or_else(|| DigestFault::KeyUnknown {
                region: place.home_region.to_owned(),
                fingerprint: fingerprint.clone(),
            })?;
        let key = public_key::read_pkcs1(key).ok_or_else(|| DigestFault::KeyUnreadable {
            fingerprint: fingerprint.clone(),
        })?;
        let signature = hexadecimal::decode(&self.signature)?;
        let text = self.signing_string(place).ok_or(DigestFault::Signature)?;
        if !public_key::is_signature(&key, &text, &signature) {
            return Err(DigestFault::Signature);
        }
        Digest::read(&self.members).map_err(|_| DigestFault::Format)
    }

    /// Made of the texts as they stand in the document, not of values read from them. `None` if one is
    /// no text: nothing of that form was ever signed.
    fn signing_string(&self, place: DigestPlace<'_>) -> Option<String> {
        let end = self.members["digestEndTime"].as_str()?;
        let previous = match &self.members["previousDigestSignature"] {
            Value::Null => "null",
            Value::String(signature) => signature,
            _ => return None,
        };
        let (bucket, key, hash) = (place.bucket, place.key, &self.sha256_hex);
        Some(format!("{end}\n{bucket}/{key}\n{hash}\n{previous}"))
    }
}
