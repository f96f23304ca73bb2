//! Requests that must be refused for what they say about their signature: the table of TESTING's A2 as
//! far as it needs no HTTP.

use cairn_access::sigv4::{
    AuthenticationError as Refusal, AuthenticationErrorKind as Kind, RequestPart as Part,
};

use crate::client::{NOW_MS, Wire};

pub(crate) fn call() -> Wire {
    Wire::lookup_events().signed()
}

pub(crate) fn presigned_with(change: impl FnOnce(String) -> String) -> Wire {
    let mut wire = Wire::get_object("/b/k").presigned(60, None);
    wire.query = change(wire.query);
    wire
}

pub(crate) fn malformed(part: Part) -> Refusal {
    Refusal::Malformed { part }
}

fn unsigned(name: &str) -> Refusal {
    Refusal::HeaderNotSigned {
        name: name.to_owned(),
    }
}

/// Takes one name out of the signed headers of a request that is signed rightly without it.
fn unsign(wire: Wire, name: &str) -> Wire {
    wire.authorization(|header| {
        header
            .replace(&format!(";{name}"), "")
            .replace(&format!("{name};"), "")
    })
}

#[track_caller]
pub(crate) fn check(rows: Vec<(&str, Wire, Refusal)>) {
    for (what, wire, expected) in rows {
        assert_eq!(wire.authenticate().err(), Some(expected), "{what}");
    }
}

// Proves: A2, SEC-091
#[test]
fn where_a_signature_stands() {
    let header = call().header("authorization").to_owned();
    let presigned = Wire::get_object("/b/k").presigned(60, None);
    check(vec![
        ("none", Wire::lookup_events(), Refusal::Missing),
        (
            "two headers",
            call().add("authorization", &header),
            Refusal::RepeatedHeader {
                name: "authorization",
            },
        ),
        (
            "header and query",
            presigned.clone().signed(),
            Refusal::Ambiguous,
        ),
        (
            "header and a query signature alone",
            Wire {
                query: "X-Amz-Signature=00".to_owned(),
                ..call()
            },
            Refusal::Ambiguous,
        ),
        (
            "presigned with a token in the header",
            presigned.add("x-amz-security-token", "t"),
            Refusal::Ambiguous,
        ),
        (
            "signature version 2",
            Wire {
                query: "AWSAccessKeyId=AKIDEXAMPLE&Signature=x".into(),
                ..Wire::lookup_events()
            },
            Refusal::Missing,
        ),
    ]);
}

// Proves: A2
#[test]
fn other_algorithms() {
    let names = [
        "AWS4-HMAC-SHA1",
        "AWS4-ECDSA-P256-SHA256",
        "aws4-hmac-sha256",
        "AWS3",
        "Basic",
        "",
    ];
    for name in names {
        let wire = call().authorization(|header| header.replace("AWS4-HMAC-SHA256", name));
        assert_eq!(
            wire.authenticate().err(),
            Some(Refusal::UnsupportedAlgorithm),
            "{name}"
        );
        let wire = presigned_with(|query| query.replace("AWS4-HMAC-SHA256", name));
        assert!(wire.authenticate().is_err(), "{name}");
    }
}

// Proves: A2
#[test]
fn parameters_of_the_header() {
    let change = |from: &str, to: &str| call().authorization(|header| header.replace(from, to));
    let incomplete = |parameter| Refusal::Incomplete { parameter };
    check(vec![
        (
            "no parameters",
            call().set("authorization", "AWS4-HMAC-SHA256"),
            malformed(Part::Authorization),
        ),
        (
            "no credential",
            change("Credential=", "Credentials="),
            Refusal::UnexpectedParameter,
        ),
        (
            "no signature",
            call().authorization(|header| header.split(", Signature").next().unwrap().to_owned()),
            incomplete("Signature"),
        ),
        (
            "an empty signature",
            call()
                .authorization(|h| format!("{}Signature=", h.split("Signature=").next().unwrap())),
            incomplete("Signature"),
        ),
        (
            "a parameter twice",
            call().authorization(|header| format!("{header}, Credential=x")),
            Refusal::UnexpectedParameter,
        ),
        (
            "an unknown one",
            call().authorization(|h| format!("{h}, X=y")),
            Refusal::UnexpectedParameter,
        ),
        (
            "a stray comma",
            call().authorization(|h| format!("{h},")),
            malformed(Part::Authorization),
        ),
        (
            "a short scope",
            change("/aws4_request", ""),
            malformed(Part::Credential),
        ),
        (
            "another terminator",
            change("aws4_request", "aws5_request"),
            malformed(Part::Credential),
        ),
        (
            "no key",
            change("AKIDEXAMPLE/", "/"),
            malformed(Part::Credential),
        ),
        (
            "no region",
            change("/us-east-1/", "//"),
            malformed(Part::Credential),
        ),
        (
            "a scope without a day",
            change("/20150830/", "/2015083x/"),
            malformed(Part::Credential),
        ),
        (
            "an unknown key",
            change("AKIDEXAMPLE/", "AKIDUNKNOWN/"),
            Refusal::UnknownAccessKey,
        ),
    ]);
}

