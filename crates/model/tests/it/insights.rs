//! Insights events, in the layout of trails and in that of event data stores.

use cairn_model::EventClass;

use crate::record::{canonical, refused};

const NESTED: &str = r#"{"eventVersion":"1.09","eventTime":"2023-07-17T18:12:00Z","awsRegion":"us-east-1","eventID":"i1",
    "eventType":"AwsCloudTrailInsight","recipientAccountId":"123456789012","sharedEventID":"s1",
    "insightDetails":{"state":"Start","eventSource":"ec2.amazonaws.com","eventName":"RunInstances",
        "insightType":"ApiErrorRateInsight","errorCode":"Client.Denied","insightContext":{"statistics":{}}},
    "eventCategory":"Insight"}"#;

const FLAT: &str = r#"{"eventVersion":"1.09","eventCategory":"Insight","eventType":"AwsCloudTrailInsight","eventID":"i2",
    "eventTime":"2023-07-17T18:12:00Z","awsRegion":"us-east-1","recipientAccountId":"123456789012","sharedEventID":"s1",
    "insightSource":"arn:aws:cloudtrail:us-east-1:123456789012:eventdatastore/e","insightState":"End",
    "insightEventSource":"ec2.amazonaws.com","insightEventName":"RunInstances","insightErrorCode":"Client.Denied",
    "insightType":"ApiErrorRateInsight","insightContext":{"baselineAverage":0.0000882145}}"#;

// Proves: REC-066, REC-068, REC-080, REC-081, OVR-239, SEC-032
#[test]
fn both_layouts_of_insights_events_are_about_the_call_that_was_unusual() {
    for text in [NESTED, FLAT] {
        let event = canonical(text);
        assert_eq!(event.json, text.as_bytes());
        let header = event.header;
        assert_eq!(header.class, EventClass::Insight);
        assert_eq!(
            (&*header.event_source, &*header.event_name),
            ("ec2.amazonaws.com", "RunInstances")
        );
        assert_eq!(header.error_code.as_deref(), Some("Client.Denied"));
        assert_eq!((header.read_only, header.user_name), (None, None));
    }
    let bare = NESTED.replace(",\n    \"eventCategory\":\"Insight\"", "");
    let event = canonical(&bare);
    assert!(
        event.json.ends_with(b",\"eventCategory\":\"Insight\"}"),
        "completed, without managementEvent"
    );
}

/// A layout, what is replaced in it by what, and the error.
const LACKING: [(&str, &str, &str, &str); 12] = [
    (
        NESTED,
        "\"state\":\"Start\",",
        "",
        "the member insightDetails.state is missing",
    ),
    (
        NESTED,
        "\"Start\"",
        "\"Middle\"",
        "the member insightDetails.state must be Start or End",
    ),
    (
        NESTED,
        "\"eventName\"",
        "\"name\"",
        "the member insightDetails.eventName is missing",
    ),
    (
        NESTED,
        "\"eventSource\"",
        "\"source\"",
        "the member insightDetails.eventSource is missing",
    ),
    (
        NESTED,
        "{\"statistics\":{}}",
        "[]",
        "the member insightDetails.insightContext must be an object",
    ),
    (
        NESTED,
        "\"insightDetails\"",
        "\"details\"",
        "the member insightDetails is missing",
    ),
    (
        NESTED,
        "\"awsRegion\"",
        "\"region\"",
        "the member awsRegion is missing",
    ),
    (
        FLAT,
        "\"insightState\"",
        "\"state\"",
        "the member insightState is missing",
    ),
    (
        FLAT,
        "\"insightEventSource\"",
        "\"source\"",
        "the member insightEventSource is missing",
    ),
    (
        FLAT,
        "\"insightType\"",
        "\"type\"",
        "the member insightType is missing",
    ),
    (
        FLAT,
        "\"insightContext\"",
        "\"context\"",
        "the member insightContext is missing",
    ),
    (
        FLAT,
        "\"Client.Denied\"",
        "7",
        "the member insightErrorCode must be a string",
    ),
];

// Proves: REC-068, REC-069, REC-081
#[test]
fn insights_events_lack_nothing_that_their_layout_requires() {
    for (text, replaced, by, expected) in LACKING {
        assert!(text.contains(replaced));
        assert_eq!(refused(&text.replacen(replaced, by, 1)).1, expected);
    }
}
