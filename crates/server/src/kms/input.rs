//! A request that keeps to its operation's members, read by them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_catalog::identity::Tag;
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

use super::error::KmsError;
use super::members::{Kind, check, serialization};
use super::operation::KmsOperation;
use super::shapes::ALGORITHM;
use crate::keys::EncryptionContext;
use crate::query_protocol::lower_camel;

/// The members of a request. Their memory is wiped; the body that they were read from is not.
pub(crate) struct KmsInput(Map<String, Value>);

// Plaintexts are among the members.
impl std::fmt::Debug for KmsInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KmsInput")
    }
}

impl Drop for KmsInput {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Wipes every text of a request or an answer.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl KmsInput {
    /// Reads the body of a call; an error comes with the parameters to record.
    pub(crate) fn read(operation: &KmsOperation, body: &[u8]) -> Result<Self, (Value, KmsError)> {
        let read = if body.iter().all(u8::is_ascii_whitespace) {
            Ok(Value::Object(Map::new()))
        } else {
            serde_json::from_slice(body)
        };
        let Ok(Value::Object(members)) = read else {
            let error = serialization("The request body is not a JSON object");
            return Err((Value::Null, error));
        };
        let is_known = |name: &String| operation.members.iter().any(|member| member.name == name);
        let members = members.into_iter().filter(|(name, _)| is_known(name));
        let input = Self(members.collect());
        match check(operation.members, &input.0) {
            Ok(()) => Ok(input),
            Err(error) => Err((input.recorded(operation), error)),
        }
    }

    /// `requestParameters` of the record: no plaintext, no ciphertext; null if nothing is left (REC-023).
    pub(crate) fn recorded(&self, operation: &KmsOperation) -> Value {
        let mut recorded = Map::new();
        for member in operation.members {
            let value = self.0.get(member.name).filter(|value| !value.is_null());
            // SEC-376: the algorithm is recorded also where the request leaves it to the key.
            if value.is_none() && member.name.ends_with("EncryptionAlgorithm") {
                recorded.insert(lower_camel(member.name), ALGORITHM.into());
            }
            let Some(value) = value.filter(|_| member.kind.is_recorded()) else {
                continue;
            };
            let value = match (member.kind, value) {
                (Kind::Tags, Value::Array(tags)) => tags.iter().map(recorded_tag).collect(),
                _ => value.clone(),
            };
            recorded.insert(lower_camel(member.name), value);
        }
        if recorded.is_empty() {
            return Value::Null;
        }
        Value::Object(recorded)
    }

    /// A text that may be absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A text that the operation requires.
    pub(super) fn required(&self, name: &str) -> &str {
        self.text(name).expect("the operation's row requires it")
    }

    /// A flag; absent is false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A number within the bounds of the operation's row.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        let number = self.0.get(name).and_then(Value::as_u64)?;
        u32::try_from(number).ok()
    }

    /// The bytes of a blob.
    pub(super) fn blob(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.text(name)?;
        let bytes = STANDARD.decode(text).expect("members are checked");
        Some(Zeroizing::new(bytes))
    }

    /// An encryption context; an absent one is empty.
    pub(super) fn context(&self, name: &str) -> EncryptionContext {
        let entries = self.0.get(name).and_then(Value::as_object);
        let entries = entries.into_iter().flatten();
        entries
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// The tags that the call brings.
    pub(super) fn tags(&self) -> Vec<Tag> {
        let tags = self.0.get("Tags").and_then(Value::as_array);
        let text = |tag: &Value, name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        let tags = tags.into_iter().flatten().map(|tag| Tag {
            key: text(tag, "TagKey"),
            value: text(tag, "TagValue"),
        });
        tags.collect()
    }

    /// The keys of the tags that the call takes away.
    pub(super) fn tag_keys(&self) -> Vec<String> {
        let keys = self.0.get("TagKeys").and_then(Value::as_array);
        let keys = keys.into_iter().flatten().filter_map(Value::as_str);
        keys.map(str::to_owned).collect()
    }

    /// Whether a member is there with something in it.
    pub(super) fn has(&self, name: &str) -> bool {
        match self.0.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::Array(items)) => !items.is_empty(),
            Some(_) => true,
        }
    }
}

fn recorded_tag(tag: &Value) -> Value {
    json!({"tagKey": tag["TagKey"], "tagValue": tag["TagValue"]})
}
