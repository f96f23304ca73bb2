//! Sealing: secrets at rest and tokens handed to callers, with one master key.
//!
//! ```text
//! sealed = version (1) · salt (16) · nonce (12) · AES-256-GCM ciphertext · tag (16)
//! key    = HKDF-SHA256(salt, master key, "cairn seal v1"), fresh for every message
//! ```
//! The context ("what this is and whose") is authenticated but not stored: what was sealed for one
//! purpose cannot be opened for another.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + SALT_BYTES + NONCE_LEN;
const DERIVATION: &[u8] = b"cairn seal v1";

/// The key that protects secrets at rest. It has no text form, and its memory is wiped.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Why sealed bytes did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A master key is exactly 32 bytes, or 64 hexadecimal digits in text.
    #[error("a master key has 32 bytes, written as 64 hexadecimal digits")]
    BadMasterKey,
    /// The bytes are too short or of another version.
    #[error("not sealed by this version of Cairn")]
    UnknownForm,
    /// Another key or context sealed the bytes, or they were altered.
    #[error("the sealed bytes were altered, or sealed with another key or for another purpose")]
    NotAuthentic,
}

impl MasterKey {
    /// A new random key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(bytes.as_mut_slice());
        Self { bytes }
    }

    /// From the bytes of a key that something else keeps.
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self { bytes }
    }

    /// From 64 hexadecimal digits, white space around them ignored.
    pub fn from_hex(text: &str) -> Result<Self, SealError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 2 * KEY_BYTES {
            return Err(SealError::BadMasterKey);
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(SealError::BadMasterKey);
            };
            *byte = u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte");
        }
        Ok(Self { bytes })
    }

    /// The 64 hexadecimal digits, for the key file.
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
        for byte in self.bytes.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).expect("a nibble is a digit"));
            }
        }
        text
    }

    /// Encrypts `plain` so that only the same key and context open it.
    pub fn seal(&self, context: &str, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut sealed = vec![0; HEADER_BYTES];
        sealed[0] = VERSION;
        entropy.fill(&mut sealed[1..]);
        let (key, nonce) = self.message_key(&sealed);
        sealed.reserve_exact(plain.len() + TAG_BYTES);
        sealed.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(
                nonce,
                Aad::from(context.as_bytes()),
                &mut sealed[HEADER_BYTES..],
            )
            .expect("messages are far shorter than AES-GCM's limit");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what `seal` made with the same key and context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < HEADER_BYTES + TAG_BYTES || sealed[0] != VERSION {
            return Err(SealError::UnknownForm);
        }
        let (key, nonce) = self.message_key(sealed);
        let mut opened = Zeroizing::new(sealed[HEADER_BYTES..].to_vec());
        let length = key
            .open_in_place(nonce, Aad::from(context.as_bytes()), opened.as_mut_slice())
            .map_err(|_| SealError::NotAuthentic)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    /// The key and nonce that belong to the header of `sealed`.
    fn message_key(&self, sealed: &[u8]) -> (LessSafeKey, Nonce) {
        let (salt, nonce) = sealed[1..HEADER_BYTES].split_at(SALT_BYTES);
        let extracted = Salt::new(HKDF_SHA256, salt).extract(self.bytes.as_slice());
        let derived = extracted
            .expand(&[DERIVATION], &AES_256_GCM)
            .expect("HKDF gives 32 bytes");
        let nonce =
            Nonce::try_assume_unique_for_key(nonce).expect("the header holds a whole nonce");
        (LessSafeKey::new(UnboundKey::from(derived)), nonce)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_context_only() {
        let entropy = SeededEntropy::new(1);
        let key = MasterKey::generate(&entropy);
        let sealed = key.seal("access-key:1", b"secret", &entropy);
        assert_eq!(
            key.open("access-key:1", &sealed).expect("opens").as_slice(),
            b"secret"
        );
        assert_eq!(
            key.open("access-key:2", &sealed),
            Err(SealError::NotAuthentic)
        );
        let other = MasterKey::generate(&entropy);
        assert_eq!(
            other.open("access-key:1", &sealed),
            Err(SealError::NotAuthentic)
        );
        assert_ne!(
            sealed,
            key.seal("access-key:1", b"secret", &entropy),
            "nothing repeats"
        );
    }

    #[test]
    fn every_altered_bit_is_noticed() {
        let entropy = SeededEntropy::new(2);
        let key = MasterKey::generate(&entropy);
        let sealed = key.seal("c", b"secret", &entropy);
        for at in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[at / 8] ^= 1 << (at % 8);
            assert!(key.open("c", &altered).is_err(), "bit {at}");
        }
        for length in 0..sealed.len() {
            assert!(key.open("c", &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_key_survives_its_text_form_and_shows_itself_nowhere_else() {
        let entropy = SeededEntropy::new(3);
        let key = MasterKey::generate(&entropy);
        let text = key.to_hex();
        let again = MasterKey::from_hex(&format!("{}\n", text.as_str())).expect("reads");
        let sealed = key.seal("c", b"secret", &entropy);
        assert_eq!(
            again.open("c", &sealed).expect("opens").as_slice(),
            b"secret"
        );
        assert_eq!(format!("{key:?}"), "MasterKey(redacted)");
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(
                MasterKey::from_hex(bad).map(drop),
                Err(SealError::BadMasterKey),
                "{bad}"
            );
        }
    }
}
