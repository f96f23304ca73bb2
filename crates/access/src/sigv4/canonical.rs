//! The canonical request: the text both sides must build alike.
//!
//! ```text
//! METHOD \n path \n query \n (name ":" value \n)* \n signed names \n payload hash
//! ```
//!
//! Everything up to the payload hash is the *head*; it is built once while parsing, so that the request
//! that was judged is the request that is verified.

use std::borrow::Cow;

use aws_lc_rs::digest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::{AuthenticationError, PathRule, RequestPart};

/// The SHA-256 of nothing, in hex.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a request says in place of a hash when its body is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The query parameter that is never part of what it signs.
pub(super) const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ENCODED_EXCEPT_SLASH: &AsciiSet = &ENCODED.remove(b'/');

/// The lower-case hex SHA-256 of a body.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The whole canonical request.
pub fn canonical_request(head: &str, payload_hash: &str) -> String {
    format!("{head}{payload_hash}")
}

/// The canonical request without its payload hash. `signed_headers` are lower-case names in ascending
/// order, each sent at least once.
pub fn canonical_head(
    request: &super::RequestParts<'_>,
    signed_headers: &[&str],
    path_rule: PathRule,
) -> Result<String, AuthenticationError> {
    let mut head = String::with_capacity(512);
    head.push_str(request.method);
    head.push('\n');
    head.push_str(&canonical_path(request.path, path_rule)?);
    head.push('\n');
    push_query(&mut head, &decode_query(request.query)?);
    head.push('\n');
    for &name in signed_headers {
        push_header(&mut head, request.headers, name)?;
    }
    head.push('\n');
    head.push_str(&signed_headers.join(";"));
    head.push('\n');
    Ok(head)
}

/// One line `name:value,value\n`, with runs of white space made one space.
fn push_header(
    head: &mut String,
    headers: &[(String, String)],
    name: &str,
) -> Result<(), AuthenticationError> {
    head.push_str(name);
    let mut separator = ':';
    for (_, value) in headers.iter().filter(|(sent, _)| sent == name) {
        head.push(separator);
        separator = ',';
        let mut words = value.split([' ', '\t']).filter(|word| !word.is_empty());
        head.push_str(words.next().unwrap_or_default());
        for word in words {
            head.push(' ');
            head.push_str(word);
        }
    }
    if separator == ':' {
        return Err(AuthenticationError::SignedHeaderAbsent {
            name: name.to_owned(),
        });
    }
    head.push('\n');
    Ok(())
}

fn canonical_path(path: &str, rule: PathRule) -> Result<String, AuthenticationError> {
    if !path.starts_with('/') {
        return Err(AuthenticationError::Malformed {
            part: RequestPart::Path,
        });
    }
    match rule {
        PathRule::EncodeOnce => {
            let decoded =
                percent_decode(path.as_bytes(), false).ok_or(AuthenticationError::Malformed {
                    part: RequestPart::Path,
                })?;
            Ok(encoded_path(&decoded))
        }
        PathRule::NormalizeAndEncode => Ok(encoded_path(normalize_path(path).as_bytes())),
    }
}

fn encoded_path(path: &[u8]) -> String {
    percent_encode(path, ENCODED_EXCEPT_SLASH).to_string()
}

/// Removes `.`, `..` and empty segments; a trailing slash stays. As botocore signs.
fn normalize_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let trailing = if path.ends_with('/') && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{trailing}", kept.join("/"))
}

/// One decoded query parameter.
pub(super) type QueryParameter<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Splits and decodes a query. `+` is a space here, as in every form decoder behind us: were it a plus
/// sign, `+` and `%2B` would sign alike and mean different things. Empty parts are no parameters.
pub(super) fn decode_query(query: &str) -> Result<Vec<QueryParameter<'_>>, AuthenticationError> {
    let malformed = || AuthenticationError::Malformed {
        part: RequestPart::Query,
    };
    let mut parameters = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        parameters.push((
            percent_decode(name.as_bytes(), true).ok_or_else(malformed)?,
            percent_decode(value.as_bytes(), true).ok_or_else(malformed)?,
        ));
    }
    Ok(parameters)
}

/// The parameters encoded, sorted by encoded name, then by encoded value; the signature left out.
fn push_query(head: &mut String, parameters: &[QueryParameter<'_>]) {
    let encode = |bytes: &[u8]| percent_encode(bytes, ENCODED).to_string();
    let mut encoded: Vec<(String, String)> = parameters
        .iter()
        .filter(|(name, _)| name.as_ref() != SIGNATURE_PARAMETER.as_bytes())
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort();
    for (index, (name, value)) in encoded.iter().enumerate() {
        if index > 0 {
            head.push('&');
        }
        head.push_str(name);
        head.push('=');
        head.push_str(value);
    }
}

/// Percent-encodes one query value as signatures demand.
pub(super) fn encode_query_value(value: &str) -> String {
    percent_encode(value.as_bytes(), ENCODED).to_string()
}

/// Decodes percent escapes, or `None` when one is broken: leniency here would give one signature two
/// meanings.
fn percent_decode(bytes: &[u8], plus_is_space: bool) -> Option<Cow<'_, [u8]>> {
    if !bytes
        .iter()
        .any(|&byte| byte == b'%' || (plus_is_space && byte == b'+'))
    {
        return Some(Cow::Borrowed(bytes));
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => (digit(rest.next()?)? << 4) | digit(rest.next()?)?,
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    Some(Cow::Owned(decoded))
}
