//! Keys and times as answers and records show them.

use cairn_api::Timestamp;
use cairn_catalog::keys::KmsKey;
use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::keys::conditions::{ConditionKeys, ENCRYPT_DECRYPT, SYMMETRIC, of_symmetric_keys, one};
use crate::query_protocol::lower_camel;
use crate::recorded_time::TimeForm;

/// The one algorithm of symmetric keys.
pub(super) const ALGORITHM: &str = SYMMETRIC;
/// What every key here is made for, of, and from.
pub(super) const KEY_SPEC: &str = SYMMETRIC;
pub(super) const KEY_USAGE: &str = ENCRYPT_DECRYPT;
pub(super) const ORIGIN: &str = "AWS_KMS";

/// What policies can ask of every key here.
pub(super) fn condition_keys() -> ConditionKeys {
    let mut keys = of_symmetric_keys();
    keys.push(one("kms:KeyOrigin", ORIGIN));
    keys.push(one("kms:MultiRegion", "false"));
    keys
}

/// `KeyState`.
pub(super) fn state(key: &KmsKey) -> &'static str {
    match (key.deletion, key.is_enabled) {
        (Some(_), _) => "PendingDeletion",
        (None, true) => "Enabled",
        (None, false) => "Disabled",
    }
}

/// `KeyMetadata`.
pub(super) fn metadata(key: &KmsKey) -> Value {
    let mut metadata = json!({
        "AWSAccountId": key.account.as_str(),
        "KeyId": key.id,
        "Arn": key.arn(),
        "CreationDate": time(key.created_ms),
        "Enabled": key.deletion.is_none() && key.is_enabled,
        "Description": key.description,
        "KeyUsage": KEY_USAGE,
        "KeyState": state(key),
        "Origin": ORIGIN,
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": KEY_SPEC,
        "KeySpec": KEY_SPEC,
        "EncryptionAlgorithms": [ALGORITHM],
        "MultiRegion": false,
    });
    if let Some(deletion) = key.deletion {
        metadata["DeletionDate"] = time(deletion.due_ms);
    }
    metadata
}

/// The same in a record.
pub(super) fn recorded_metadata(key: &KmsKey) -> Value {
    let Value::Object(metadata) = metadata(key) else {
        return Value::Null;
    };
    let recorded = metadata.into_iter().map(|(name, value)| {
        let value = match name.as_str() {
            "CreationDate" => recorded_time(key.created_ms),
            _ => value,
        };
        (lower_camel(&name), value)
    });
    Value::Object(recorded.collect::<Map<String, Value>>())
}

/// A time in an answer.
pub(super) fn time(time_ms: i64) -> Value {
    json!(Timestamp::from_micros(time_ms.saturating_mul(1_000)))
}

/// A time in a record.
pub(super) fn recorded_time(time_ms: i64) -> Value {
    let time = DateTime::from_timestamp_millis(time_ms).unwrap_or_default();
    TimeForm::Others.write(time).into()
}