// Proves: A2
#[test]
fn the_signature_itself() {
    let with = |change: &dyn Fn(&str) -> String| {
        call().authorization(|header| {
            let (head, signature) = header.split_once("Signature=").unwrap();
            format!("{head}Signature={}", change(signature))
        })
    };
    check(vec![
        (
            "upper case",
            with(&|s| s.to_uppercase()),
            malformed(Part::Signature),
        ),
        (
            "short",
            with(&|s| s[..63].to_owned()),
            malformed(Part::Signature),
        ),
        (
            "long",
            with(&|s| format!("{s}0")),
            malformed(Part::Signature),
        ),
        (
            "a prefix padded",
            with(&|s| format!("{}{}", &s[..32], "0".repeat(32))),
            Refusal::SignatureDoesNotMatch,
        ),
        (
            "not hex",
            with(&|_| "g".repeat(64)),
            malformed(Part::Signature),
        ),
        (
            "zeroes",
            with(&|_| "0".repeat(64)),
            Refusal::SignatureDoesNotMatch,
        ),
    ]);
}

// Proves: A2
#[test]
fn headers_that_must_be_signed() {
    let token = Wire::lookup_events().signed_with(Some("token"));
    let with_hash = Wire::get_object("/b/k").signed();
    check(vec![
        ("host", unsign(call(), "host"), unsigned("host")),
        (
            "x-amz-date",
            unsign(call(), "x-amz-date"),
            unsigned("x-amz-date"),
        ),
        (
            "x-amz-target",
            unsign(call(), "x-amz-target"),
            unsigned("x-amz-target"),
        ),
        (
            "content-type",
            unsign(call(), "content-type"),
            unsigned("content-type"),
        ),
        (
            "the token",
            unsign(token, "x-amz-security-token"),
            unsigned("x-amz-security-token"),
        ),
        (
            "the hash",
            unsign(with_hash, "x-amz-content-sha256"),
            unsigned("x-amz-content-sha256"),
        ),
        (
            "one more",
            call().add("x-amz-later", "1"),
            unsigned("x-amz-later"),
        ),
        (
            "a token added",
            call().add("x-amz-security-token", "t"),
            unsigned("x-amz-security-token"),
        ),
        (
            "an acl added to a presigned put",
            Wire::get_object("/b/k")
                .presigned(60, None)
                .add("x-amz-acl", "public-read"),
            unsigned("x-amz-acl"),
        ),
        (
            "one that was not sent",
            call()
                .authorization(|header| header.replace("=content-type;", "=accept;content-type;")),
            Refusal::SignedHeaderAbsent {
                name: "accept".to_owned(),
            },
        ),
    ]);
}

// Proves: A2
#[test]
fn the_list_of_signed_headers() {
    let change = |from: &str, to: &str| call().authorization(|header| header.replace(from, to));
    for (from, to) in [
        ("content-type;host", "host;content-type"),
        ("content-type;host", "content-type;host;host"),
        ("content-type;host", "Content-Type;host"),
        ("content-type;host", "content-type;;host"),
    ] {
        let refused = change(from, to).authenticate().err();
        assert_eq!(refused, Some(malformed(Part::SignedHeaders)), "{to}");
    }
    let mut wire = call();
    wire.headers
        .push(("X-Amz-Hidden".to_owned(), "1".to_owned()));
    assert_eq!(wire.authenticate().err(), Some(malformed(Part::HeaderName)));
}

// Proves: A2
#[test]
fn headers_that_decide_come_once() {
    let names = ["x-amz-date", "x-amz-target", "host", "content-type"];
    for name in names {
        let value = call().header(name).to_owned();
        let refused = call().add(name, &value).authenticate().err();
        assert_eq!(refused, Some(Refusal::RepeatedHeader { name }), "{name}");
    }
    let token = Wire::lookup_events()
        .signed_with(Some("token"))
        .add("x-amz-security-token", "token");
    let name = "x-amz-security-token";
    assert_eq!(
        token.authenticate().err(),
        Some(Refusal::RepeatedHeader { name })
    );
    let two_dates = call()
        .without("x-amz-date")
        .add("date", "a")
        .add("date", "b");
    assert_eq!(
        two_dates.authenticate().err(),
        Some(Refusal::RepeatedHeader { name: "date" })
    );
}

#[test]
fn an_unknown_key_never_passes() {
    let signed = call().parse().expect("well formed");
    assert_eq!(signed.refuse_unknown_key(None), Refusal::UnknownAccessKey);
    assert_eq!(signed.refuse_unknown_key(None).kind(), Kind::UnknownKey);
}

#[test]
fn refusals_fall_into_the_answers_that_protocols_know() {
    let kinds = [
        (Refusal::Missing, Kind::Missing, false),
        (Refusal::Ambiguous, Kind::Incomplete, false),
        (Refusal::PayloadMismatch, Kind::InvalidSignature, false),
        (Refusal::ScopeRegion, Kind::InvalidSignature, false),
        (Refusal::PresignedExpired, Kind::Expired, false),
        (Refusal::InvalidSessionToken, Kind::InvalidToken, false),
        (Refusal::ExpiredSessionToken, Kind::ExpiredToken, false),
    ];
    for (refusal, kind, retryable) in kinds {
        assert_eq!(
            (refusal.kind(), refusal.is_retryable()),
            (kind, retryable),
            "{refusal}"
        );
    }
    let skewed = Wire::lookup_events()
        .signed_at(NOW_MS - 999_000)
        .authenticate()
        .err();
    let skewed = skewed.expect("refused");
    assert_eq!((skewed.kind(), skewed.is_retryable()), (Kind::Skewed, true));
}
