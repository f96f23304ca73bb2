//! What a key has encrypted, as callers and objects keep it ([format](docs/formats/key-ciphertext.md)).
//!
//! ```text
//! ciphertext = "CKMS" · format (1) · length of the ARN (2, little-endian) · key ARN · version of the material (4,
//!              little-endian) · sealed
//! ```
//! `sealed` is made by the key's material as the master key makes it: a key of its own for every message, AES-256-GCM.
//! Key, version and encryption context are authenticated with it.

use cairn_platform::{Entropy, MasterKey};
use zeroize::Zeroizing;

use crate::keys::EncryptionContext;

const MAGIC: &[u8; 4] = b"CKMS";
const FORMAT: u8 = 1;
/// The most that can be encrypted at once.
pub(super) const PLAINTEXT_BYTES_MAX: usize = 4_096;
/// The longest ciphertext that is read.
pub(super) const CIPHERTEXT_BYTES_MAX: usize = 6_144;
/// ARNs of keys are far shorter.
const ARN_BYTES_MAX: usize = 512;
const SEALED_OVERHEAD: usize = 1 + 16 + 12 + 16;
const _: () = assert!(
    MAGIC.len() + 1 + 2 + ARN_BYTES_MAX + 4 + SEALED_OVERHEAD + PLAINTEXT_BYTES_MAX
        <= CIPHERTEXT_BYTES_MAX
);

/// Whether bytes say that they were encrypted here.
pub(crate) fn is_own(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A ciphertext, taken apart. Nothing of it is authentic before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ciphertext {
    /// The key that made it, as it says.
    pub(super) key_arn: String,
    /// The version of the key's material, as it says.
    pub(super) version: u32,
    sealed: Vec<u8>,
}

impl Ciphertext {
    /// Encrypts with a version of a key's material.
    pub(super) fn seal(
        (key_arn, version, material): (&str, u32, &MasterKey),
        context: &EncryptionContext,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Vec<u8> {
        let sealed = material.seal(&bound_to(key_arn, version, context), plain, entropy);
        let ciphertext = Self {
            key_arn: key_arn.to_owned(),
            version,
            sealed,
        };
        ciphertext.encode()
    }

    /// Takes a ciphertext apart; none if it is not one of ours.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > CIPHERTEXT_BYTES_MAX {
            return None;
        }
        let rest = bytes.strip_prefix(MAGIC)?;
        let (format, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length));
        if *format != FORMAT || length > ARN_BYTES_MAX {
            return None;
        }
        let (arn, rest) = rest.split_at_checked(length)?;
        let (version, sealed) = rest.split_first_chunk::<4>()?;
        Some(Self {
            key_arn: std::str::from_utf8(arn).ok()?.to_owned(),
            version: u32::from_le_bytes(*version),
            sealed: sealed.to_vec(),
        })
    }

    /// Decrypts; none if it was altered, or made by other material or for another context.
    pub(super) fn open(
        &self,
        material: &MasterKey,
        context: &EncryptionContext,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let bound = bound_to(&self.key_arn, self.version, context);
        material.open(&bound, &self.sealed).ok()
    }

    fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.key_arn.len()).expect("ARNs of keys are short");
        let mut bytes = MAGIC.to_vec();
        bytes.push(FORMAT);
        bytes.extend(length.to_le_bytes());
        bytes.extend(self.key_arn.as_bytes());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(&self.sealed);
        bytes
    }
}

/// What a ciphertext is bound to, in one form only: JSON without spaces, the context's keys in order.
fn bound_to(key_arn: &str, version: u32, context: &EncryptionContext) -> String {
    serde_json::to_string(&("kms ciphertext", FORMAT, key_arn, version, context))
        .expect("texts and numbers have a JSON form")
}

/// What must hold of any bytes: they are no ciphertext, or one with a single form that nobody else's key opens.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8], material: &MasterKey, entropy: &dyn Entropy) {
    if let Some(read) = Ciphertext::parse(bytes) {
        assert_eq!(read.encode(), bytes, "one ciphertext, one form");
        assert!(
            read.open(material, &EncryptionContext::new()).is_none(),
            "forged"
        );
        let context = EncryptionContext::from([(read.key_arn.clone(), String::new())]);
        let key = (read.key_arn.as_str(), read.version, material);
        let made = Ciphertext::seal(key, &context, b"plain", entropy);
        let again = Ciphertext::parse(&made).expect("it was made here");
        let opened = again.open(material, &context).expect("it was made here");
        assert_eq!(opened.as_slice(), b"plain");
        assert!(again.open(material, &EncryptionContext::new()).is_none());
    }
}

#[cfg(test)]
mod tests;
