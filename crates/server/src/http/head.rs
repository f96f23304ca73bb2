//! Checks of a request's head that HTTP leaves to the application: a head that two parties could read
//! differently is refused and its connection closed (A3).

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

/// Why a head is refused, in a few words of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadRefusal {
    /// Two parties could read it differently.
    Ambiguous(&'static str),
    /// More headers than the limit.
    TooManyHeaders,
}

/// How a body may say where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// By `Content-Length` alone. Refusing every Transfer-Encoding leaves no second reading: the HTTP
    /// library drops Content-Length when both are present.
    Declared,
    /// By `Transfer-Encoding: chunked` as well, which S3's clients use over TLS. Callers must close the
    /// connection after such a request: whatever a proxy took for its end, nothing follows.
    DeclaredOrChunked,
}

impl HeadRefusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Ambiguous(_) => StatusCode::BAD_REQUEST,
            Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Ambiguous(reason) => reason,
            Self::TooManyHeaders => "the request has too many headers",
        }
    }
}

/// Refuses heads that must not get further. HTTP/1.1 counts headers while it reads them, HTTP/2 only their
/// bytes.
pub(crate) fn check_head(
    head: &Parts,
    header_count_max: usize,
    lengths: BodyLength,
) -> Result<(), HeadRefusal> {
    if head.headers.len() > header_count_max {
        return Err(HeadRefusal::TooManyHeaders);
    }
    one_end(head, lengths)
        .and_then(|()| one_reading(head))
        .map_err(HeadRefusal::Ambiguous)
}

fn one_end(head: &Parts, lengths: BodyLength) -> Result<(), &'static str> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if lengths == BodyLength::Declared {
        return Err("Transfer-Encoding is not accepted; send Content-Length");
    }
    let is_only = codings.next().is_none() && !head.headers.contains_key(CONTENT_LENGTH);
    if is_only && head.version == Version::HTTP_11 && coding.as_bytes() == b"chunked" {
        Ok(())
    } else {
        Err("of Transfer-Encoding, chunked alone is accepted")
    }
}

fn one_reading(head: &Parts) -> Result<(), &'static str> {
    let is_http1 = head.version < Version::HTTP_2;
    if head.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err("more than one Content-Length");
    }
    if head.method == Method::CONNECT {
        return Err("CONNECT is not accepted");
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err("more than one Host");
    }
    if is_http1 {
        if host.is_none() && head.version == Version::HTTP_11 {
            return Err("Host is missing");
        }
        if head.uri.authority().is_some() {
            return Err("the request target must be a path");
        }
    } else if let (Some(host), Some(authority)) = (host, head.uri.authority())
        && host.as_bytes() != authority.as_str().as_bytes()
    {
        return Err("Host and :authority differ");
    }
    Ok(())
}

/// Headers as plain values, names in lower case, in order, duplicates kept. Values that are not UTF-8
/// cannot be signed by any client; they are kept readable for logs and policies.
pub(crate) fn header_values(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// The host that the client asked for, as it wrote it.
pub(crate) fn client_host(head: &Parts) -> Option<String> {
    let header = head.headers.get(HOST).and_then(|value| value.to_str().ok());
    header
        .or_else(|| head.uri.authority().map(http::uri::Authority::as_str))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: Version, uri: &str, headers: &[(&str, &str)], expected: Option<&str>) {
        let mut builder = http::Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).expect("a request").into_parts();
        let refusal = check_head(&parts, 2, BodyLength::Declared).err();
        assert_eq!(refusal.map(HeadRefusal::message), expected);
    }

    #[test]
    fn headers_are_counted() {
        let many = [("host", "a"), ("b", "c"), ("d", "e")];
        let expected = Some("the request has too many headers");
        check(Version::HTTP_2, "https://a/", &many, expected);
    }

    // Proves: A3
    #[test]
    fn heads_with_two_readings_are_refused() {
        let h1 = Version::HTTP_11;
        check(h1, "/", &[("host", "a")], None);
        check(h1, "/", &[], Some("Host is missing"));
        check(
            h1,
            "/",
            &[("host", "a"), ("host", "b")],
            Some("more than one Host"),
        );
        check(
            h1,
            "http://a/",
            &[("host", "a")],
            Some("the request target must be a path"),
        );
        check(
            h1,
            "/",
            &[("host", "a"), ("transfer-encoding", "chunked")],
            Some("Transfer-Encoding is not accepted; send Content-Length"),
        );
        check(Version::HTTP_2, "https://a/", &[], None);
        check(Version::HTTP_2, "https://a/", &[("host", "a")], None);
        check(
            Version::HTTP_2,
            "https://a/",
            &[("host", "b")],
            Some("Host and :authority differ"),
        );
    }

    // Proves: A3
    #[test]
    fn bodies_in_chunks_are_taken_where_they_may_be_and_in_one_form() {
        let check = |version, headers: &[(&str, &str)], accepted: bool| {
            let mut builder = http::Request::builder().version(version).uri("/");
            for (name, value) in headers.iter().chain(&[("host", "a")]) {
                builder = builder.header(*name, *value);
            }
            let (parts, ()) = builder.body(()).expect("a request").into_parts();
            let found = check_head(&parts, 9, BodyLength::DeclaredOrChunked);
            assert_eq!(found.is_ok(), accepted, "{headers:?}");
        };
        let h1 = Version::HTTP_11;
        let chunked = ("transfer-encoding", "chunked");
        check(h1, &[chunked], true);
        check(h1, &[("content-length", "4")], true);
        check(h1, &[chunked, ("content-length", "4")], false);
        check(h1, &[chunked, chunked], false);
        check(h1, &[("transfer-encoding", "gzip, chunked")], false);
        check(h1, &[("transfer-encoding", "identity")], false);
        check(h1, &[("transfer-encoding", "Chunked ")], false);
        check(Version::HTTP_10, &[chunked], false);
        check(Version::HTTP_2, &[chunked], false);
    }
}
