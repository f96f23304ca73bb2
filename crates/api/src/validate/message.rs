//! AWS's words for broken constraints, as its service framework composes them: "2 validation errors detected: Value
//! '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50; …".

use serde_json::Value;

use super::Failure;
use crate::shape::{Bounds, Kind, Shape};

/// How many sentences a message holds at most; all are counted.
const SENTENCES_MAX: usize = 10;
/// How many characters of a value a message repeats at most.
const VALUE_CHARACTERS_MAX: usize = 512;

/// The whole message.
pub(super) fn compose(failures: &[Failure]) -> String {
    let count = failures.len();
    let errors = if count == 1 { "error" } else { "errors" };
    let sentences: Vec<&str> = failures
        .iter()
        .take(SENTENCES_MAX)
        .map(|failure| failure.sentence.as_str())
        .collect();
    format!(
        "{count} validation {errors} detected: {}",
        sentences.join("; ")
    )
}

/// The sentence for one constraint; `None` hides a sensitive value.
pub(super) fn sentence(value: Option<&Value>, path: &str, constraint: &str) -> String {
    match value {
        None => format!("Value at '{path}' failed to satisfy constraint: {constraint}"),
        Some(Value::Null) => {
            format!("Value null at '{path}' failed to satisfy constraint: {constraint}")
        }
        Some(value) => {
            let shown = shown(value);
            format!("Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}")
        }
    }
}

/// A value as messages show it: scalars as they are, lists in brackets, maps as `{key=value}`.
fn shown(value: &Value) -> String {
    let mut text = String::new();
    show(value, &mut text);
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn show(value: &Value, text: &mut String) {
    // What would be cut anyway is not written.
    if text.len() > VALUE_CHARACTERS_MAX * 4 {
        return;
    }
    match value {
        Value::String(string) => {
            text.extend(string.chars().take(VALUE_CHARACTERS_MAX + 1));
        }
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().take(VALUE_CHARACTERS_MAX).enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                show(element, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().take(VALUE_CHARACTERS_MAX).enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                text.extend(name.chars().take(VALUE_CHARACTERS_MAX));
                text.push('=');
                show(member, text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

pub(super) const NOT_NULL: &str = "Member must not be null";

pub(super) fn length_at_most(max: i64) -> String {
    format!("Member must have length less than or equal to {max}")
}

pub(super) fn length_at_least(min: i64) -> String {
    format!("Member must have length greater than or equal to {min}")
}

pub(super) fn value_at_most(max: i64) -> String {
    format!("Member must have value less than or equal to {max}")
}

pub(super) fn value_at_least(min: i64) -> String {
    format!("Member must have value greater than or equal to {min}")
}

pub(super) fn pattern(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

pub(super) fn values(values: &[&str]) -> String {
    format!(
        "Member must satisfy enum value set: [{}]",
        values.join(", ")
    )
}

/// All constraints of a scalar, as they are listed when one element of a list or map breaks any of them.
pub(super) fn constraints_of(shape: &Shape) -> String {
    let mut listed: Vec<String> = Vec::new();
    let length = |bounds: Bounds, listed: &mut Vec<String>| {
        listed.extend(bounds.max.map(length_at_most));
        listed.extend(bounds.min.map(length_at_least));
    };
    match &shape.kind {
        Kind::String(string) => {
            length(string.length, &mut listed);
            if let Some(modelled) = &string.pattern {
                listed.push(pattern(modelled.as_modelled()));
            }
            if !string.values.is_empty() {
                listed.push(values(string.values));
            }
        }
        Kind::Integer(bounds) | Kind::Long(bounds) => {
            listed.extend(bounds.max.map(value_at_most));
            listed.extend(bounds.min.map(value_at_least));
        }
        Kind::List { length: bounds, .. } | Kind::Map { length: bounds, .. } => {
            length(*bounds, &mut listed);
        }
        Kind::Structure(_)
        | Kind::Float
        | Kind::Double
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::Blob => {}
    }
    listed.push(NOT_NULL.to_owned());
    format!("[{}]", listed.join(", "))
}
