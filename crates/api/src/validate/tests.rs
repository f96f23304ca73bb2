//! Requests that break the model, and AWS's words for it.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::validate;
use crate::operations::{Operation, Service, find};

fn operation(name: &str) -> &'static Operation {
    find(Service::CloudTrail, name)
        .or_else(|| find(Service::CloudTrailData, name))
        .expect("an operation")
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "call sites write the request in place"
)]
fn check(name: &str, request: Value, expected: Expect) {
    match validate(operation(name), &request) {
        Ok(()) => expected.assert_eq("valid"),
        Err(error) => expected.assert_eq(&error.to_string()),
    }
}

// Proves: OVR-074, OVR-076, OVR-083
#[test]
fn what_clients_send_is_valid() {
    check("LookupEvents", json!({}), expect!["valid"]);
    check(
        "LookupEvents",
        json!({
            "LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": "a/b"}],
            "StartTime": 1_795_226_127.981, "EndTime": 1_795_226_128, "MaxResults": 50,
            "NextToken": "token",
        }),
        expect!["valid"],
    );
    // Unknown members and explicit nulls are ignored, as AWS ignores them.
    check(
        "LookupEvents",
        json!({"Unknown": [{}], "MaxResults": null}),
        expect!["valid"],
    );
    for key in [
        "EventId",
        "EventName",
        "ReadOnly",
        "Username",
        "ResourceType",
        "ResourceName",
        "EventSource",
        "AccessKeyId",
    ] {
        let attribute = json!({"AttributeKey": key, "AttributeValue": "v"});
        check(
            "LookupEvents",
            json!({"LookupAttributes": [attribute]}),
            expect!["valid"],
        );
    }
}

// Proves: OVR-084
#[test]
fn pages_have_one_to_fifty_events() {
    check("LookupEvents", json!({"MaxResults": 1}), expect!["valid"]);
    check(
        "LookupEvents",
        json!({"MaxResults": 51}),
        expect![
            "InvalidMaxResultsException: 1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"
        ],
    );
    check(
        "LookupEvents",
        json!({"MaxResults": 0}),
        expect![
            "InvalidMaxResultsException: 1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"
        ],
    );
}

// Proves: OVR-076
#[test]
fn lookup_keys_are_an_enum_and_case_sensitive() {
    check(
        "LookupEvents",
        json!({"LookupAttributes": [{"AttributeKey": "eventname", "AttributeValue": "x"}]}),
        expect![
            "InvalidLookupAttributesException: 1 validation error detected: Value 'eventname' at 'lookupAttributes.1.member.attributeKey' failed to satisfy constraint: Member must satisfy enum value set: [EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource, AccessKeyId]"
        ],
    );
    check(
        "LookupEvents",
        json!({"EventCategory": "Insight"}),
        expect![
            "InvalidEventCategoryException: 1 validation error detected: Value 'Insight' at 'eventCategory' failed to satisfy constraint: Member must satisfy enum value set: [insight]"
        ],
    );
}

// Proves: OVR-075
#[test]
fn one_lookup_attribute_at_most() {
    let attribute = json!({"AttributeKey": "EventName", "AttributeValue": "x"});
    check(
        "LookupEvents",
        json!({"LookupAttributes": [attribute, attribute]}),
        expect!["InvalidLookupAttributesException: You can specify only one lookup attribute."],
    );
    check(
        "LookupEvents",
        json!({"LookupAttributes": []}),
        expect!["valid"],
    );
}

// Proves: OVR-250
#[test]
fn insights_are_looked_up_by_three_keys() {
    let request = |key: &str| {
        let attribute = json!({"AttributeKey": key, "AttributeValue": "x"});
        json!({"EventCategory": "insight", "LookupAttributes": [attribute]})
    };
    for key in ["EventId", "EventName", "EventSource"] {
        check("LookupEvents", request(key), expect!["valid"]);
    }
    check(
        "LookupEvents",
        request("Username"),
        expect![
            "InvalidLookupAttributesException: The lookup attribute Username is not valid for Insights events."
        ],
    );
}

