//! Own records that would be too large lose their largest members, never themselves (H8): in place of
//! the member stands its size and hash, so that the evidence can still be matched. Resources must be a
//! list of resources, so too many of them become an empty one.

use bytes::Bytes;
use cairn_access::sigv4::sha256_hex;
use cairn_model::EVENT_BYTES_MAX;
use serde_json::{Map, Value, json};

/// Room for what readers and later versions append to a record.
const RECORD_BYTES_MAX: usize = EVENT_BYTES_MAX - 16 * 1024;

/// The record as JSON. Its large members are replaced one by one until it fits.
pub(super) fn fit(mut record: Map<String, Value>) -> Bytes {
    let mut text = written(&record);
    for name in [
        "responseElements",
        "requestParameters",
        "additionalEventData",
        "resources",
    ] {
        if text.len() <= RECORD_BYTES_MAX {
            break;
        }
        let Some(value) = record.get_mut(name) else {
            continue;
        };
        let member = value.to_string();
        if member.len() > RECORD_BYTES_MAX / 8 {
            *value = if name == "resources" {
                Value::Array(Vec::new())
            } else {
                marker(name, &member)
            };
            text = written(&record);
        }
    }
    Bytes::from(text)
}

fn marker(name: &str, text: &str) -> Value {
    json!({
        "omitted": true,
        "originalSize": text.len(),
        "reason": format!("{name} too large"),
        "sha256": sha256_hex(text.as_bytes()),
    })
}

fn written(record: &Map<String, Value>) -> String {
    serde_json::to_string(record).expect("a map with text keys can be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_member_leaves_its_hash() {
        let mut record = Map::new();
        record.insert("eventName".into(), "PutThing".into());
        record.insert(
            "requestParameters".into(),
            json!({"text": "x".repeat(1 << 20)}),
        );
        let fitted: Value = serde_json::from_slice(&fit(record)).expect("it is JSON");
        assert_eq!(fitted["eventName"], "PutThing");
        let marker = &fitted["requestParameters"];
        assert_eq!(marker["omitted"], true);
        assert_eq!(marker["originalSize"], (1 << 20) + "{\"text\":\"\"}".len());
        assert_eq!(marker["sha256"].as_str().map(str::len), Some(64));
    }

    // Proves: H8
    #[test]
    fn no_more_is_left_out_than_must_be() {
        let large = || json!({"text": "x".repeat(RECORD_BYTES_MAX / 2)});
        let mut record = Map::new();
        record.insert("responseElements".into(), large());
        record.insert("requestParameters".into(), large());
        record.insert("resources".into(), json!([{"ARN": "arn:aws:s3:::b"}]));
        let fitted: Value = serde_json::from_slice(&fit(record.clone())).expect("it is JSON");
        assert_eq!(fitted["responseElements"]["omitted"], true);
        assert!(fitted["requestParameters"] == large(), "it fits beside");
        assert_eq!(fitted["resources"], record["resources"]);
    }
}
