//! How fast events pass the model on one core: reading, canonical records, the stored header, batches,
//! limits, selectors.
//!
//! `cargo bench -p cairn-model` prints MB/s (of event JSON, 10^6 bytes) and events/s, the best of five rounds.

#![expect(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::destination::{DestinationLimit, fit};
use cairn_model::json::Document;
use cairn_model::selectors::{
    AdvancedEventSelector, CompiledSelectors, EventSelectors, FieldSelector,
};
use cairn_model::{CanonicalEvent, Completion, RoutingHeader, canonicalize, split_batch};

const EVENTS: usize = 20_000;
const ROUNDS: usize = 5;
const TRAILS: usize = 5;

fn main() {
    let events: Vec<Bytes> = (0..EVENTS).map(|index| Bytes::from(event(index))).collect();
    let bytes = events.iter().map(Bytes::len).sum::<usize>();
    println!("{EVENTS} events, {} bytes on average", bytes / EVENTS);
    let measure = |name: &str, work: &mut dyn FnMut()| {
        let best = (0..ROUNDS)
            .map(|_| time(&mut *work))
            .min()
            .unwrap_or_default();
        let seconds = best.as_secs_f64();
        println!(
            "{name:<28} {:>8.0} MB/s {:>10.0} events/s",
            per(bytes, seconds) / 1e6,
            per(EVENTS, seconds)
        );
    };
    measure("json::Document::parse", &mut || {
        for event in &events {
            black_box(Document::parse(event).expect("an event"));
        }
    });
    measure("canonicalize", &mut || {
        for event in &events {
            black_box(canonical(event));
        }
    });
    let headers: Vec<Vec<u8>> = events
        .iter()
        .map(|event| {
            let mut stored = Vec::new();
            canonical(event).header.encode(&mut stored);
            stored
        })
        .collect();
    println!(
        "{} bytes of header on average",
        headers.iter().map(Vec::len).sum::<usize>() / EVENTS
    );
    let canonicals: Vec<_> = events.iter().map(canonical).collect();
    measure("RoutingHeader::encode", &mut || {
        let mut out = Vec::new();
        for event in &canonicals {
            out.clear();
            event.header.encode(&mut out);
            black_box(&out);
        }
    });
    measure("RoutingHeader::decode", &mut || {
        for stored in &headers {
            black_box(RoutingHeader::decode(stored).expect("a header"));
        }
    });
    let lines = Bytes::from(events.join(&b"\n"[..]));
    measure("split_batch, lines", &mut || {
        black_box(split_batch(&lines, EVENTS).expect("lines"));
    });
    let file = Bytes::from([b"{\"Records\":[", &events.join(&b","[..])[..], b"]}"].concat());
    measure("split_batch, Records", &mut || {
        black_box(split_batch(&file, EVENTS).expect("a file"));
    });
    measure("destination::fit, 256 KB", &mut || {
        for event in &events {
            black_box(fit(event, DestinationLimit::Kb256).expect("small events fit"));
        }
    });
    measure("selectors, 5 trails", &mut || select(&headers));
}

/// What the reader of the log does for trails.
fn select(headers: &[Vec<u8>]) {
    let trails: Vec<CompiledSelectors> = (0..TRAILS).map(trail).collect();
    for stored in headers {
        let header = RoutingHeader::decode(stored).expect("a header");
        for trail in &trails {
            black_box(trail.take(&header));
        }
    }
}

/// The selectors of a trail, with a hundred values: each event is compared with all of them.
fn trail(number: usize) -> CompiledSelectors {
    let values = |of: &str, count: usize| (0..count).map(|n| format!("{of}{number}{n}")).collect();
    let field = |field: &str| FieldSelector {
        field: field.to_owned(),
        ..FieldSelector::default()
    };
    let selectors = EventSelectors::Advanced(vec![AdvancedEventSelector {
        name: None,
        field_selectors: vec![
            FieldSelector {
                equals: vec!["Management".to_owned()],
                ..field("eventCategory")
            },
            FieldSelector {
                not_equals: values("Describe", 33),
                ..field("eventName")
            },
            FieldSelector {
                not_starts_with: values("ec2.amazon", 33),
                ..field("eventSource")
            },
            FieldSelector {
                not_ends_with: values("mary.major", 33),
                ..field("userIdentity.arn")
            },
        ],
    }]);
    selectors.compile().expect("valid selectors")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures the machine's own time"
)]
fn time(work: &mut dyn FnMut()) -> Duration {
    let start = std::time::Instant::now();
    work();
    start.elapsed()
}

