//! Passing over a value without reading it: for finding boundaries cheaply, where a strict reading follows or went
//! before.

use super::string::skip_string;

/// The offset after the value that starts at `at`; `None` if it does not end, or if no value can start there.
///
/// Brackets are counted, not matched by kind, and scalars end where a comma, a bracket or white space follows.
/// A raw line feed inside a string ends the search, so that a torn line does not swallow its successors.
pub fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut cursor = at;
    loop {
        match bytes.get(cursor) {
            Some(b'"') => {
                cursor = skip_string(bytes, cursor + 1)?;
                if depth == 0 {
                    return Some(cursor);
                }
                continue;
            }
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => match depth {
                0 => return scalar_end(at, cursor),
                1 => return Some(cursor + 1),
                _ => depth -= 1,
            },
            Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t') if depth == 0 => {
                return scalar_end(at, cursor);
            }
            Some(_) => {}
            None if depth == 0 => return scalar_end(at, cursor),
            None => return None,
        }
        cursor += 1;
    }
}

fn scalar_end(start: usize, end: usize) -> Option<usize> {
    (start < end).then_some(end)
}
