//! Bodies and query strings that clients send, and what is refused of them.

use cairn_api::cloudtrail::inputs::LookupEventsRequest;
use cairn_api::operations::route_rest;
use cairn_api::request::{add_query_members, is_aws_json, read_body, typed};
use cairn_api::{ErrorCode, Operation, route, validate};
use serde_json::{Value, json};

fn lookup_events() -> &'static Operation {
    route("CloudTrail_20131101.LookupEvents").expect("routes")
}

fn put_audit_events() -> &'static Operation {
    route_rest("POST", "/PutAuditEvents").expect("routes")
}

#[test]
fn a_request_becomes_its_type() {
    let body = br#"{"StartTime":1795226127.981,"MaxResults":7,"Unknown":1,"NextToken":null,
        "LookupAttributes":[{"AttributeKey":"Username","AttributeValue":"root"}]}"#;
    let request = read_body(lookup_events(), body).expect("JSON");
    validate(lookup_events(), &request).expect("valid");
    let request: LookupEventsRequest = typed(request).expect("its type");
    assert_eq!(request.max_results, Some(7));
    assert_eq!(request.next_token, None);
    let start = request.start_time.expect("a time");
    assert_eq!(start.as_micros(), 1_795_226_127_981_000);
    let attributes = request.lookup_attributes.expect("attributes");
    assert_eq!(attributes[0].attribute_key.as_str(), "Username");
}

#[test]
fn an_empty_body_is_an_empty_request() {
    for body in ["", " \r\n", "{}"] {
        assert_eq!(read_body(lookup_events(), body.as_bytes()), Ok(json!({})));
    }
}

#[test]
fn what_is_no_json_object_cannot_be_read() {
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    for body in [
        "{",
        "null",
        "[]",
        "\"text\"",
        "{\"a\":1}{}",
        "{'a':1}",
        "\u{feff}{}",
        &deep,
        &nested,
    ] {
        let error = read_body(lookup_events(), body.as_bytes()).expect_err("refused");
        assert_eq!(error.code, ErrorCode::SerializationException);
        assert!(error.message.len() < 200);
    }
    let error = read_body(lookup_events(), b"{\"a\":\"\xff\"}").expect_err("refused");
    assert_eq!(error.code, ErrorCode::SerializationException);
}

#[test]
fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    for operation in [lookup_events(), put_audit_events()] {
        let mut body = b"{}".to_vec();
        body.resize(operation.request_bytes_max, b' ');
        assert_eq!(read_body(operation, &body), Ok(json!({})));
        body.push(b' ');
        let error = read_body(operation, &body).expect_err("refused");
        assert_eq!(error.code, ErrorCode::RequestEntityTooLargeException);
    }
}

#[test]
fn content_types_of_aws_json_are_known() {
    for known in [
        "application/x-amz-json-1.1",
        "application/x-amz-json-1.0",
        "Application/X-Amz-Json-1.1; charset=utf-8",
    ] {
        assert!(is_aws_json(known), "{known}");
    }
    for other in [
        "",
        "application/json",
        "text/plain",
        "application/x-amz-json-1.1x",
    ] {
        assert!(!is_aws_json(other), "{other}");
    }
}

fn parameters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_query_string_names_channel_and_external_id() {
    let arn = "arn:aws:cloudtrail:us-east-1:123456789012:channel/c";
    let mut request = json!({"auditEvents": [{"id": "a", "eventData": "{}"}]});
    let query = parameters(&[("channelArn", arn), ("externalId", "ext"), ("other", "x")]);
    add_query_members(put_audit_events(), &query, &mut request).expect("added");
    assert_eq!(request["channelArn"], arn);
    assert_eq!(request["externalId"], "ext");
    assert_eq!(request.get("other"), None);
    validate(put_audit_events(), &request).expect("valid");
}

#[test]
fn what_is_authorized_is_what_is_used() {
    // The body cannot stand in for the query string, nor a second parameter for the first.
    let events = json!([{"id": "a", "eventData": "{}"}]);
    let mut request = json!({"auditEvents": events, "channelArn": "arn:smuggled"});
    add_query_members(put_audit_events(), &[], &mut request).expect("nothing to add");
    let error = validate(put_audit_events(), &request).expect_err("no channel");
    assert!(
        error.message.contains("Value null at 'channelArn'"),
        "{error}"
    );
    let query = parameters(&[("channelArn", "arn:a"), ("channelArn", "arn:b")]);
    let mut request: Value = json!({"auditEvents": events});
    let error =
        add_query_members(put_audit_events(), &query, &mut request).expect_err("given twice");
    assert_eq!(error.code, ErrorCode::ValidationException);
}
