//! Example records of every kind (`tests/corpus/examples`): kept byte for byte, put into the right class, and
//! understood as far as lookups and selectors need it.

use std::path::Path;

use cairn_model::{CanonicalEvent, EventClass};
use serde_json::Value;

use crate::record::canonical;

/// An example and what the door made of it.
struct Read {
    name: String,
    expected: Value,
    event: Value,
    canonical: CanonicalEvent,
}

/// Reads every example of a file; each is complete, so nothing may change.
fn examples(file: &str) -> Vec<Read> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/examples");
    let text = std::fs::read_to_string(folder.join(file)).expect("it is part of the repository");
    let examples: Vec<Value> = serde_json::from_str(&text).expect("a list of examples");
    assert!(!examples.is_empty());
    let read = examples.into_iter().map(|mut expected| {
        let event = expected["event"].take();
        let name = expected["name"].as_str().expect("a name").to_owned();
        let text = event.to_string();
        let canonical = canonical(&text);
        assert_eq!(canonical.json, text.as_bytes(), "{name}");
        Read {
            name,
            expected,
            event,
            canonical,
        }
    });
    read.collect()
}

/// Class, account, Username, AccessKeyId and resources are those that the example names.
fn check(file: &str) -> Vec<Read> {
    let examples = examples(file);
    for Read {
        name,
        expected,
        event,
        canonical,
    } in &examples
    {
        let header = &canonical.header;
        let text = |member: &str| expected[member].as_str();
        assert_eq!(format!("{:?}", header.class), expected["class"], "{name}");
        assert_eq!(
            header.account.as_str(),
            event["recipientAccountId"],
            "{name}"
        );
        assert_eq!(header.user_name.as_deref(), text("userName"), "{name}");
        assert_eq!(
            header.access_key_id.as_deref(),
            text("accessKeyId"),
            "{name}"
        );
        for wanted in expected["resources"].as_array().into_iter().flatten() {
            let found = header.resources.iter().any(|resource| {
                resource.resource_type.as_deref() == wanted[0].as_str()
                    && resource.name == wanted[1].as_str().expect("a name")
            });
            assert!(found, "{name}: {wanted} is not in {:?}", header.resources);
        }
    }
    examples
}

// Proves: REC-088, REC-090, REC-101, REC-102, REC-104, REC-106, REC-107, REC-108
// Proves: REC-111, REC-113, REC-115, REC-117, SEC-382, SEC-383, SEC-385
#[test]
fn every_kind_of_identity() {
    let kinds: std::collections::BTreeSet<String> = check("identities.json")
        .iter()
        .map(|read| read.event["userIdentity"]["type"].to_string())
        .collect();
    assert_eq!(kinds.len(), 12, "one example at least of each: {kinds:?}");
}

// Proves: REC-128, REC-134, REC-136, REC-140, OVR-016, SEL-013
#[test]
fn sign_ins_and_their_neighbours() {
    let examples = check("sign_ins.json");
    let sign_ins = examples
        .iter()
        .filter(|read| read.canonical.header.event_type == "AwsConsoleSignIn");
    for read in sign_ins {
        assert_eq!(
            read.canonical.header.class,
            EventClass::Management,
            "{}",
            read.name
        );
        assert_eq!(read.canonical.header.error_code, None, "{}", read.name);
    }
}

// Proves: REC-035, REC-038, SEL-018
#[test]
fn members_that_only_some_records_have() {
    for read in check("members.json") {
        let endpoint = read.event["vpcEndpointId"].as_str();
        let header = &read.canonical.header;
        assert_eq!(header.vpc_endpoint_id.as_deref(), endpoint, "{}", read.name);
        let from_console = read.event["sessionCredentialFromConsole"] == "true";
        assert_eq!(
            header.session_credential_from_console, from_console,
            "{}",
            read.name
        );
        assert_eq!(
            header.error_code.as_deref(),
            read.event["errorCode"].as_str()
        );
    }
}

// Proves: OVR-018, SEL-022, SEL-030, SEL-117, SEL-118
#[test]
fn data_events() {
    for read in check("data.json") {
        let header = &read.canonical.header;
        // SEL-030: what the name looks like decides nothing.
        assert_eq!(
            header.read_only,
            read.event["readOnly"].as_bool(),
            "{}",
            read.name
        );
        let in_record = header
            .resources
            .iter()
            .filter(|resource| resource.in_record);
        let listed = read.event["resources"].as_array().map(Vec::len);
        assert_eq!(Some(in_record.count()), listed, "{}", read.name);
    }
}

// Proves: OVR-020, SEL-033, SEL-034, SEL-035, SEL-036, SEL-039, REC-019, REC-021
#[test]
fn network_activity_goes_to_the_owner_of_the_endpoint() {
    for read in check("network_activity.json") {
        let header = &read.canonical.header;
        assert_eq!(
            header.account.as_str(),
            read.event["vpcEndpointAccountId"],
            "{}",
            read.name
        );
        let endpoint = read.event["vpcEndpointId"].as_str();
        assert_eq!(header.vpc_endpoint_id.as_deref(), endpoint, "{}", read.name);
        assert_eq!(
            header.error_code.as_deref(),
            read.event["errorCode"].as_str()
        );
        assert_eq!(header.read_only, None, "{}", read.name);
    }
}

// Proves: REC-067, REC-079, REC-083, REC-086, SEC-031, SEC-035, SEC-036
#[test]
fn insights_events_of_trails_and_of_stores() {
    for file in ["insights_of_trails.json", "insights_of_stores.json"] {
        for read in check(file) {
            let header = &read.canonical.header;
            let member = |nested: &str, flat: &str| {
                let details = &read.event["insightDetails"];
                let value = if details.is_null() {
                    &read.event[flat]
                } else {
                    &details[nested]
                };
                value.as_str().map(str::to_owned)
            };
            let name = Some(header.event_name.to_string());
            assert_eq!(
                name,
                member("eventName", "insightEventName"),
                "{}",
                read.name
            );
            let source = Some(header.event_source.to_string());
            assert_eq!(
                source,
                member("eventSource", "insightEventSource"),
                "{}",
                read.name
            );
            let error = header.error_code.as_ref().map(ToString::to_string);
            assert_eq!(
                error,
                member("errorCode", "insightErrorCode"),
                "{}",
                read.name
            );
        }
    }
}
