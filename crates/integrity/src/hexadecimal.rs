//! Hexadecimal text, as hashes and signatures are written, and the hash that all of this crate uses.

use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 of `bytes` in 64 lower-case digits (REC-254).
pub fn sha256_hex(bytes: &[u8]) -> String {
    encode(digest(&SHA256, bytes).as_ref())
}

/// Bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    encode(bytes)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is a digit"));
        }
    }
    text
}

/// Why a text is not hexadecimal; the words are those that the AWS CLI prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexadecimalFault {
    /// Half a byte is left over.
    #[error("Odd-length string")]
    OddLength,
    /// Something else than 0-9, a-f, A-F.
    #[error("Non-hexadecimal digit found")]
    Digit,
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, HexadecimalFault> {
    if !text.is_ascii() {
        return Err(HexadecimalFault::Digit);
    }
    if !text.len().is_multiple_of(2) {
        return Err(HexadecimalFault::OddLength);
    }
    let nibble = |byte: u8| {
        let digit = char::from(byte)
            .to_digit(16)
            .ok_or(HexadecimalFault::Digit)?;
        Ok(u8::try_from(digit).expect("a hexadecimal digit fits a byte"))
    };
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Ok((nibble(pair[0])? << 4) | nibble(pair[1])?))
        .collect()
}
