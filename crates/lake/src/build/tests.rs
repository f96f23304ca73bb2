//! Events bent at random: each becomes a row or is set aside, and its neighbours become rows.

use bytes::Bytes;
use cairn_eventlog::{LogRecord, NewRecord, RecordKind};
use cairn_model::{Completion, PartitionId, Sequence, canonicalize};
use cairn_platform::{Entropy, SeededEntropy};

use super::*;
use crate::rows::route;
use crate::schema::{arrow_schema, iceberg_schema};

const EVENT: &str = "{\"eventVersion\":\"1.11\",\"userIdentity\":{\"type\":\"IAMUser\",\"sessionContext\":\
    {\"attributes\":{\"creationDate\":\"2026-11-20T10:00:00Z\"},\"webIdFederationData\":\
    {\"attributes\":{\"a\":\"b\"}}}},\"eventTime\":\"2026-11-20T12:00:00Z\",\
    \"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"X\",\"awsRegion\":\"us-east-1\",\
    \"requestParameters\":{\"a\":[1,{\"b\":null}],\"c\":-1.5e3},\"responseElements\":null,\
    \"eventID\":\"1\",\"readOnly\":true,\"resources\":[{\"ARN\":\"arn:aws:s3:::b\"}],\
    \"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"111111111111\",\
    \"eventCategory\":\"Management\",\"tlsDetails\":{},\"addendum\":{},\"eventContext\":{\"tagContext\":\
    {\"resourceTags\":[{\"arn\":\"x\",\"tags\":{\"k\":\"v\"}}]}}}";

/// Texts that stand where a value stood.
const VALUES: [&str; 12] = [
    "null",
    "true",
    "7",
    "-0.0e10",
    "\"\"",
    "\"\\u0000\\ud83d\\ude00\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "{\"\":{\"\":[]}}",
    "\"2026-13-45T99:99:99Z\"",
    "1e999999",
];

fn pending(sequence: u64, body: Bytes, header: &Bytes) -> Pending {
    let (kind, header, context) = (RecordKind::Event, header.clone(), Bytes::new());
    let record = NewRecord {
        kind,
        header,
        body,
        context,
    };
    let record = LogRecord {
        sequence: Sequence(sequence),
        accepted_ms: 0,
        record,
    };
    let key = route(&record).expect("a valid header").key;
    Pending { record, key }
}

fn random(entropy: &SeededEntropy, below: usize) -> usize {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    u32::from_le_bytes(bytes) as usize % below
}

/// Puts a value in the place of a random value, or flips a byte.
fn bend(entropy: &SeededEntropy) -> Vec<u8> {
    let mut text = EVENT.as_bytes().to_vec();
    for _ in 0..=random(entropy, 3) {
        let colons: Vec<usize> = (0..text.len().saturating_sub(1))
            .filter(|at| text[*at] == b':')
            .collect();
        if random(entropy, 4) == 0 || colons.is_empty() {
            let at = random(entropy, text.len());
            text[at] ^= 1 << random(entropy, 8);
            continue;
        }
        let start = colons[random(entropy, colons.len())] + 1;
        let rest = &text[start..];
        let length = rest
            .iter()
            .position(|byte| b",}]".contains(byte))
            .unwrap_or(rest.len());
        let value = VALUES[random(entropy, VALUES.len())];
        text.splice(start..start + length, value.bytes());
    }
    text
}

// Proves: P8
#[test]
fn bent_events_become_rows_or_are_set_aside() {
    let schema = arrow_schema(&iceberg_schema().expect("a schema")).expect("a schema");
    let account = "111111111111".parse().expect("an account");
    let mut new_event_id = || "id".to_owned();
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    let source = Bytes::from_static(EVENT.as_bytes());
    let canonical = canonicalize(&source, &mut completion).expect("a valid event");
    let mut header = Vec::new();
    canonical.header.encode(&mut header);
    let header = Bytes::from(header);
    let entropy = SeededEntropy::new(7);
    let (mut rows, mut poison) = (0, 0);
    for round in 0..100_u64 {
        let mut batch = vec![pending(round * 20, canonical.json.clone(), &header)];
        for n in 1..20 {
            batch.push(pending(
                round * 20 + n,
                Bytes::from(bend(&entropy)),
                &header,
            ));
        }
        let built = build(&schema, PartitionId(0), batch).expect("a batch is built");
        let made = built.rows.as_ref().map_or(0, RecordBatch::num_rows);
        assert!(made >= 1, "the good event has its row");
        assert_eq!(
            made + built.poison.len(),
            20,
            "round {round}: nothing is lost"
        );
        assert!(built.poison.iter().all(|poison| !poison.reason.is_empty()));
        rows += made;
        poison += built.poison.len();
    }
    assert!(
        rows > 400 && poison > 400,
        "{rows} rows, {poison} set aside: both are reached"
    );
}
