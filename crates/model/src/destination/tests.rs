//! What the limits of destinations do to an event, member by member and as a whole.

use std::fmt::Write;

use bytes::Bytes;

use super::{DestinationLimit, KB, fit, without_context};

const KB256: DestinationLimit = DestinationLimit::Kb256;
const MB1: DestinationLimit = DestinationLimit::Mb1;

/// An event of version 1.11 with these members (name, JSON text) and as much padding as asked for.
fn event(members: &[(&str, &str)], padding: usize) -> Bytes {
    let mut json = String::from("{ \"eventVersion\" : \"1.11\",\n");
    for (name, value) in members {
        write!(json, "\"{name}\": {value} , ").expect("writing to a string");
    }
    write!(json, "\"padding\":\"{}\"}}", "p".repeat(padding)).expect("writing to a string");
    json.into()
}

fn quoted(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes))
}

/// An object whose JSON has exactly this many bytes.
fn object(bytes: usize) -> String {
    format!("{{\"k\":{}}}", quoted(bytes - 8))
}

fn fitted(json: &Bytes, limit: DestinationLimit) -> serde_json::Value {
    let fitted = fit(json, limit).expect("it fits");
    assert!(fitted.len() <= limit.bytes());
    serde_json::from_slice(&fitted).expect("what was shortened is JSON")
}

// Proves: REC-027, REC-050, REC-055, REC-061, H3
#[test]
fn short_texts_are_cut_to_one_kilobyte_each() {
    for member in ["userAgent", "errorCode", "errorMessage", "requestID"] {
        let at_limit = event(&[(member, &quoted(KB))], 10);
        assert_eq!(
            fit(&at_limit, KB256).as_ref(),
            Ok(&at_limit),
            "{member} at its limit"
        );
        let over = event(&[(member, &quoted(KB + 1))], 10);
        let cut = fitted(&over, KB256)[member]
            .as_str()
            .expect("a text")
            .to_owned();
        assert_eq!(cut, "x".repeat(KB - 3) + "...", "{member}");
        assert_eq!(
            fit(&over, MB1).as_ref(),
            Ok(&over),
            "{member} in a large store"
        );
    }
    let details = event(&[("edgeDeviceDetails", &quoted(28 * KB + 1))], 10);
    let cut = fitted(&details, KB256)["edgeDeviceDetails"]
        .as_str()
        .expect("a text")
        .len();
    assert_eq!(cut, 28 * KB);
}

// Proves: REC-056, REC-023, REC-024, REC-026, REC-036, H3
#[test]
fn structured_members_are_omitted_as_a_whole() {
    for (member, limit) in [
        ("requestParameters", 100 * KB),
        ("responseElements", 100 * KB),
        ("serviceEventDetails", 100 * KB),
        ("additionalEventData", 28 * KB),
    ] {
        let at_limit = event(&[(member, &object(limit))], 10);
        assert_eq!(
            fit(&at_limit, KB256).as_ref(),
            Ok(&at_limit),
            "{member} at its limit"
        );
        let over = event(&[(member, &object(limit + 1))], 10);
        let left = &fitted(&over, KB256)[member];
        assert_eq!(left["omitted"], true, "{member}");
        assert_eq!(left["originalSize"], limit + 1, "{member}");
        assert_eq!(
            fit(&over, MB1).as_ref(),
            Ok(&over),
            "{member} in a large store"
        );
    }
}

// Proves: REC-061
#[test]
fn nothing_else_changes() {
    let long = quoted(2 * KB);
    let json = event(&[("userAgent", &long), ("unknown", "1e400")], 10);
    let text = String::from_utf8(json.to_vec()).expect("text");
    let expected = text.replace(&long, &format!("\"{}...\"", "x".repeat(KB - 3)));
    assert_eq!(fit(&json, KB256).expect("it fits"), expected.as_bytes());
    let short = event(&[("userAgent", "\"a\"")], 5 * KB);
    let fitted = fit(&short, KB256).expect("it fits");
    assert_eq!(
        fitted.as_ptr(),
        short.as_ptr(),
        "an event that fits is not copied"
    );
}

#[test]
fn a_cut_splits_no_character_and_no_escape() {
    for unit in [
        "é",
        "€",
        "😀",
        "\\n",
        "\\u20ac",
        "\\ud83d\\ude00",
        "\\\\",
        "\\\"",
    ] {
        for shift in 0..5 {
            let value = format!("\"{}{}\"", "x".repeat(shift), unit.repeat(1100));
            let json = event(&[("errorMessage", &value)], 10);
            let cut = fitted(&json, KB256)["errorMessage"]
                .as_str()
                .expect("a text")
                .to_owned();
            assert!(cut.ends_with("..."), "{unit}");
            assert!(
                cut.len() <= KB && cut.len() > KB - 8,
                "{unit}: {}",
                cut.len()
            );
        }
    }
    let escaped = format!("\"{}\"", "\\u0041".repeat(KB));
    let json = event(&[("errorMessage", &escaped)], 10);
    assert_eq!(
        fit(&json, KB256).as_ref(),
        Ok(&json),
        "escapes count as what they stand for"
    );
}

