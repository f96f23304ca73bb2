//! JSON strings: finding their end eight bytes at a time, checking and undoing their escapes, and quoting.

use std::borrow::Cow;

use super::scanner::JsonProblem;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// A string that has been read: the offset of its closing quote, and whether it holds escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StringEnd {
    pub(super) closing_quote: usize,
    pub(super) escaped: bool,
}

/// Reads the string whose first byte after the opening quote is at `at`.
pub(super) fn scan_string(bytes: &[u8], mut at: usize) -> Result<StringEnd, (usize, JsonProblem)> {
    let mut escaped = false;
    loop {
        at = next_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                return Ok(StringEnd {
                    closing_quote: at,
                    escaped,
                });
            }
            Some(b'\\') => {
                escaped = true;
                at = scan_escape(bytes, at).map_err(|problem| (at, problem))?;
            }
            Some(_) => return Err((at, JsonProblem::ControlCharacter)),
            None => return Err((at, JsonProblem::EndsEarly)),
        }
    }
}

/// Passes over a string without checking its content: `at` is the first byte after the opening quote, the answer is
/// the first byte after the closing one. `None` if the string does not end, or holds a raw line feed first.
pub(super) fn skip_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = next_special(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = at.checked_add(2)?,
            b'\n' => return None,
            _ => at += 1,
        }
    }
}

/// The first quote, backslash or control character at or after `at`; the length of `bytes` if there is none.
fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let found = specials(word);
        if found != 0 {
            let offset = usize::try_from(found.trailing_zeros() / 8).expect("at most eight");
            return at + offset;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        at += 1;
    }
    at.min(bytes.len())
}

/// The high bit of the first special byte of the word, in little-endian order, is the lowest bit set in the answer.
///
/// Subtraction borrows only towards higher bytes, so bits above the first one set may lie; the first never does.
fn specials(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5c);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGH_BITS
}

/// Checks the escape that starts at the backslash `at`; returns the offset after it.
fn scan_escape(bytes: &[u8], at: usize) -> Result<usize, JsonProblem> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let unit = code_unit(bytes, at + 2)?;
            match unit {
                0xD800..=0xDBFF => {
                    if bytes.get(at + 6..at + 8) != Some(b"\\u") {
                        return Err(JsonProblem::LoneSurrogate);
                    }
                    match code_unit(bytes, at + 8)? {
                        0xDC00..=0xDFFF => Ok(at + 12),
                        _ => Err(JsonProblem::LoneSurrogate),
                    }
                }
                0xDC00..=0xDFFF => Err(JsonProblem::LoneSurrogate),
                _ => Ok(at + 6),
            }
        }
        Some(_) => Err(JsonProblem::Escape),
        None => Err(JsonProblem::EndsEarly),
    }
}

/// The UTF-16 code unit that four hexadecimal digits at `at` name.
fn code_unit(bytes: &[u8], at: usize) -> Result<u32, JsonProblem> {
    let digits = bytes.get(at..at + 4).ok_or(JsonProblem::Escape)?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(JsonProblem::Escape)?;
        Ok(unit * 16 + digit)
    })
}

/// The text that a string's content (between the quotes, already checked) stands for.
pub(super) fn unescape(content: &str) -> Cow<'_, str> {
    let Some(first) = content.find('\\') else {
        return Cow::Borrowed(content);
    };
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    let mut next = Some(first);
    while let Some(backslash) = next {
        text.push_str(&rest[..backslash]);
        let (character, length) = escaped_character(&rest[backslash..]);
        text.push(character);
        rest = &rest[backslash + length..];
        next = rest.find('\\');
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character that the escape at the start of `text` names, and the escape's length.
fn escaped_character(text: &str) -> (char, usize) {
    const CHECKED: &str = "the scanner has checked the escapes";
    let bytes = text.as_bytes();
    match bytes[1] {
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => {
            let unit = code_unit(bytes, 2).expect(CHECKED);
            if (0xD800..=0xDBFF).contains(&unit) {
                let low = code_unit(bytes, 8).expect(CHECKED);
                let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                (char::from_u32(code).expect(CHECKED), 12)
            } else {
                (char::from_u32(unit).expect(CHECKED), 6)
            }
        }
        plain => (char::from(plain), 2),
    }
}

/// The beginning of a string's content (between the quotes, checked, escapes kept) that stands for at most
/// `limit - reserved` bytes of UTF-8 and splits no character; `None` if the whole content stands for at most `limit`.
pub(crate) fn cut_string_content(content: &str, limit: usize, reserved: usize) -> Option<&str> {
    if content.len() <= limit {
        return None;
    }
    let (mut at, mut bytes, mut kept) = (0, 0, 0);
    while let Some(character) = content[at..].chars().next() {
        let (character, length) = if character == '\\' {
            escaped_character(&content[at..])
        } else {
            (character, character.len_utf8())
        };
        bytes += character.len_utf8();
        if bytes > limit {
            return Some(&content[..kept]);
        }
        at += length;
        if bytes <= limit.saturating_sub(reserved) {
            kept = at;
        }
    }
    None
}

/// Appends `text` to `out` as a JSON string, quotes included.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                out.push_str("\\u00");
                for digit in [u32::from(control) / 16, u32::from(control) % 16] {
                    out.push(char::from_digit(digit, 16).expect("below sixteen"));
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