fn per(count: usize, seconds: f64) -> f64 {
    let count = u32::try_from(count).expect("benchmarks are small");
    f64::from(count) / seconds
}

/// An event of a mix like that of real accounts: most callers are role sessions, most calls read.
fn event(index: usize) -> String {
    let session = format!("i-{:017x}", index * 7919 % 4000);
    let role = ["app-prod-role", "ci-dev-role", "eks-stage-role"][index % 3];
    let identity = match index % 5 {
        0..3 => format!(
            r#"{{"type":"AssumedRole","principalId":"AROA0123456789ABCDEF:{session}","arn":"arn:aws:sts::123456789012:assumed-role/{role}/{session}","accountId":"123456789012","accessKeyId":"ASIA0123456789ABCDEF","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROA0123456789ABCDEF","arn":"arn:aws:iam::123456789012:role/{role}","accountId":"123456789012","userName":"{role}"}},"webIdFederationData":{{}},"attributes":{{"creationDate":"2026-10-31T23:12:00Z","mfaAuthenticated":"false"}}}}}}"#
        ),
        3 => r#"{"type":"IAMUser","principalId":"AIDA0123456789ABCDEF","arn":"arn:aws:iam::123456789012:user/mary.major","accountId":"123456789012","accessKeyId":"AKIA0123456789ABCDEF","userName":"mary.major"}"#.to_owned(),
        _ => r#"{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}"#.to_owned(),
    };
    let (service, name, read_only, parameters, response, resources) = match index % 4 {
        0 => ("ec2", "DescribeInstances", true, r#"{"filterSet":{"items":[{"name":"tag:env","valueSet":{"items":[{"value":"prod"}]}}]},"maxResults":1000}"#.to_owned(), "null".to_owned(), None),
        1 => ("sts", "AssumeRole", true, format!(r#"{{"roleArn":"arn:aws:iam::123456789012:role/{role}","roleSessionName":"{session}","durationSeconds":3600}}"#), format!(r#"{{"credentials":{{"accessKeyId":"ASIA0123456789ABCDEF","expiration":"Nov 1, 2026, 1:00:00 PM","sessionToken":"{}"}}}}"#, "A".repeat(180)), Some(format!(r#"[{{"accountId":"123456789012","type":"AWS::IAM::Role","ARN":"arn:aws:iam::123456789012:role/{role}"}}]"#))),
        2 => ("kms", "Decrypt", true, r#"{"keyId":"arn:aws:kms:us-east-1:123456789012:key/0f2c7a52-9d55-4ab6-9f1a-0d4a1d0b4c11","encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::corp-data-001"}}"#.to_owned(), "null".to_owned(), Some(r#"[{"accountId":"123456789012","type":"AWS::KMS::Key","ARN":"arn:aws:kms:us-east-1:123456789012:key/0f2c7a52-9d55-4ab6-9f1a-0d4a1d0b4c11"}]"#.to_owned())),
        _ => ("ec2", "RunInstances", false, r#"{"instancesSet":{"items":[{"imageId":"ami-0abcdef1234567890","minCount":1,"maxCount":1,"keyName":"ops"}]},"instanceType":"m5.large","monitoring":{"enabled":false}}"#.to_owned(), format!(r#"{{"requestId":"5f1c7a52-9d55-4ab6-9f1a-0d4a1d0b4c11","reservationId":"r-0123456789abcdef0","instancesSet":{{"items":[{{"instanceId":"{session}","imageId":"ami-0abcdef1234567890","instanceState":{{"code":0,"name":"pending"}},"privateDnsName":"ip-10-0-1-23.ec2.internal"}}]}}}}"#), None),
    };
    let resources = resources.map_or(String::new(), |list| format!(r#""resources":{list},"#));
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"2026-10-31T23:{:02}:{:02}Z","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.{}","userAgent":"aws-cli/2.15.0 Python/3.11.6 Linux/6.1 exe/x86_64 prompt/off command/ec2.describe-instances","requestParameters":{parameters},"responseElements":{response},"requestID":"5f1c7a52-9d55-4ab6-9f1a-{index:012x}","eventID":"0d4a1d0b-4c11-4ab6-9f1a-{index:012x}","readOnly":{read_only},{resources}"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.us-east-1.amazonaws.com"}}}}"#,
        index / 60 % 60,
        index % 60,
        index % 250,
    )
}

fn canonical(event: &Bytes) -> CanonicalEvent {
    let mut new_event_id = || "e".to_owned();
    let account = "123456789012".parse().expect("an account");
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    canonicalize(event, &mut completion).expect("an event")
}
