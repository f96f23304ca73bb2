//! Own records that would be too large lose their largest members, never themselves (H8): in place of
//! the member stands what it was, with its size and hash, so that the evidence can still be matched.

use bytes::Bytes;
use cairn_access::sigv4::sha256_hex;
use cairn_model::EVENT_BYTES_MAX;
use serde_json::{Map, Value, json};

/// Room for what readers and later versions append to a record.
const RECORD_BYTES_MAX: usize = EVENT_BYTES_MAX - 16 * 1024;

/// The record as JSON, its large members replaced if need be.
pub(super) fn fit(mut record: Map<String, Value>) -> Bytes {
    let text = serde_json::to_string(&record).expect("a map with text keys can be written");
    if text.len() <= RECORD_BYTES_MAX {
        return Bytes::from(text);
    }
    for name in [
        "responseElements",
        "requestParameters",
        "additionalEventData",
        "resources",
    ] {
        let Some(value) = record.get_mut(name) else {
            continue;
        };
        let text = value.to_string();
        if text.len() > RECORD_BYTES_MAX / 8 {
            let marker = json!({
                "omitted": true,
                "originalSize": text.len(),
                "reason": format!("{name} too large"),
                "sha256": sha256_hex(text.as_bytes()),
            });
            *value = if name == "resources" {
                Value::Array(Vec::new())
            } else {
                marker
            };
        }
    }
    Bytes::from(serde_json::to_string(&record).expect("a map with text keys can be written"))
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
}