// Proves: REC-054
#[test]
fn an_event_that_is_still_too_large_loses_structured_members_in_order() {
    let members = [
        ("requestParameters", object(90 * KB)),
        ("responseElements", object(90 * KB)),
        ("serviceEventDetails", object(90 * KB)),
        ("additionalEventData", object(20 * KB)),
    ];
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let left = fitted(&event(&members, 10), KB256);
    assert_eq!(left["additionalEventData"]["omitted"], true);
    assert_eq!(left["serviceEventDetails"]["omitted"], true);
    assert!(
        left["responseElements"]["k"].is_string(),
        "enough was saved before it"
    );
    assert!(left["requestParameters"]["k"].is_string());
}

// Proves: REC-057, REC-059
#[test]
fn a_large_store_shortens_only_over_one_megabyte_and_in_order() {
    let (parameters, elements) = (object(150 * KB), object(150 * KB));
    let (agent, context) = (quoted(2 * KB), object(5 * KB));
    let members: [(&str, &str); 5] = [
        ("requestParameters", &parameters),
        ("responseElements", &elements),
        ("userAgent", &agent),
        ("eventContext", &context),
        ("additionalEventData", "{\"small\":1}"),
    ];
    let fits = event(&members, 1024 * KB - event(&members, 0).len());
    assert_eq!(fits.len(), 1024 * KB);
    assert_eq!(fit(&fits, MB1).as_ref(), Ok(&fits));
    let over = event(&members, 1024 * KB - event(&members, 0).len() + 1);
    let left = fitted(&over, MB1);
    assert_eq!(
        left["userAgent"].as_str().map(str::len),
        Some(KB),
        "the first in order is enough"
    );
    assert!(left["eventContext"]["k"].is_string());
    let far_over = event(&members, 1024 * KB - 200 * KB);
    let left = fitted(&far_over, MB1);
    assert_eq!(left["eventContext"]["omitted"], true);
    assert_eq!(
        left["responseElements"]["omitted"], true,
        "before requestParameters"
    );
    assert!(left["requestParameters"]["k"].is_string());
    assert_eq!(
        left["additionalEventData"]["small"], 1,
        "below its own limit, so never touched"
    );
}

// Proves: REC-060
#[test]
fn what_cannot_be_shortened_enough_is_an_error_that_keeps_the_evidence() {
    let agent = quoted(2 * KB);
    let json = event(&[("userAgent", &agent)], 1024 * KB);
    let error = fit(&json, MB1).expect_err("the padding alone is over the limit");
    assert_eq!(error.limit, 1024 * KB);
    let left: serde_json::Value = serde_json::from_slice(&error.shortened).expect("JSON");
    assert_eq!(left["userAgent"].as_str().map(str::len), Some(KB));
    assert_eq!(left["padding"].as_str().map(str::len), Some(1024 * KB));
    assert_eq!(fit(&json, KB256).expect_err("nor here").limit, 256 * KB);
}

// Proves: REC-054
#[test]
fn versions_before_the_limits_are_left_alone() {
    let old = |version: &str| -> Bytes {
        format!(
            "{{\"eventVersion\":\"{version}\",\"userAgent\":{}}}",
            quoted(300 * KB)
        )
        .into()
    };
    for version in ["1.0", "1.02", "1.04"] {
        assert_eq!(fit(&old(version), KB256), Ok(old(version)), "{version}");
    }
    for version in ["1.05", "1.5", "1.11"] {
        assert!(
            fit(&old(version), KB256).expect("cut").len() < 2 * KB,
            "{version}"
        );
    }
}

#[test]
fn names_written_with_escapes_are_known() {
    let json = event(&[("user\\u0041gent", &quoted(2 * KB))], 10);
    assert_eq!(
        fitted(&json, KB256)["userAgent"].as_str().map(str::len),
        Some(KB)
    );
}

#[test]
fn what_is_not_an_event_is_left_alone() {
    for text in ["[]", "x", "", "{\"eventVersion\"", "{\"eventVersion\":"] {
        let padded: Bytes = format!("{text}{}", " ".repeat(2 * KB)).into();
        assert_eq!(fit(&padded, KB256).as_ref(), Ok(&padded), "{text}");
    }
}

// Proves: REC-048, SEL-215
#[test]
fn an_event_without_its_context_is_the_same_in_every_other_byte() {
    let context = r#"{"requestContext":{"aws:a":"\"}"},"tagContext":{}}"#;
    let check = |with: &str, without: &str| {
        let with = with.replace("CONTEXT", context);
        assert_eq!(without_context(&with).as_deref(), Some(without));
    };
    check(
        r#"{"a":1,"eventContext":CONTEXT,"b":2}"#,
        r#"{"a":1,"b":2}"#,
    );
    check(r#"{"a":1 , "eventContext" : CONTEXT }"#, r#"{"a":1 }"#);
    check(r#"{ "eventContext":CONTEXT, "b":[2]}"#, r#"{ "b":[2]}"#);
    check(r#"{"eventContext":CONTEXT}"#, "{}");
    check(
        r#"{"a":1,"event\u0043ontext":null,"b":2}"#,
        r#"{"a":1,"b":2}"#,
    );
    assert_eq!(
        without_context(r#"{"a":{"eventContext":1},"eventcontext":2}"#),
        None
    );
}
