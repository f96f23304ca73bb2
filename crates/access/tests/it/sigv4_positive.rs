//! Requests that must be accepted.

use cairn_access::sigv4::{
    AuthenticationError, ChunkedForm, DeclaredPayload, EMPTY_SHA256, SigningKey,
};

use crate::client::{KEY, NOW_MS, Wire, secret};

// Proves: SEC-091
#[test]
fn a_signed_call_tells_who_when_and_for_what() {
    let signed = Wire::lookup_events()
        .signed()
        .authenticate()
        .expect("accepted");
    assert_eq!(signed.access_key_id(), KEY);
    assert_eq!(
        signed.scope().to_string(),
        "20150830/us-east-1/cloudtrail/aws4_request"
    );
    assert_eq!(
        signed.signed_headers(),
        ["content-type", "host", "x-amz-date", "x-amz-target"]
    );
    assert_eq!(signed.signed_at().to_string(), "20150830T123600Z");
    assert_eq!(signed.payload(), &DeclaredPayload::Absent);
    assert_eq!(
        (signed.security_token(), signed.presigned_seconds()),
        (None, None)
    );
}

#[test]
fn a_session_token_is_covered_and_handed_on() {
    let wire = Wire::lookup_events().signed_with(Some("token+/="));
    let signed = wire.authenticate().expect("accepted");
    assert_eq!(signed.security_token(), Some("token+/="));
    assert!(
        signed
            .signed_headers()
            .iter()
            .any(|name| name == "x-amz-security-token")
    );
}

#[test]
fn a_key_derived_earlier_verifies_as_the_secret_does() {
    let wire = Wire::get_object("/b/k").signed();
    let signed = wire.parse().expect("well formed");
    let key = SigningKey::derive(&secret(), signed.scope());
    assert_eq!(signed.verify_with_key(&key, Some(EMPTY_SHA256)), Ok(()));
    assert_eq!(signed.verify(&secret(), Some(EMPTY_SHA256)), Ok(()));
}

#[test]
fn the_hash_of_the_body_may_be_declared() {
    let body = Wire::lookup_events().body;
    let hash = cairn_access::sigv4::sha256_hex(&body);
    let wire = Wire::lookup_events()
        .add("x-amz-content-sha256", &hash)
        .signed();
    let signed = wire.authenticate().expect("accepted");
    assert_eq!(signed.payload(), &DeclaredPayload::Sha256(hash));
}

#[test]
fn a_date_header_serves_when_there_is_no_other() {
    let mut wire = Wire::lookup_events();
    for date in ["Sun, 30 Aug 2015 12:36:00 GMT", "20150830T123600Z"] {
        // Signed by hand: our own signer always sends x-amz-date.
        wire = wire.set("date", date);
        let scope = cairn_access::sigv4::Scope {
            date: "20150830".into(),
            region: "us-east-1".into(),
            service: "cloudtrail".into(),
        };
        let names = ["content-type", "date", "host", "x-amz-target"];
        let head =
            cairn_access::sigv4::canonical_head(&wire.parts(), &names, wire.rules.path).unwrap();
        let hash = cairn_access::sigv4::sha256_hex(&wire.body);
        let time = cairn_access::sigv4::AmzTime::parse("20150830T123600Z").unwrap();
        let text = cairn_access::sigv4::string_to_sign(time, &scope, &format!("{head}{hash}"));
        let signature = SigningKey::derive(&secret(), &scope).signature(&text);
        let header = format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/{scope},SignedHeaders={},Signature={signature}",
            names.join(";")
        );
        let signed = wire.clone().add("authorization", &header);
        assert!(signed.authenticate().is_ok(), "{date}");
    }
}

#[test]
fn five_minutes_of_skew_for_everything_but_s3_which_has_fifteen() {
    for (wire, minutes) in [(Wire::lookup_events(), 5), (Wire::get_object("/b/k"), 15)] {
        for sign in [-1, 1] {
            let inside = sign * (minutes * 60 - 1) * 1000;
            let outside = sign * (minutes * 60 + 1) * 1000;
            assert!(
                wire.clone()
                    .signed_at(NOW_MS + inside)
                    .authenticate()
                    .is_ok()
            );
            let error = wire
                .clone()
                .signed_at(NOW_MS + outside)
                .authenticate()
                .err();
            let expected = if sign < 0 {
                matches!(error, Some(AuthenticationError::SignatureExpired { .. }))
            } else {
                matches!(
                    error,
                    Some(AuthenticationError::SignatureNotYetCurrent { .. })
                )
            };
            assert!(expected, "{error:?}");
        }
    }
}

#[test]
fn the_messages_of_skewed_requests_are_those_that_sdks_read() {
    let late = Wire::lookup_events()
        .signed_at(NOW_MS - 600_000)
        .authenticate()
        .err();
    assert_eq!(
        late.expect("refused").to_string(),
        "Signature expired: 20150830T122600Z is now earlier than 20150830T123100Z \
         (20150830T123600Z - 5 min.)"
    );
    let early = Wire::lookup_events()
        .signed_at(NOW_MS + 600_000)
        .authenticate()
        .err();
    assert_eq!(
        early.expect("refused").to_string(),
        "Signature not yet current: 20150830T124600Z is still later than 20150830T124100Z \
         (20150830T123600Z + 5 min.)"
    );
}

