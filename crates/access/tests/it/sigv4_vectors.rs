//! AWS's published vectors, stage by stage: canonical request, string to sign, signature, and then the
//! whole request through the verifier.

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    AmzTime, AuthenticationError, EMPTY_SHA256, PathRule, RequestParts, Scope, ServiceRules,
    SigningKey, UNSIGNED_PAYLOAD, canonical_head, canonical_request, parse, sha256_hex,
    string_to_sign,
};
use serde_json::Value;

use crate::client::{NOW_MS, SECRET, pair, secret};

struct Vector {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: String,
    canonical_request: String,
    string_to_sign: String,
    authorization: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        let text = include_str!("../fixtures/aws-sig-v4-test-suite.json");
        let suite: Vec<Value> = serde_json::from_str(text).expect("the fixture is JSON");
        suite.iter().map(Self::read).collect()
    }

    fn read(json: &Value) -> Self {
        let member = |name: &str| json[name].as_str().expect("a string").to_owned();
        let request = member("request");
        let (head, body) = request.split_once("\n\n").unwrap_or((&request, ""));
        let mut lines = head.lines();
        let first = lines.next().expect("a request line");
        let (method, rest) = first.split_once(' ').expect("a method");
        let uri = rest.strip_suffix(" HTTP/1.1").expect("a protocol");
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            match line.split_once(':') {
                Some((name, value)) if !line.starts_with(' ') => {
                    headers.push((name.to_lowercase(), value.to_owned()));
                }
                // The suite counts a folded line as one more value of the header before it.
                _ => {
                    let name = headers.last().expect("a header before").0.clone();
                    headers.push((name, line.to_owned()));
                }
            }
        }
        Self {
            name: member("name"),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.to_owned(),
            canonical_request: member("canonical_request"),
            string_to_sign: member("string_to_sign"),
            authorization: member("authorization"),
        }
    }

    fn parts<'a>(&'a self, headers: &'a [(String, String)]) -> RequestParts<'a> {
        RequestParts {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers,
            now_ms: NOW_MS,
        }
    }

    fn authorization_part(&self, name: &str) -> &str {
        let start = self.authorization.find(name).expect("the parameter") + name.len() + 1;
        self.authorization[start..]
            .split(',')
            .next()
            .expect("a value")
    }

    fn signed_headers(&self) -> Vec<&str> {
        self.authorization_part("SignedHeaders")
            .split(';')
            .collect()
    }
}

fn scope(service: &str) -> Scope {
    Scope {
        date: "20150830".into(),
        region: "us-east-1".into(),
        service: service.into(),
    }
}

fn suite_time() -> AmzTime {
    AmzTime::parse("20150830T123600Z").expect("a time")
}

// Proves: A1
#[test]
fn canonical_requests_are_those_of_the_suite() {
    let vectors = Vector::all();
    assert_eq!(vectors.len(), 31);
    for vector in vectors {
        let parts = vector.parts(&vector.headers);
        let head = canonical_head(
            &parts,
            &vector.signed_headers(),
            PathRule::NormalizeAndEncode,
        )
        .expect("canonical");
        let canonical = canonical_request(&head, &sha256_hex(vector.body.as_bytes()));
        assert_eq!(canonical, vector.canonical_request, "{}", vector.name);
    }
}

// Proves: A1
#[test]
fn strings_to_sign_are_those_of_the_suite() {
    for vector in Vector::all() {
        let text = string_to_sign(suite_time(), &scope("service"), &vector.canonical_request);
        assert_eq!(text, vector.string_to_sign, "{}", vector.name);
    }
}

// Proves: A1
#[test]
fn signatures_are_those_of_the_suite() {
    let key = SigningKey::derive(&secret(), &scope("service"));
    for vector in Vector::all() {
        let signature = key.signature(&vector.string_to_sign);
        assert_eq!(
            signature,
            vector.authorization_part("Signature"),
            "{}",
            vector.name
        );
    }
}

