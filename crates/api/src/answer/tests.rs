//! Bytes of answers.

use serde_json::Value;

use super::{failure, success};
use crate::cloudtrail::outputs::LookupEventsResponse;
use crate::error::{ApiError, ErrorCode, Protocol};

fn refused() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidMaxResultsException,
        "a \"quoted\" <message> & more",
    )
}

#[test]
fn aws_json_names_the_error_in_the_body() {
    let answer = failure(Protocol::AwsJson, &refused(), "id");
    assert_eq!(
        (answer.status, answer.content_type),
        (400, "application/x-amz-json-1.1")
    );
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["__type"], "InvalidMaxResultsException");
    assert_eq!(body["message"], "a \"quoted\" <message> & more");
    assert_eq!(answer.error_type, Some("InvalidMaxResultsException"));
}

#[test]
fn rest_json_names_the_error_in_a_header() {
    let error = ApiError::new(ErrorCode::InvalidChannelARN, "no channel");
    let answer = failure(Protocol::RestJson, &error, "id");
    assert_eq!(
        (answer.status, answer.content_type),
        (400, "application/json")
    );
    assert_eq!(answer.error_type, Some("InvalidChannelARN"));
    assert_eq!(answer.body, br#"{"message":"no channel"}"#);
}

#[test]
fn query_errors_are_well_formed_xml() {
    let error = ApiError::new(ErrorCode::AccessDeniedException, "<a> & \u{0}\u{1b}b");
    let answer = failure(Protocol::Query, &error, "r-1");
    assert_eq!((answer.status, answer.content_type), (403, "text/xml"));
    let expected = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                    <Message>&lt;a&gt; &amp; b</Message></Error>\
                    <RequestId>r-1</RequestId></ErrorResponse>";
    assert_eq!(String::from_utf8(answer.body).expect("UTF-8"), expected);
}

#[test]
fn members_that_are_not_known_are_left_out() {
    let answer = success(Protocol::AwsJson, &LookupEventsResponse::default()).expect("writes");
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"{}".as_slice())
    );
}