// Proves: OVR-077
#[test]
fn an_attribute_value_weighs_at_most_2000() {
    let request = |value: String| json!({"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": value}]});
    let valid = |value: String| {
        validate(operation("LookupEvents"), &request(value)).map_err(|error| error.code.name())
    };
    assert_eq!(valid("a".repeat(2000)), Ok(()));
    assert_eq!(
        valid("a".repeat(2001)),
        Err("InvalidLookupAttributesException")
    );
    for doubled in ["_", " ", ",", "\n"] {
        assert_eq!(valid(doubled.repeat(1000)), Ok(()), "{doubled:?}");
        let refused = valid(doubled.repeat(1001));
        assert_eq!(
            refused,
            Err("InvalidLookupAttributesException"),
            "{doubled:?}"
        );
    }
    // Characters, not bytes.
    assert_eq!(valid("ü".repeat(2000)), Ok(()));
}

// Proves: OVR-081
#[test]
fn a_range_that_ends_before_it_begins_is_refused() {
    let message = "The specified time range is not valid: the start time is after the end time.";
    for (name, extra, code) in [
        ("LookupEvents", json!({}), "InvalidTimeRangeException"),
        ("ListPublicKeys", json!({}), "InvalidTimeRangeException"),
        (
            "ListQueries",
            json!({"EventDataStore": "abc"}),
            "InvalidDateRangeException",
        ),
    ] {
        let mut request = extra;
        request["StartTime"] = json!(2);
        request["EndTime"] = json!(1.5);
        let error = validate(operation(name), &request).expect_err("refused");
        assert_eq!((error.code.name(), error.message.as_str()), (code, message));
        request["EndTime"] = json!(2);
        assert_eq!(
            validate(operation(name), &request),
            Ok(()),
            "{name}: both ends are inclusive"
        );
    }
}

