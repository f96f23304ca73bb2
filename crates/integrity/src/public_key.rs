//! Public keys as ListPublicKeys gives them, and the check of a signature.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};

use crate::hexadecimal;

/// Whether `signature_hex` is the signature of `text` by the key whose PKCS #1 form is `public_key_der`.
/// A key or a signature that cannot be read answers no.
pub fn verify(public_key_der: &[u8], text: &str, signature_hex: &str) -> bool {
    let (Some(key), Ok(signature)) = (
        read_pkcs1(public_key_der),
        hexadecimal::decode(signature_hex),
    ) else {
        return false;
    };
    is_signature(&key, text, &signature)
}

pub(crate) fn is_signature(key: &ParsedPublicKey, text: &str, signature: &[u8]) -> bool {
    key.verify_sig(text.as_bytes(), signature).is_ok()
}

/// Reads an RSAPublicKey of PKCS #1 and no other wrapping: the library alone would also take a
/// SubjectPublicKeyInfo, which the AWS CLI refuses (REC-269).
pub(crate) fn read_pkcs1(der: &[u8]) -> Option<ParsedPublicKey> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let (&tag, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let length_bytes = match length {
        0..=0x7f => 0,
        0x81..=0x84 => usize::from(length & 0x7f),
        _ => return None,
    };
    let first_member = *rest.get(length_bytes)?;
    if tag != SEQUENCE || first_member != INTEGER {
        return None;
    }
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).ok()
}
