//! What the requests of KMS hold, as its model says, and whether a request keeps to it. Members that no operation has
//! are ignored, as KMS ignores them; those that an operation has and this service cannot do are refused by it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::error::{KmsError, KmsErrorCode};

/// How many characters of a value a message repeats at most.
const VALUE_CHARACTERS_MAX: usize = 512;
/// All keys and values of an encryption context together, in bytes.
const CONTEXT_BYTES_MAX: usize = 8_192;
/// Tags of one call: those that a key can have.
const TAGS_MAX: usize = 50;
const TAG_KEY_CHARACTERS_MAX: usize = 128;
const TAG_VALUE_CHARACTERS_MAX: usize = 256;

/// A member of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
}

/// What a member holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text of so many characters, perhaps of a form.
    Text(usize, usize, Option<Form>),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number within bounds.
    Integer(i64, i64),
    Flag,
    /// Base64 of so many bytes at most, and of one at least. Never recorded.
    Blob(usize),
    /// An encryption context.
    Context,
    /// Tags as KMS writes them.
    Tags,
    /// Keys of tags.
    TagKeys,
    /// Grant tokens: there are no grants, so there are none. Never recorded.
    Tokens,
    /// Something that this service has no use for: to be refused by name. Never recorded.
    Foreign,
}

/// The form of a text, with the model's own spelling for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) pattern: &'static str,
    pub(super) matches: fn(&str) -> bool,
}

/// A member that every request must have.
pub(super) const fn required(name: &'static str, kind: Kind) -> Member {
    Member {
        name,
        kind,
        is_required: true,
    }
}

/// A member that a request may have.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Member {
    Member {
        name,
        kind,
        is_required: false,
    }
}

impl Kind {
    /// Whether records show it.
    pub(super) fn is_recorded(self) -> bool {
        !matches!(self, Self::Blob(_) | Self::Tokens | Self::Foreign)
    }
}

/// Holds a request to its members. A wrong JSON type is an error at once; broken constraints are told together.
pub(super) fn check(members: &[Member], given: &Map<String, Value>) -> Result<(), KmsError> {
    let mut failures = Vec::new();
    for member in members {
        let path = crate::query_protocol::lower_camel(member.name);
        match given.get(member.name).filter(|value| !value.is_null()) {
            None if member.is_required => {
                failures.push(sentence("null", &path, "Member must not be null"));
            }
            None => {}
            Some(_) if matches!(member.kind, Kind::Foreign) => {
                return Err(KmsError::unsupported(member.name));
            }
            Some(value) => check_value(member.kind, value, &path, &mut failures)?,
        }
    }
    match failures.len() {
        0 => Ok(()),
        1 => Err(KmsError::validation(format!(
            "1 validation error detected: {}",
            failures[0]
        ))),
        count => Err(KmsError::validation(format!(
            "{count} validation errors detected: {}",
            failures.join("; ")
        ))),
    }
}

fn check_value(
    kind: Kind,
    value: &Value,
    path: &str,
    failures: &mut Vec<String>,
) -> Result<(), KmsError> {
    match (kind, value) {
        (Kind::Text(min, max, form), Value::String(text)) => {
            check_length(text, (min, max), path, failures);
            if let Some(form) = form.filter(|form| !(form.matches)(text)) {
                let constraint = format!(
                    "Member must satisfy regular expression pattern: {}",
                    form.pattern
                );
                failures.push(sentence(&quoted(text), path, &constraint));
            }
        }
        (Kind::OneOf(values), Value::String(text)) => {
            if !values.contains(&text.as_str()) {
                let constraint = format!(
                    "Member must satisfy enum value set: [{}]",
                    values.join(", ")
                );
                failures.push(sentence(&quoted(text), path, &constraint));
            }
        }
        (Kind::Integer(min, max), Value::Number(number)) => {
            let Some(number) = number.as_i64() else {
                return Err(serialization(
                    "NUMBER_VALUE can not be converted to an Integer",
                ));
            };
            if number > max {
                let constraint = format!("Member must have value less than or equal to {max}");
                failures.push(sentence(&quoted(&number.to_string()), path, &constraint));
            }
            if number < min {
                let constraint = format!("Member must have value greater than or equal to {min}");
                failures.push(sentence(&quoted(&number.to_string()), path, &constraint));
            }
        }
        (Kind::Blob(max), Value::String(text)) => check_blob(text, max, path, failures)?,
        (Kind::Context, Value::Object(entries)) => check_context(entries, path, failures)?,
        (Kind::Tags, Value::Array(tags)) => check_tags(tags, path, failures)?,
        (Kind::TagKeys, Value::Array(keys)) => {
            check_count(keys.len(), path, failures);
            for key in keys {
                let key = key.as_str().ok_or_else(wrong_type)?;
                check_length(key, (1, TAG_KEY_CHARACTERS_MAX), path, failures);
            }
        }
        (Kind::Tokens, Value::Array(tokens)) if !tokens.is_empty() => {
            let message = "The grant token is not one of this service.";
            return Err(KmsError::new(KmsErrorCode::InvalidGrantToken, message));
        }
        (Kind::Tokens, Value::Array(_)) | (Kind::Flag, Value::Bool(_)) => {}
        _ => return Err(wrong_type()),
    }
    Ok(())
}

