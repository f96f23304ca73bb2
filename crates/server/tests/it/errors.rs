//! What refused requests hear, by code and protocol.

use cairn_testkit::{Credentials, TestApp, TestAppBuilder};
use serde_json::json;

const LOOKUP: &str = "CloudTrail_20131101.LookupEvents";
const JSON: &str = "application/x-amz-json-1.1";

struct Case {
    target: &'static str,
    content_type: &'static str,
    body: String,
    status: u16,
    code: &'static str,
}

fn lookup(body: &str, code: &'static str) -> Case {
    Case {
        target: LOOKUP,
        content_type: JSON,
        body: body.into(),
        status: 400,
        code,
    }
}

fn target(target: &'static str, code: &'static str) -> Case {
    Case {
        target,
        ..lookup("{}", code)
    }
}

#[tokio::test]
async fn broken_requests_get_the_errors_that_sdks_expect() {
    let app = TestAppBuilder::default()
        .with("http.api_body_bytes_max", "64KiB")
        .start()
        .await;
    let client = app.client();
    let long = format!("{{\"NextToken\":\"{}\"}}", "x".repeat(70_000));
    for case in [
        target("Nonsense.LookupEvents", "UnknownOperationException"),
        target("CloudTrail_20131101.Nonsense", "UnknownOperationException"),
        target(
            "CloudTrail_20131101.ListChannels",
            "UnsupportedOperationException",
        ),
        Case {
            content_type: "text/plain",
            ..lookup("{}", "SerializationException")
        },
        lookup("{", "SerializationException"),
        lookup("[]", "SerializationException"),
        lookup("{\"MaxResults\":\"1\"}", "SerializationException"),
        lookup("{\"MaxResults\":51}", "InvalidMaxResultsException"),
        lookup("{\"NextToken\":\"x\"}", "InvalidNextTokenException"),
        lookup(
            "{\"StartTime\":2,\"EndTime\":1}",
            "InvalidTimeRangeException",
        ),
        Case {
            status: 413,
            ..lookup(&long, "RequestEntityTooLargeException")
        },
    ] {
        let body = case.body.as_bytes();
        let answer = client
            .cloudtrail_raw(case.target, case.content_type, body)
            .await;
        let shown = format!("{} {:.60}", case.target, case.body);
        assert_eq!(answer.status, case.status, "{shown}: {}", answer.text());
        assert_eq!(answer.error(), case.code, "{shown}");
        assert_eq!(answer.json()["__type"], case.code, "{shown}");
        assert!(answer.json()["message"].is_string(), "{shown}");
        assert!(answer.header("x-amzn-requestid").is_some(), "{shown}");
    }
    app.stop().await;
}

// Proves: SEC-091
#[tokio::test]
async fn strangers_hear_no_more_than_that() {
    let app = TestApp::start().await;
    let admin = app.client();
    let mut wrong = admin.credentials.clone();
    wrong.secret.push('x');
    let unknown = Credentials::new("AKIAUNKNOWNUNKNOWN00", "secret");
    let mut forged = admin.credentials.clone();
    forged.token = Some("forged".into());
    for (credentials, code) in [
        (wrong, "InvalidSignatureException"),
        (unknown, "UnrecognizedClientException"),
        (forged, "UnrecognizedClientException"),
    ] {
        let client = app.client_of(credentials);
        let answer = client.cloudtrail("LookupEvents", &json!({})).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, code));
        let answer = client.put_events(b"{}").await;
        assert_eq!((answer.status, answer.error().as_str()), (403, code));
    }
    // Failures of authentication are no events: the log holds nothing but what the lookup adds.
    let own = app.lookup_until(("EventName", "LookupEvents"), 1).await;
    assert!(
        own.iter().all(|event| event.get("errorCode").is_none()),
        "{own:?}"
    );
    app.stop().await;
}

#[tokio::test]
async fn query_services_answer_errors_in_xml_with_their_own_names() {
    let app = TestApp::start().await;
    let mut credentials = app.client().credentials;
    credentials.secret.push('x');
    let answer = app
        .client_of(credentials)
        .query("iam", "Action=ListUsers")
        .await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("<Code>SignatureDoesNotMatch</Code>"),
        "{}",
        answer.text()
    );
    let answer = app.client().query("iam", "Action=Nonsense").await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("<Code>InvalidAction</Code>"),
        "{}",
        answer.text()
    );
    app.stop().await;
}

#[tokio::test]
async fn calls_for_a_region_that_is_not_enabled_are_refused() {
    let app = TestApp::start().await;
    let answer = app
        .client()
        .in_region("me-south-1")
        .cloudtrail("LookupEvents", &json!({}))
        .await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (400, "InvalidSignatureException")
    );
    assert_eq!(
        answer.json()["message"],
        "Credential should be scoped to a valid region."
    );
    app.stop().await;
}
