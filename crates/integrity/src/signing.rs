//! Signing: the text that is signed, and the key pairs of a Region (REC-258 to REC-263).

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use cairn_model::EventTime;
use zeroize::Zeroizing;

use crate::error::IntegrityError;
use crate::hexadecimal;

/// What digests and their metadata call the way they are signed (REC-253, REC-257).
pub const SIGNATURE_ALGORITHM: &str = "SHA256withRSA";

const KEY_BYTES: usize = 256;
const FINGERPRINT_DIGITS: usize = 32;

/// The text that a digest's signature is made over (REC-259). `sha256_hex` is the hash of the
/// uncompressed digest; a starting digest has no previous signature, and `null` stands in its place
/// (REC-262, settled by what the AWS CLI accepts).
pub fn signing_string(
    end: EventTime,
    bucket: &str,
    key: &str,
    sha256_hex: &str,
    previous_signature: Option<&str>,
) -> String {
    let previous = previous_signature.unwrap_or("null");
    format!("{end}\n{bucket}/{key}\n{sha256_hex}\n{previous}")
}

/// A key pair that signs the digests of one Region: RSA, 2048 bits.
pub struct SigningKeyPair {
    pair: KeyPair,
}

impl SigningKeyPair {
    /// A new key pair. The randomness is the cryptographic library's own, seeded by the operating
    /// system: it takes none from outside, so key generation is the one thing that no seed repeats.
    pub fn generate() -> Result<Self, IntegrityError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| IntegrityError::Generation)?;
        Ok(Self { pair })
    }

    /// From the PKCS #8 form that `to_pkcs8` gave.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, IntegrityError> {
        let pair = KeyPair::from_pkcs8(der).map_err(|_| IntegrityError::PrivateKey)?;
        if pair.public_modulus_len() == KEY_BYTES {
            Ok(Self { pair })
        } else {
            Err(IntegrityError::PrivateKey)
        }
    }

    /// The private key in PKCS #8. Callers must seal it before it is stored.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, IntegrityError> {
        let der = self.pair.as_der().map_err(|_| IntegrityError::PrivateKey)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key as ListPublicKeys gives it: the DER of a PKCS #1 RSAPublicKey (REC-265).
    pub fn public_key_der(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// Names the public key: the first half of its SHA-256, 32 lower-case hexadecimal digits
    /// (REC-252, REC-268; how AWS computes its own is not published).
    pub fn fingerprint(&self) -> String {
        let mut digits = hexadecimal::sha256_hex(self.pair.public_key().as_ref());
        digits.truncate(FINGERPRINT_DIGITS);
        digits
    }

    /// The RSASSA-PKCS1-v1_5 signature of the text's SHA-256, in hexadecimal (REC-258). The same text
    /// always has the same signature.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        // The generator is asked for by the interface; this padding uses none.
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .expect("a key of 2048 bits has room for every SHA-256");
        hexadecimal::encode(&signature)
    }
}

impl fmt::Debug for SigningKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeyPair({})", self.fingerprint())
    }
}