#[test]
fn a_presigned_request_lives_as_long_as_it_says() {
    let wire = Wire::get_object("/b/k").presigned(3600, Some("to/ken"));
    let at = |millis: i64| {
        Wire {
            now_ms: NOW_MS + millis,
            ..wire.clone()
        }
        .authenticate()
    };
    let signed = at(0).expect("accepted");
    assert_eq!(signed.presigned_seconds(), Some(3600));
    assert_eq!(signed.security_token(), Some("to/ken"));
    assert_eq!(signed.payload(), &DeclaredPayload::Unsigned);
    assert!(at(3_600_000).is_ok());
    assert_eq!(
        at(3_600_001).err(),
        Some(AuthenticationError::PresignedExpired)
    );
    assert!(at(-15 * 60_000).is_ok());
    let early = at(-15 * 60_000 - 1000).err();
    assert!(matches!(
        early,
        Some(AuthenticationError::SignatureNotYetCurrent { .. })
    ));
}

#[test]
fn a_presigned_call_of_another_service_signs_the_empty_body() {
    let mut wire = Wire::lookup_events();
    (wire.method, wire.service, wire.body) = ("GET".into(), "sts", Vec::new());
    wire.query = "Action=GetCallerIdentity&Version=2011-06-15".into();
    wire.headers.retain(|(name, _)| name == "host");
    let wire = wire.presigned(60, None);
    assert_eq!(
        wire.authenticate().expect("accepted").payload(),
        &DeclaredPayload::Absent
    );
    let smuggled = Wire {
        body: b"Action=CreateUser".to_vec(),
        ..wire
    };
    assert_eq!(
        smuggled.authenticate().err(),
        Some(AuthenticationError::SignatureDoesNotMatch)
    );
}

#[test]
fn wire_forms_that_mean_the_same_verify_alike() {
    let query = |query: &str| Wire {
        query: query.to_owned(),
        ..Wire::lookup_events()
    };
    let signed = query("a=1&b=x%20y&c=&d").signed();
    for same in [
        "d&c=&b=x%20y&a=1",
        "b=x+y&a=1&d=&c",
        "%61=1&b=x%20y&&c&d=",
        "a=1&b=x%20y&c&d&",
    ] {
        let wire = Wire {
            query: same.to_owned(),
            ..signed.clone()
        };
        assert!(wire.authenticate().is_ok(), "{same}");
    }
    for other in [
        "a=1&b=x%2By&c=&d",
        "a=1&b=xy&c=&d",
        "a=1&b=x%20y&c=",
        "a=1&a=1&b=x%20y&c=&d",
    ] {
        let wire = Wire {
            query: other.to_owned(),
            ..signed.clone()
        };
        let refused = wire.authenticate().err();
        assert_eq!(
            refused,
            Some(AuthenticationError::SignatureDoesNotMatch),
            "{other}"
        );
    }
}

#[test]
fn header_white_space_folds_and_order_does_not_matter() {
    let mut wire = Wire::lookup_events()
        .add("x-amz-note", "a  b \t c")
        .signed();
    wire.headers.reverse();
    let wire = wire.set("x-amz-note", "  a b   c ");
    assert!(wire.authenticate().is_ok());
    assert!(wire.set("x-amz-note", "a bc").authenticate().is_err());
}

#[test]
fn texts_beyond_ascii_are_signed_as_their_bytes() {
    let wire = Wire::lookup_events().add("x-amz-note", "naïve ☃").signed();
    assert!(wire.authenticate().is_ok());
    assert!(wire.set("x-amz-note", "naive ☃").authenticate().is_err());
}

#[test]
fn paths_are_normalised_but_never_in_s3() {
    let path = |path: &str| Wire {
        path: path.to_owned(),
        ..Wire::lookup_events()
    };
    let signed = path("/a/./b//c/../").signed();
    assert!(
        Wire {
            path: "/a/b/".to_owned(),
            ..signed.clone()
        }
        .authenticate()
        .is_ok()
    );
    for other in ["/a/b", "/a/b/c/", "/a%2Fb/", "/a/%62/"] {
        assert!(
            Wire {
                path: other.to_owned(),
                ..signed.clone()
            }
            .authenticate()
            .is_err()
        );
    }
    let object = Wire::get_object("/bucket//a/../b c+d%2B").signed();
    assert!(object.authenticate().is_ok());
    let same = Wire {
        path: "/bucket//a/../b%20c%2bd+".to_owned(),
        ..object.clone()
    };
    assert!(same.authenticate().is_ok());
    let other = Wire {
        path: "/bucket/b c+d%2B".to_owned(),
        ..object
    };
    assert!(other.authenticate().is_err());
}

#[test]
fn s3_takes_unsigned_bodies_and_bodies_that_are_hashed_later() {
    let unsigned = Wire::get_object("/b/k");
    let put = Wire {
        method: "PUT".into(),
        body: b"abc".to_vec(),
        ..unsigned
    };
    let signed = put.clone().signed();
    let parsed = signed.parse().expect("well formed");
    assert_eq!(parsed.verify(&secret(), None), Ok(()));
    let hash = cairn_access::sigv4::sha256_hex(b"abc");
    assert_eq!(parsed.payload(), &DeclaredPayload::Sha256(hash));

    let other = cairn_access::sigv4::sha256_hex(b"abd");
    let refused = parsed.verify(&secret(), Some(&other));
    assert_eq!(refused, Err(AuthenticationError::PayloadMismatch));
}

#[test]
fn streaming_bodies_pass_only_where_the_caller_checks_chunks() {
    let form = ChunkedForm::Signed;
    let wire = Wire::get_object("/b/k").signed_streaming(form.as_str());
    let signed = wire.parse().expect("well formed");
    assert_eq!(signed.payload(), &DeclaredPayload::Streaming(form));
    assert_eq!(signed.verify(&secret(), None), Ok(()));

    let mut elsewhere = wire;
    elsewhere.rules.streaming_payload_allowed = false;
    let refused = elsewhere.parse().map(|_| ());
    let declared = "STREAMING".to_owned();
    assert_eq!(
        refused,
        Err(AuthenticationError::PayloadNotAllowed { declared })
    );
}