#[test]
fn wrong_json_types_cannot_be_read() {
    for (request, words) in [
        (
            json!({"MaxResults": "5"}),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            json!({"MaxResults": true}),
            "TRUE_VALUE can not be converted to an Integer",
        ),
        (
            json!({"MaxResults": 1.5}),
            "DECIMAL_VALUE can not be converted to an Integer",
        ),
        (
            json!({"MaxResults": 1_u64 << 40}),
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            json!({"MaxResults": u64::MAX}),
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            json!({"MaxResults": [1]}),
            "Start of list found where not expected",
        ),
        (
            json!({"NextToken": 5}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            json!({"NextToken": {}}),
            "Start of structure or map found where not expected",
        ),
        (
            json!({"StartTime": "2023-11-01"}),
            "STRING_VALUE can not be converted to a Date",
        ),
        (
            json!({"StartTime": 1e300}),
            "NUMBER_VALUE can not be converted to a Date",
        ),
        (json!({"LookupAttributes": "x"}), "Expected list or null"),
        (json!({"LookupAttributes": ["x"]}), "Expected a structure"),
        (json!([]), "The request body is not a JSON object"),
        (json!(null), "The request body is not a JSON object"),
    ] {
        let error = validate(operation("LookupEvents"), &request).expect_err("refused");
        assert_eq!(error.code.name(), "SerializationException", "{request}");
        assert_eq!(error.message, words, "{request}");
    }
}

#[test]
fn a_wrong_type_goes_before_a_broken_constraint() {
    let error = validate(
        operation("LookupEvents"),
        &json!({"MaxResults": 99, "NextToken": 5}),
    )
    .expect_err("refused");
    assert_eq!(error.code.name(), "SerializationException");
}

#[test]
fn every_broken_constraint_is_named_and_counted() {
    check(
        "CreateEventDataStore",
        json!({"Name": "a!", "RetentionPeriod": 4000}),
        expect![
            "InvalidParameterException: 3 validation errors detected: Value 'a!' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 3; Value 'a!' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9._\\-]+$; Value '4000' at 'retentionPeriod' failed to satisfy constraint: Member must have value less than or equal to 3653"
        ],
    );
    check(
        "CreateTrail",
        json!({}),
        expect![
            "ValidationException: 2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; Value null at 's3BucketName' failed to satisfy constraint: Member must not be null"
        ],
    );
}

#[test]
fn lists_and_maps_say_what_their_elements_must_be() {
    check(
        "GenerateQuery",
        json!({"EventDataStores": ["a b"], "Prompt": "who?"}),
        expect![
            "EventDataStoreARNInvalidException: 1 validation error detected: Value '[a b]' at 'eventDataStores' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: ^[a-zA-Z0-9._/\\-:]+$, Member must not be null]"
        ],
    );
    check(
        "GenerateQuery",
        json!({"EventDataStores": [], "Prompt": "who?"}),
        expect![
            "EventDataStoreARNInvalidException: 1 validation error detected: Value '[]' at 'eventDataStores' failed to satisfy constraint: Member must have length greater than or equal to 1"
        ],
    );
    check(
        "StartDashboardRefresh",
        json!({"DashboardId": "d", "QueryParameterValues": {"a b": "v"}}),
        expect![
            "ValidationException: 1 validation error detected: Value '{a b=v}' at 'queryParameterValues' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: ^[a-zA-Z0-9._/\\-:$]+$, Member must not be null]"
        ],
    );
    check(
        "StartDashboardRefresh",
        json!({"DashboardId": "d", "QueryParameterValues": {"$StartTime$": ""}}),
        expect![
            "ValidationException: 1 validation error detected: Value '{$StartTime$=}' at 'queryParameterValues' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^[a-zA-Z0-9._/\\-:]+$, Member must not be null]"
        ],
    );
    check(
        "GenerateQuery",
        json!({"EventDataStores": [null], "Prompt": "who?"}),
        expect![
            "EventDataStoreARNInvalidException: 1 validation error detected: Value '[null]' at 'eventDataStores' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: ^[a-zA-Z0-9._/\\-:]+$, Member must not be null]"
        ],
    );
}

#[test]
fn patterns_match_the_whole_value() {
    let query = |id: &str| {
        validate(operation("CancelQuery"), &json!({"QueryId": id}))
            .map_err(|error| error.code.name())
    };
    let id = "11111111-2222-3333-4444-555555555555";
    assert_eq!(query(id), Ok(()));
    assert_eq!(
        query(&format!("{}\n", &id[..35])),
        Err("InvalidParameterException")
    );
    assert_eq!(
        query(&id.replace('1', "A")),
        Err("InvalidParameterException")
    );
    // `\d` is ASCII: Arabic digits are no account number.
    let account = json!({"MemberAccountId": "١٢٣٤٥٦٧٨٩٠١٢"});
    assert!(validate(operation("RegisterOrganizationDelegatedAdmin"), &account).is_err());
}

// Proves: TRL-274, TRL-277
#[test]
fn trail_names_keep_to_the_naming_rules() {
    check(
        "CreateTrail",
        json!({"Name": "my-_namespace", "S3BucketName": "bucket"}),
        expect![
            "InvalidTrailNameException: Trail name cannot contain two adjacent periods, hyphens or underscores."
        ],
    );
    check(
        "GetTrailStatus",
        json!({"Name": "ab"}),
        expect![
            "InvalidTrailNameException: Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters."
        ],
    );
    let arn = "arn:aws:cloudtrail:us-east-2:123456789012:trail/MyTrail";
    check("GetTrailStatus", json!({"Name": arn}), expect!["valid"]);
}

#[test]
fn sensitive_values_stand_in_no_message() {
    let secret = "correct horse battery staple";
    let request = json!({
        "channelArn": "arn:aws:cloudtrail:us-east-2:123456789012:channel/c",
        "auditEvents": [{"id": "!", "eventData": secret}],
    });
    let error = validate(operation("PutAuditEvents"), &request).expect_err("refused");
    assert!(error.message.contains("auditEvents.1.member.id"), "{error}");
    assert!(!error.message.contains(secret));
    let many: Vec<Value> = (0..101)
        .map(|_| json!({"id": "i", "eventData": secret}))
        .collect();
    let request = json!({"channelArn": "arn:aws:c", "auditEvents": many});
    let error = validate(operation("PutAuditEvents"), &request).expect_err("refused");
    assert!(
        !error.message.contains(secret),
        "a whole list hides what it holds"
    );
}

#[test]
fn messages_are_bounded() {
    let long = "!".repeat(100_000);
    let error = validate(operation("GetChannel"), &json!({"Channel": long})).expect_err("refused");
    assert!(error.message.len() < 4_000, "{}", error.message.len());
    let tags: Vec<Value> = (0..5_000)
        .map(|_| json!({"Key": long.get(..200)}))
        .collect();
    let request = json!({"ResourceId": "abc", "TagsList": tags});
    let error = validate(operation("AddTags"), &request).expect_err("refused");
    assert!(error.message.len() < 20_000, "{}", error.message.len());
}
