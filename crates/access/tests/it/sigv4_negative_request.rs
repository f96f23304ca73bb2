//! Requests that must be refused for their time, life, body or encoding: the rest of the table.

use cairn_access::sigv4::{AuthenticationError as Refusal, RequestPart as Part};

use crate::client::Wire;
use crate::sigv4_negative::{call, check, malformed, presigned_with};

// Proves: A2
#[test]
fn dates() {
    let incomplete = Refusal::Incomplete {
        parameter: "X-Amz-Date",
    };
    assert_eq!(
        call().without("x-amz-date").authenticate().err(),
        Some(incomplete)
    );
    for text in [
        "",
        "now",
        "2015-08-30T12:36:00Z",
        "20150830T123600",
        "20150830 123600Z",
        "20150830T123600z",
        "20151330T123600Z",
        "20150230T123600Z",
        "20150830T243600Z",
        "20150830T123660Z",
        "00000830T123600Z",
        "+0150830T123600Z",
        "２０１５0830T123600Z",
        "20150830T123600ZZ",
    ] {
        let refused = call().set("x-amz-date", text).authenticate().err();
        assert_eq!(refused, Some(malformed(Part::Date)), "{text}");
    }
    for now_ms in [i64::MIN, -1, 0, i64::MAX] {
        assert!(
            Wire { now_ms, ..call() }.authenticate().is_err(),
            "{now_ms}"
        );
    }
    let other_day = call().authorization(|header| header.replace("/20150830/", "/20150829/"));
    let mismatch = Refusal::ScopeDateMismatch {
        scope_date: "20150829".to_owned(),
        request_date: "20150830".to_owned(),
    };
    assert_eq!(other_day.authenticate().err(), Some(mismatch));
    let other_time = call().set("x-amz-date", "20150830T123601Z");
    assert_eq!(
        other_time.authenticate().err(),
        Some(Refusal::SignatureDoesNotMatch)
    );
}

// Proves: A2
#[test]
fn another_region_or_service_than_the_one_signed_for() {
    let swaps = [
        ("/us-east-1/", "/us-east-2/"),
        ("/cloudtrail/", "/cloudtrail-data/"),
    ];
    for (from, to) in swaps {
        let wire = call().authorization(|header| header.replace(from, to));
        assert_eq!(
            wire.authenticate().err(),
            Some(Refusal::SignatureDoesNotMatch),
            "{to}"
        );
    }
}

// Proves: A2
#[test]
fn the_life_of_a_presigned_request() {
    for expires in [
        "0",
        "-1",
        "+60",
        "604801",
        "99999999999999999999",
        "1e3",
        "6 0",
        "0x10",
        "60.0",
    ] {
        let wire = presigned_with(|query| {
            query.replace("X-Amz-Expires=60", &format!("X-Amz-Expires={expires}"))
        });
        assert_eq!(
            wire.authenticate().err(),
            Some(malformed(Part::Expires)),
            "{expires}"
        );
    }
    let longer = presigned_with(|query| query.replace("Expires=60", "Expires=61"));
    assert_eq!(
        longer.authenticate().err(),
        Some(Refusal::SignatureDoesNotMatch)
    );
    for name in [
        "Algorithm",
        "Credential",
        "Date",
        "Expires",
        "SignedHeaders",
    ] {
        let gone = presigned_with(|query| query.replace(&format!("X-Amz-{name}="), "Other="));
        let error = gone.authenticate().expect_err(name);
        assert!(
            matches!(error, Refusal::Incomplete { .. }),
            "{name}: {error:?}"
        );
        let twice = presigned_with(|query| format!("{query}&X-Amz-{name}=60"));
        assert_eq!(
            twice.authenticate().err(),
            Some(Refusal::UnexpectedParameter),
            "{name}"
        );
    }
    assert!(
        Wire::get_object("/b/k")
            .presigned(604_800, None)
            .authenticate()
            .is_ok()
    );
}

fn declared(value: &str) -> Wire {
    Wire::lookup_events()
        .add("x-amz-content-sha256", value)
        .signed()
}

fn not_allowed(declared: &str) -> Refusal {
    Refusal::PayloadNotAllowed {
        declared: declared.to_owned(),
    }
}

// Proves: A2
#[test]
fn streaming_payloads() {
    let streaming = [
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", true),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", false),
        ("STREAMING-", false),
    ];
    for (form, known_to_s3) in streaming {
        assert_eq!(
            declared(form).authenticate().err(),
            Some(not_allowed("STREAMING")),
            "{form}"
        );
        let object = Wire::get_object("/b/k")
            .signed()
            .set("x-amz-content-sha256", form);
        let refused = if known_to_s3 {
            Refusal::SignatureDoesNotMatch
        } else {
            not_allowed("STREAMING")
        };
        assert_eq!(object.authenticate().err(), Some(refused), "{form}");
    }
}

// Proves: A2
#[test]
fn payload_hashes() {
    check(vec![
        (
            "unsigned",
            declared("UNSIGNED-PAYLOAD"),
            not_allowed("UNSIGNED-PAYLOAD"),
        ),
        (
            "of another body",
            declared(&"0".repeat(64)),
            Refusal::PayloadMismatch,
        ),
        (
            "upper case",
            declared(&"A".repeat(64)),
            malformed(Part::PayloadHash),
        ),
        ("short", declared("e3b0"), malformed(Part::PayloadHash)),
        ("empty", declared(""), malformed(Part::PayloadHash)),
        (
            "another body",
            Wire {
                body: br#"{"MaxResults":6}"#.to_vec(),
                ..call()
            },
            Refusal::SignatureDoesNotMatch,
        ),
        (
            "no body",
            Wire {
                body: Vec::new(),
                ..call()
            },
            Refusal::SignatureDoesNotMatch,
        ),
    ]);
    let unhashed = call()
        .parse()
        .expect("well formed")
        .verify(&crate::client::secret(), None);
    assert_eq!(
        unhashed,
        Err(Refusal::Incomplete {
            parameter: "X-Amz-Content-SHA256"
        })
    );
}

// Proves: A2
#[test]
fn broken_escapes_have_no_meaning() {
    for query in ["a=%", "a=%2", "a=%zz", "%G0=1", "a=%%20"] {
        let wire = Wire {
            query: query.to_owned(),
            ..call()
        };
        assert_eq!(
            wire.authenticate().err(),
            Some(malformed(Part::Query)),
            "{query}"
        );
    }
    let path = Wire {
        path: "/b/%f".to_owned(),
        ..Wire::get_object("/b/k").signed()
    };
    assert_eq!(path.authenticate().err(), Some(malformed(Part::Path)));
}
