//! A request as plain values, and how its headers are asked for.

use super::{AuthenticationError, RequestPart};

/// A request as it came over the wire, before anything is believed.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The HTTP method, as received.
    pub method: &'a str,
    /// The path, percent-encoding untouched.
    pub path: &'a str,
    /// The query without its question mark, percent-encoding untouched; empty when there is none.
    pub query: &'a str,
    /// Header names in lower case with their values, in order, duplicates kept. Over HTTP/2 callers
    /// must add `:authority`, and `host` from it: clients sign the one or the other.
    pub headers: &'a [(String, String)],
    /// The server's time in milliseconds since the epoch.
    pub now_ms: i64,
}

impl<'a> RequestParts<'a> {
    /// The value of a header that may be sent at most once.
    pub(super) fn header(
        &self,
        name: &'static str,
    ) -> Result<Option<&'a str>, AuthenticationError> {
        let mut values = self.headers.iter().filter(|(sent, _)| sent == name);
        let first = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            Some(_) => Err(AuthenticationError::RepeatedHeader { name }),
            None => Ok(first),
        }
    }

    /// Refuses what would make the checks below look at other headers than the handlers do.
    pub(super) fn check_headers(&self) -> Result<(), AuthenticationError> {
        let lower = |name: &str| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
        if !self.headers.iter().all(|(name, _)| lower(name)) {
            return Err(AuthenticationError::Malformed {
                part: RequestPart::HeaderName,
            });
        }
        for name in ["host", "x-amz-target", "content-type"] {
            self.header(name)?;
        }
        Ok(())
    }
}

/// A query without the parameters of a presigned request.
pub fn without_signature(query: &str) -> String {
    let is_of_signature = |pair: &&str| {
        let start = pair.get(.."x-amz-".len());
        start.is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
    };
    let others: Vec<&str> = query
        .split('&')
        .filter(|pair| !is_of_signature(pair))
        .collect();
    others.join("&")
}
