//! What an event must hold, and what is appended when members are missing.

use bytes::Bytes;
use cairn_model::{
    CanonicalEvent, Completion, EVENT_BYTES_MAX, EventClass, EventVersion, RecordError,
    canonicalize,
};

pub(crate) const ACCOUNT: &str = "123456789012";

/// An event that is complete, as `(name, JSON text)` in the order of real records.
pub(crate) fn complete() -> Vec<(&'static str, &'static str)> {
    vec![
        ("eventVersion", "\"1.08\""),
        (
            "userIdentity",
            r#"{"type":"IAMUser","arn":"arn:aws:iam::1:user/al","userName":"al"}"#,
        ),
        ("eventTime", "\"2023-07-10T11:45:00Z\""),
        ("eventSource", "\"s3.amazonaws.com\""),
        ("eventName", "\"CreateBucket\""),
        ("awsRegion", "\"us-east-1\""),
        ("sourceIPAddress", "\"198.51.100.7\""),
        ("userAgent", "\"aws-cli\""),
        ("requestParameters", r#"{"bucketName":"b"}"#),
        ("responseElements", "null"),
        ("requestID", "\"r\""),
        ("eventID", "\"e\""),
        ("readOnly", "false"),
        ("eventType", "\"AwsApiCall\""),
        ("managementEvent", "true"),
        ("recipientAccountId", "\"000000000001\""),
        ("eventCategory", "\"Management\""),
    ]
}

pub(crate) fn json(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

pub(crate) fn try_canonicalize(text: &str) -> Result<CanonicalEvent, RecordError> {
    let mut new_event_id = || "made-up-id".to_owned();
    let account = ACCOUNT.parse().expect("an account");
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    canonicalize(&Bytes::copy_from_slice(text.as_bytes()), &mut completion)
}

pub(crate) fn canonical(text: &str) -> CanonicalEvent {
    try_canonicalize(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The complete event with one member replaced, or removed if there is no value.
pub(crate) fn with(name: &'static str, value: Option<&'static str>) -> String {
    let mut members = complete();
    match (members.iter().position(|(known, _)| *known == name), value) {
        (Some(place), Some(value)) => members[place].1 = value,
        (Some(place), None) => drop(members.remove(place)),
        (None, Some(value)) => members.push((name, value)),
        (None, None) => {}
    }
    json(&members)
}

pub(crate) fn refused(text: &str) -> (&'static str, String) {
    let error = try_canonicalize(text).expect_err(text);
    assert!(!error.is_retryable());
    (error.code(), error.to_string())
}

/// What is appended to the complete event of this version without the members that Cairn completes.
fn appended(
    version: &'static str,
    event_type: Option<&'static str>,
    source: &'static str,
) -> String {
    let mut members = complete();
    members.retain(|(name, _)| {
        !matches!(
            *name,
            "eventID" | "recipientAccountId" | "eventCategory" | "managementEvent"
        ) && (*name != "eventType" || event_type.is_some())
    });
    for (name, value) in &mut members {
        match (*name, event_type) {
            ("eventVersion", _) => *value = version,
            ("eventSource", _) => *value = source,
            ("eventType", Some(event_type)) => *value = event_type,
            _ => {}
        }
    }
    let text = json(&members);
    let result = String::from_utf8(canonical(&text).json.to_vec()).expect("text");
    let kept = text.strip_suffix('}').expect("an object");
    result
        .strip_prefix(kept)
        .expect("nothing else changes")
        .to_owned()
}

// Proves: REC-001, REC-034, REC-045
#[test]
fn a_complete_event_is_kept_and_its_header_filled() {
    let text = with("sessionCredentialFromConsole", Some("\"true\""));
    let event = canonical(&text);
    assert_eq!(event.json, text.as_bytes());
    let header = event.header;
    assert_eq!(header.class, EventClass::Management);
    assert_eq!(header.account.as_str(), "000000000001");
    assert_eq!(header.region.as_str(), "us-east-1");
    assert_eq!(header.event_time.to_string(), "2023-07-10T11:45:00Z");
    assert_eq!(
        (&*header.event_id, &*header.event_name),
        ("e", "CreateBucket")
    );
    assert_eq!(
        (&*header.event_source, &*header.event_type),
        ("s3.amazonaws.com", "AwsApiCall")
    );
    assert_eq!(header.read_only, Some(false));
    assert_eq!(
        header.user_identity_arn.as_deref(),
        Some("arn:aws:iam::1:user/al")
    );
    assert_eq!(header.user_name.as_deref(), Some("al"));
    assert!(header.session_credential_from_console);
    assert_eq!(header.resources.len(), 1);
    assert!(
        !canonical(&with("sessionCredentialFromConsole", Some("\"false\"")))
            .header
            .session_credential_from_console
    );
}

// Proves: REC-007, REC-022
#[test]
fn unknown_members_odd_numbers_and_layout_survive_verbatim() {
    let text = json(&complete());
    let odd = text.replace(
        "{\"bucketName\":\"b\"}",
        "{\"n\": 1e400,\t\"m\":\"\\u0041\\/\", \"big\": 12345678901234567890123}",
    );
    let odd = odd.replace(
        "\"readOnly\":false",
        "\"future\" : [ {} ],\n  \"readOnly\":false",
    );
    assert_eq!(canonical(&odd).json, odd.as_bytes());
    let around = format!(" \r\n{odd}\n\t");
    assert_eq!(
        canonical(&around).json,
        odd.as_bytes(),
        "white space around is not the event"
    );
}

// Proves: REC-028, REC-032, REC-041
#[test]
fn missing_members_are_appended_in_order_by_the_rules_of_the_events_version() {
    let s3 = "\"s3.amazonaws.com\"";
    let all = r#","eventID":"made-up-id","recipientAccountId":"123456789012","eventCategory":"Management","managementEvent":true}"#;
    for version in ["\"1.07\"", "\"1.08\"", "\"1.11\"", "\"1.99\""] {
        assert_eq!(
            appended(version, Some("\"AwsApiCall\""), s3),
            all,
            "{version}"
        );
    }
    let six =
        r#","eventID":"made-up-id","recipientAccountId":"123456789012","managementEvent":true}"#;
    assert_eq!(appended("\"1.06\"", Some("\"AwsConsoleSignIn\""), s3), six);
    let old = r#","eventID":"made-up-id","recipientAccountId":"123456789012"}"#;
    assert_eq!(appended("\"1.05\"", Some("\"AwsApiCall\""), s3), old);
    assert_eq!(appended("\"1.0\"", None, s3), old);
    let network = r#","eventID":"made-up-id","recipientAccountId":"123456789012","eventCategory":"NetworkActivity"}"#;
    assert_eq!(appended("\"1.09\"", Some("\"AwsVpceEvent\""), s3), network);
    let untyped = r#","eventID":"made-up-id","recipientAccountId":"123456789012","eventCategory":"Management"}"#;
    assert_eq!(appended("\"1.09\"", None, s3), untyped);
}

#[test]
fn what_was_appended_is_in_the_header_too_and_only_what_is_missing_is_made() {
    let event = canonical(&with("eventID", None));
    assert_eq!(event.header.event_id, "made-up-id");
    assert!(
        event
            .json
            .ends_with(br#""eventCategory":"Management","eventID":"made-up-id"}"#)
    );
    let event = canonical(&with("recipientAccountId", None));
    assert_eq!(event.header.account.as_str(), ACCOUNT);
    assert!(
        event
            .json
            .ends_with(br#""recipientAccountId":"123456789012"}"#)
    );
    let event = canonical(&with("managementEvent", None));
    assert!(event.json.ends_with(br#","managementEvent":true}"#));
    let again = canonical(std::str::from_utf8(&event.json).expect("text"));
    assert_eq!(again, event, "a completed event is complete");
}

#[test]
fn pretty_printed_events_are_completed_after_their_last_value() {
    let text = with("eventID", None)
        .replace(',', ",\n  ")
        .replace('}', "\n}");
    let event = canonical(&text);
    let expected =
        text.strip_suffix("\n}").expect("pretty").to_owned() + ",\"eventID\":\"made-up-id\"\n}";
    assert_eq!(event.json, expected.as_bytes());
}

// Proves: REC-009, REC-010, REC-011, REC-012, REC-013
#[test]
fn required_members_are_named_when_they_are_missing() {
    for member in [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
    ] {
        let expected = (
            "InvalidEventMissingMember",
            format!("the member {member} is missing"),
        );
        assert_eq!(refused(&with(member, None)), expected);
        let (code, text) = refused(&with(member, Some("null")));
        assert_eq!(code, "InvalidEventMemberType", "{member}");
        assert!(text.contains(member), "{text}");
    }
    for member in [
        "eventSource",
        "eventName",
        "eventID",
        "eventType",
        "eventTime",
    ] {
        assert_eq!(
            refused(&with(member, Some("\"\""))).0,
            "InvalidEventMemberValue",
            "{member}"
        );
    }
    for optional in [
        "sourceIPAddress",
        "userAgent",
        "requestParameters",
        "responseElements",
        "requestID",
        "readOnly",
        "eventType",
    ] {
        canonical(&with(optional, None));
    }
}

// Proves: REC-032, REC-033, REC-034, REC-045
#[test]
fn wrong_types_are_refused_and_null_is_absent_where_that_is_harmless() {
    for (member, value) in [
        ("eventTime", "1688989500"),
        ("eventID", "7"),
        ("eventID", "null"),
        ("recipientAccountId", "123456789012"),
        ("recipientAccountId", "null"),
        ("eventCategory", "null"),
        ("managementEvent", "\"true\""),
        ("managementEvent", "null"),
        ("readOnly", "\"true\""),
        ("userAgent", "{}"),
        ("errorCode", "404"),
        ("errorMessage", "[]"),
        ("sessionCredentialFromConsole", "true"),
        ("sharedEventID", "1"),
        ("vpcEndpointId", "{}"),
        ("resources", "{}"),
        ("resources", "[\"arn\"]"),
        ("resources", "[{\"ARN\":5}]"),
        ("userIdentity", "\"root\""),
        ("userIdentity", "{\"type\":1}"),
        ("userIdentity", "{\"accountId\":123456789012}"),
    ] {
        let (code, text) = refused(&with(member, Some(value)));
        assert_eq!(code, "InvalidEventMemberType", "{member} {value}");
        assert!(text.contains(member), "{text}");
    }
    for member in [
        "readOnly",
        "errorCode",
        "resources",
        "userAgent",
        "apiVersion",
    ] {
        canonical(&with(member, Some("null")));
    }
    for value in ["\"text\"", "[1]", "5", "null"] {
        canonical(&with("additionalEventData", Some(value)));
        canonical(&with("requestParameters", Some(value)));
    }
}

// Proves: REC-004, REC-005, REC-006, REC-007
#[test]
fn the_major_version_must_be_one_and_the_minor_may_be_any() {
    for version in ["\"1.0\"", "\"1.02\"", "\"1.11\"", "\"1.9999\""] {
        canonical(&with("eventVersion", Some(version)));
    }
    for version in [
        "\"2.0\"",
        "\"0.9\"",
        "\"1\"",
        "\"1.\"",
        "\".1\"",
        "\"1.1.1\"",
        "\"1.x\"",
        "\"-1.0\"",
        "\"1.+1\"",
        "\"1.99999\"",
        "\"\"",
        "\"01.0 \"",
    ] {
        assert_eq!(
            refused(&with("eventVersion", Some(version))).0,
            "InvalidEventMemberValue",
            "{version}"
        );
    }
    let version = |text: &str| text.parse::<EventVersion>().expect("a version");
    assert!(version("1.10") > version("1.9"));
    assert_eq!(version("1.08"), version("1.8"));
}

// Proves: REC-008, REC-205
#[test]
fn values_that_cannot_be_are_refused() {
    for (member, value) in [
        ("eventTime", "\"2023-07-10\""),
        ("eventTime", "\"yesterday\""),
        ("eventTime", "\"1969-12-31T23:59:59Z\""),
        ("awsRegion", "\"US East\""),
        ("recipientAccountId", "\"12345678901\""),
        ("recipientAccountId", "\"anonymous\""),
        ("eventCategory", "\"Other\""),
    ] {
        let (code, text) = refused(&with(member, Some(value)));
        assert_eq!(code, "InvalidEventMemberValue", "{member} {value}");
        assert!(text.contains(member), "{text}");
    }
    let offset = canonical(&with("eventTime", Some("\"2023-07-10T13:45:00.5+02:00\"")));
    assert_eq!(offset.header.event_time.as_micros(), 1_688_989_500_500_000);
}

// Proves: H3
#[test]
fn names_and_events_have_limits() {
    let long = |bytes: usize| -> &'static str { format!("\"{}\"", "x".repeat(bytes)).leak() };
    for (member, limit) in [
        ("eventName", 256),
        ("eventSource", 256),
        ("eventType", 256),
        ("eventID", 128),
    ] {
        canonical(&with(member, Some(long(limit))));
        let expected = format!("the member {member} is longer than {limit} bytes");
        assert_eq!(
            refused(&with(member, Some(long(limit + 1)))),
            ("InvalidEventMemberTooLong", expected)
        );
    }
    let rest = with("userAgent", Some("\"\"")).len();
    canonical(&with("userAgent", Some(long(EVENT_BYTES_MAX - rest))));
    let (code, text) = refused(&with("userAgent", Some(long(EVENT_BYTES_MAX - rest + 1))));
    assert_eq!(code, "InvalidEventTooLarge");
    assert_eq!(text, "the event has 1048577 bytes; the limit is 1048576");
    let mut incomplete = with("eventID", None);
    incomplete.insert_str(
        incomplete.len() - 1,
        &format!(",\"x\":{}", long(EVENT_BYTES_MAX - incomplete.len() - 7)),
    );
    assert_eq!(incomplete.len(), EVENT_BYTES_MAX);
    assert_eq!(
        refused(&incomplete).0,
        "InvalidEventTooLarge",
        "no room for what is missing"
    );
}

// Proves: H3, H8
#[test]
fn what_identifies_someone_is_short_and_a_long_error_code_costs_the_header_little() {
    let long = |bytes: usize| format!("\"{}\"", "é".repeat(bytes / 2));
    let identity = |member: &str, bytes| -> String {
        let identity = format!("{{\"type\":\"IAMUser\",\"{member}\":{}}}", long(bytes));
        with("userIdentity", Some(identity.leak()))
    };
    for member in ["arn", "principalId", "accessKeyId", "userName"] {
        canonical(&identity(member, 2048));
        let expected = format!("the member userIdentity.{member} is longer than 2048 bytes");
        let found = refused(&identity(member, 2050));
        assert_eq!(found, ("InvalidEventMemberTooLong", expected));
    }
    let mut endpoint = complete();
    endpoint.push(("vpcEndpointId", long(2050).leak()));
    assert_eq!(refused(&json(&endpoint)).0, "InvalidEventMemberTooLong");
    let mut failed = complete();
    failed.push(("errorCode", long(500_001).leak()));
    let event = canonical(&json(&failed));
    assert_eq!(event.json, json(&failed));
    let code = event.header.error_code.expect("the record has one");
    assert_eq!(code, "é".repeat(512));
}

// Proves: H3
#[test]
fn what_is_no_json_object_is_refused() {
    assert_eq!(refused("[]").0, "InvalidEventNotAnObject");
    assert_eq!(refused("\"event\"").0, "InvalidEventNotAnObject");
    let (code, text) = refused("{\"a\":1,\"a\":2}");
    assert_eq!(code, "InvalidEventJson");
    assert_eq!(
        text,
        "the event is not acceptable JSON: an object has two members of the same name at byte 7"
    );
    let doubled = json(&complete()).replacen(
        "\"eventName\"",
        "\"event\\u004eame\":\"X\",\"eventName\"",
        1,
    );
    assert_eq!(
        refused(&doubled).0,
        "InvalidEventJson",
        "a twin in disguise"
    );
}
