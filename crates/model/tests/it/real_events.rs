//! Every event of a real account's log files, checked against serde_json's reading of the same bytes.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use cairn_model::{Completion, EventClass, RoutingHeader, canonicalize, split_batch};
use serde_json::Value;

fn log_files() -> Vec<Bytes> {
    let corpus = "../../tests/corpus/real/AWSLogs/218007301253/CloudTrail/us-east-1/2023/07/10";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(corpus);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpus is part of the repository") {
        let compressed = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..])
            .read_to_end(&mut json)
            .expect("gzip");
        files.push(Bytes::from(json));
    }
    files
}

fn canonical(event: &Bytes) -> cairn_model::CanonicalEvent {
    let mut refuse = || -> String { panic!("a real event has an eventID") };
    let account = "999999999999".parse().expect("an account");
    let mut completion = Completion {
        account,
        new_event_id: &mut refuse,
    };
    canonicalize(event, &mut completion).expect("AWS's events are acceptable")
}

fn text<'v>(event: &'v Value, pointer: &str) -> Option<&'v str> {
    event
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn check(header: &RoutingHeader<'_>, event: &Value) {
    assert_eq!(header.class, EventClass::Management);
    assert_eq!(
        Some(header.account.as_str()),
        text(event, "/recipientAccountId")
    );
    assert_eq!(Some(header.region.as_str()), text(event, "/awsRegion"));
    assert_eq!(
        Some(header.event_time.to_string().as_str()),
        text(event, "/eventTime")
    );
    assert_eq!(Some(&*header.event_id), text(event, "/eventID"));
    assert_eq!(Some(&*header.event_name), text(event, "/eventName"));
    assert_eq!(Some(&*header.event_source), text(event, "/eventSource"));
    assert_eq!(Some(&*header.event_type), text(event, "/eventType"));
    assert_eq!(header.read_only, event["readOnly"].as_bool());
    assert_eq!(header.error_code.as_deref(), text(event, "/errorCode"));
    assert_eq!(
        header.vpc_endpoint_id.as_deref(),
        text(event, "/vpcEndpointId")
    );
    assert_eq!(
        header.user_identity_arn.as_deref(),
        text(event, "/userIdentity/arn")
    );
    assert_eq!(
        header.access_key_id.as_deref(),
        text(event, "/userIdentity/accessKeyId")
    );
    assert_eq!(
        header.session_credential_from_console,
        text(event, "/sessionCredentialFromConsole") == Some("true")
    );
    let user_name = match text(event, "/userIdentity/type") {
        Some("IAMUser") => text(event, "/userIdentity/userName"),
        Some("AssumedRole") => {
            text(event, "/userIdentity/principalId").and_then(|id| id.split(':').nth(1))
        }
        _ => None,
    };
    assert_eq!(header.user_name.as_deref(), user_name);
    let listed: Vec<_> = event["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|resource| Some((text(resource, "/type"), text(resource, "/ARN")?)))
        .collect();
    let in_record: Vec<_> = header
        .resources
        .iter()
        .filter(|resource| resource.in_record)
        .map(|resource| (resource.resource_type.as_deref(), &*resource.name))
        .collect();
    assert_eq!(in_record, listed);
}

// Proves: REC-007, REC-126, OVR-079
#[test]
fn every_real_event_is_kept_byte_for_byte_and_routed_by_its_members() {
    let mut count = 0;
    let mut with_bucket = 0;
    for file in log_files() {
        for event in split_batch(&file, 10_000).expect("a log file") {
            let canonical = canonical(&event);
            assert_eq!(canonical.json, event);
            assert_eq!(
                canonical.json.as_ptr(),
                event.as_ptr(),
                "complete events are not copied"
            );
            let reference: Value = serde_json::from_slice(&event).expect("JSON");
            check(&canonical.header, &reference);
            if let Some(bucket) = text(&reference, "/requestParameters/bucketName") {
                let named = canonical.header.resources.iter().any(|resource| {
                    resource.name == bucket
                        && resource.resource_type.as_deref() == Some("AWS::S3::Bucket")
                });
                assert!(named || canonical.header.event_source != "s3.amazonaws.com");
                with_bucket += 1;
            }
            count += 1;
        }
    }
    assert_eq!(count, 2111);
    assert!(
        with_bucket > 100,
        "the corpus holds bucket events: {with_bucket}"
    );
}
