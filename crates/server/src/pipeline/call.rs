//! What is known of a request before anyone believes who sent it.

use std::net::IpAddr;
use std::time::Duration;

use cairn_access::policy;
use cairn_access::sigv4::RequestParts;
use cairn_api::Protocol;
use http::Version;
use http::request::Parts;

use crate::config::TrustedProxies;
use crate::http::{ConnectionFacts, TlsFacts, client_host, decoded_pairs, header_values};

/// A request's head as plain values.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    /// Monotonic time at which the head was complete.
    pub(crate) began: Duration,
    /// Wall-clock time of the same moment.
    pub(crate) received_ms: i64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case, in order, duplicates kept; `host` is there over HTTP/2 too.
    pub(crate) headers: Vec<(String, String)>,
    /// The other end of the socket.
    pub(crate) peer_ip: IpAddr,
    /// The client's address, before our own proxies.
    pub(crate) source_ip: IpAddr,
    pub(crate) client_host: Option<String>,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) protocol: Protocol,
}

impl Call {
    pub(crate) fn new(
        head: &Parts,
        connection: &ConnectionFacts,
        proxies: &TrustedProxies,
        (request_id, began, received_ms): (String, Duration, i64),
    ) -> Self {
        let headers = headers(head);
        Self {
            request_id,
            began,
            received_ms,
            method: head.method.as_str().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            peer_ip: connection.peer.ip(),
            source_ip: source_ip(connection.peer.ip(), &headers, proxies),
            client_host: client_host(head),
            tls: connection.tls,
            path: head.uri.path().to_owned(),
            headers,
            protocol: protocol_of(head),
        }
    }

    /// The first value of a header; signed ones are sent at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(sent, _)| sent == name)
            .map(|(_, value)| value.as_str())
    }

    /// The query, decoded. What is not UTF-8 is kept readable.
    pub(crate) fn query_parameters(&self) -> impl Iterator<Item = (String, String)> {
        let readable = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
        decoded_pairs(&self.query).map(move |(name, value)| (readable(name), readable(value)))
    }

    /// As signature verification wants it.
    pub(crate) fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            now_ms: self.received_ms,
        }
    }

    /// As policy evaluation wants it.
    pub(crate) fn policy_facts<'a>(&'a self, region: &'a str) -> policy::RequestFacts<'a> {
        policy::RequestFacts {
            now_ms: self.received_ms,
            source_ip: Some(self.source_ip),
            secure_transport: self.tls.is_some(),
            user_agent: self.header("user-agent"),
            referer: self.header("referer"),
            requested_region: region,
        }
    }
}

fn headers(head: &Parts) -> Vec<(String, String)> {
    let mut headers = header_values(&head.headers);
    if head.version >= Version::HTTP_2
        && let Some(authority) = head.uri.authority()
    {
        if !head.headers.contains_key(http::header::HOST) {
            headers.push(("host".into(), authority.as_str().to_owned()));
        }
        headers.push((":authority".into(), authority.as_str().to_owned()));
    }
    headers
}

/// How the caller expects answers to look. A guess from the head alone, because errors of
/// authentication are answered before anything else is known.
pub(super) fn protocol_of(head: &Parts) -> Protocol {
    if head.headers.contains_key("x-amz-target") {
        return Protocol::AwsJson;
    }
    let content_type = head.headers.get(http::header::CONTENT_TYPE);
    let is_form = content_type.is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    // A signed link carries its form in the query; the JSON protocols only know POST.
    let is_link = head.method == http::Method::GET && head.uri.query().is_some();
    match head.uri.path() {
        "/" if is_form || is_link => Protocol::Query,
        "/" => Protocol::AwsJson,
        _ => Protocol::RestJson,
    }
}

/// The address of the client: the peer's, or the last one before our own proxies (CVE-2026-21862 came
/// from believing the header of anyone).
fn source_ip(peer: IpAddr, headers: &[(String, String)], proxies: &TrustedProxies) -> IpAddr {
    let mut address = peer.to_canonical();
    let forwarded = headers.iter().filter(|(name, _)| name == "x-forwarded-for");
    let hops: Vec<&str> = forwarded.flat_map(|(_, value)| value.split(',')).collect();
    for hop in hops.iter().rev() {
        if !proxies.contains(address) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(before) => address = before.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).expect("a network");
        let check = |peer: &str, forwarded: &str, expected: &str| {
            let headers = [("x-forwarded-for".to_owned(), forwarded.to_owned())];
            let peer = peer.parse().expect("an address");
            assert_eq!(source_ip(peer, &headers, &proxies).to_string(), expected);
        };
        check("192.0.2.1", "198.51.100.7", "192.0.2.1");
        check("10.0.0.1", "198.51.100.7", "198.51.100.7");
        check(
            "10.0.0.1",
            "203.0.113.9, 198.51.100.7, 10.2.3.4",
            "198.51.100.7",
        );
        check("10.0.0.1", "forged, 10.2.3.4", "10.2.3.4");
        check("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7");
    }
}