// Proves: A1, SEC-091
#[test]
fn whole_requests_of_the_suite_are_accepted_and_with_another_secret_refused() {
    for vector in Vector::all() {
        let mut headers = vector.headers.clone();
        headers.push(pair("authorization", &vector.authorization));
        let signed = parse(&vector.parts(&headers), &ServiceRules::STANDARD)
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        let body = sha256_hex(vector.body.as_bytes());
        assert_eq!(
            signed.verify(&secret(), Some(&body)),
            Ok(()),
            "{}",
            vector.name
        );
        let other = SecretKey::new(SECRET.to_lowercase());
        let refused = signed.verify(&other, Some(&body));
        assert_eq!(
            refused,
            Err(AuthenticationError::SignatureDoesNotMatch),
            "{}",
            vector.name
        );
    }
}

// Proves: A2
#[test]
fn a_token_added_after_signing_is_refused() {
    let vectors = Vector::all();
    let vector = vectors
        .iter()
        .find(|vector| vector.name == "post-sts-header-after");
    let vector = vector.expect("the vector");
    let mut headers = vector.headers.clone();
    headers.push(pair(
        "x-amz-security-token",
        "AQoDYXdzEPT//////////wEXAMPLE",
    ));
    headers.push(pair("authorization", &vector.authorization));
    let refused = parse(&vector.parts(&headers), &ServiceRules::STANDARD);
    let name = "x-amz-security-token".to_owned();
    assert_eq!(
        refused.err(),
        Some(AuthenticationError::HeaderNotSigned { name })
    );
}

// Proves: A1
#[test]
fn the_iam_example_of_the_signing_guide() {
    let headers = [
        pair(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        ),
        pair("host", "iam.amazonaws.com"),
        pair("x-amz-date", "20150830T123600Z"),
    ];
    let request = RequestParts {
        method: "GET",
        path: "/",
        query: "Action=ListUsers&Version=2010-05-08",
        headers: &headers,
        now_ms: NOW_MS,
    };
    let signed = ["content-type", "host", "x-amz-date"];
    let head = canonical_head(&request, &signed, PathRule::NormalizeAndEncode).expect("canonical");
    let canonical = canonical_request(&head, EMPTY_SHA256);
    assert_eq!(
        sha256_hex(canonical.as_bytes()),
        "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
    );
    let text = string_to_sign(suite_time(), &scope("iam"), &canonical);
    assert_eq!(
        SigningKey::derive(&secret(), &scope("iam")).signature(&text),
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

/// One example of S3's signing guide: the request and the signature that the guide prints.
fn check_s3(request: (&str, &str, &str), headers: &[(&str, &str)], payload: &str, expected: &str) {
    let time = AmzTime::parse("20130524T000000Z").expect("a time");
    let scope = Scope {
        date: time.date(),
        region: "us-east-1".into(),
        service: "s3".into(),
    };
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into());
    let (method, path, query) = request;
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| pair(name, value))
        .collect();
    let parts = RequestParts {
        method,
        path,
        query,
        headers: &headers,
        now_ms: time.as_millis(),
    };
    let head = canonical_head(&parts, &names, PathRule::EncodeOnce).expect("canonical");
    let text = string_to_sign(time, &scope, &canonical_request(&head, payload));
    assert_eq!(
        SigningKey::derive(&secret, &scope).signature(&text),
        expected,
        "{request:?}"
    );
}

// Proves: A1
#[test]
fn the_examples_of_the_s3_signing_guide() {
    let host = ("host", "examplebucket.s3.amazonaws.com");
    let date = ("x-amz-date", "20130524T000000Z");
    let hash = |hash| ("x-amz-content-sha256", hash);
    let put_hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    check_s3(
        ("GET", "/test.txt", ""),
        &[host, ("range", "bytes=0-9"), hash(EMPTY_SHA256), date],
        EMPTY_SHA256,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    check_s3(
        ("PUT", "/test$file.text", ""),
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            host,
            hash(put_hash),
            date,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
        put_hash,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    check_s3(
        ("GET", "/", "lifecycle"),
        &[host, hash(EMPTY_SHA256), date],
        EMPTY_SHA256,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    );
    check_s3(
        ("GET", "/", "max-keys=2&prefix=J"),
        &[host, hash(EMPTY_SHA256), date],
        EMPTY_SHA256,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
    let presigned = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F\
                     20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&\
                     X-Amz-Expires=86400&X-Amz-SignedHeaders=host";
    check_s3(
        ("GET", "/test.txt", presigned),
        &[host],
        UNSIGNED_PAYLOAD,
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    );
}
