//! A strict JSON reader for bytes that strangers sent, and nothing more.
//!
//! One pass over the bytes checks everything (UTF-8, grammar, depth, duplicate members) and leaves an index of
//! where every value lies; values stay the sender's bytes, so a number of 400 digits is never rounded.
//! It builds no tree of owned values and does not write JSON, apart from quoting a string.

mod document;
mod scanner;
mod skip;
mod string;

pub use document::{Document, Elements, Kind, Member, Members, Value};
pub use scanner::{DEPTH_MAX, DOCUMENT_BYTES_MAX, JsonError, JsonProblem};
pub use skip::skip_value;
pub(crate) use string::cut_string_content;
pub use string::push_quoted;

#[cfg(test)]
mod tests;