/// The value is secret, or as good as random: no message repeats it.
fn check_blob(
    text: &str,
    max: usize,
    path: &str,
    failures: &mut Vec<String>,
) -> Result<(), KmsError> {
    let invalid = |_| serialization("Invalid base64 text");
    let length = zeroize::Zeroizing::new(STANDARD.decode(text).map_err(invalid)?).len();
    let constraint = if length > max {
        format!("Member must have length less than or equal to {max}")
    } else if length == 0 {
        "Member must have length greater than or equal to 1".to_owned()
    } else {
        return Ok(());
    };
    failures.push(format!(
        "Value at '{path}' failed to satisfy constraint: {constraint}"
    ));
    Ok(())
}

fn check_context(
    entries: &Map<String, Value>,
    path: &str,
    failures: &mut Vec<String>,
) -> Result<(), KmsError> {
    let mut bytes = 0;
    for (key, value) in entries {
        bytes += key.len() + value.as_str().ok_or_else(wrong_type)?.len();
    }
    if bytes > CONTEXT_BYTES_MAX {
        failures.push(format!(
            "Value at '{path}' failed to satisfy constraint: Member must have length less than or equal to \
             {CONTEXT_BYTES_MAX}"
        ));
    }
    Ok(())
}

fn check_tags(tags: &[Value], path: &str, failures: &mut Vec<String>) -> Result<(), KmsError> {
    check_count(tags.len(), path, failures);
    for (position, tag) in (1..).zip(tags) {
        let tag = tag.as_object().ok_or_else(wrong_type)?;
        for (name, min, max) in [
            ("TagKey", 1, TAG_KEY_CHARACTERS_MAX),
            ("TagValue", 0, TAG_VALUE_CHARACTERS_MAX),
        ] {
            let at = crate::query_protocol::lower_camel(name);
            let path = format!("{path}.{position}.member.{at}");
            match tag.get(name) {
                None | Some(Value::Null) => {
                    failures.push(sentence("null", &path, "Member must not be null"));
                }
                Some(value) => {
                    let text = value.as_str().ok_or_else(wrong_type)?;
                    check_length(text, (min, max), &path, failures);
                }
            }
        }
    }
    Ok(())
}

fn check_count(count: usize, path: &str, failures: &mut Vec<String>) {
    if count > TAGS_MAX {
        failures.push(format!(
            "Value at '{path}' failed to satisfy constraint: Member must have length less than or equal to {TAGS_MAX}"
        ));
    }
}

fn check_length(text: &str, (min, max): (usize, usize), path: &str, failures: &mut Vec<String>) {
    let length = text.chars().count();
    if length > max {
        let constraint = format!("Member must have length less than or equal to {max}");
        failures.push(sentence(&quoted(text), path, &constraint));
    }
    if length < min {
        let constraint = format!("Member must have length greater than or equal to {min}");
        failures.push(sentence(&quoted(text), path, &constraint));
    }
}

fn sentence(value: &str, path: &str, constraint: &str) -> String {
    format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}")
}

fn quoted(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("'{}…'", &value[..end]),
        None => format!("'{value}'"),
    }
}

fn wrong_type() -> KmsError {
    serialization("A member of the request has the wrong type")
}

pub(super) fn serialization(message: &str) -> KmsError {
    KmsError::new(KmsErrorCode::Serialization, message)
}
