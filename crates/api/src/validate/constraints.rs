//! The walk over request and shape together.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use super::{Failure, message, serialization};
use crate::blob::Blob;
use crate::error::ApiError;
use crate::operations::Operation;
use crate::shape::{Bounds, Kind, Member, Shape, StringShape};
use crate::timestamp::Timestamp;

/// How many broken constraints are collected before the walk stops.
const FAILURES_MAX: usize = 100;

/// The constraints that the request breaks; an error when a value has the wrong JSON type.
pub(super) fn check(operation: &Operation, request: &Value) -> Result<Vec<Failure>, ApiError> {
    let mut walk = Walk {
        operation,
        root: operation.input.name,
        names: Vec::new(),
        path: String::new(),
        hidden: false,
        failures: Vec::new(),
    };
    let Value::Object(members) = request else {
        return Err(serialization("The request body is not a JSON object"));
    };
    walk.structure(operation.input.members(), members)?;
    Ok(walk.failures)
}

struct Walk<'a> {
    operation: &'a Operation,
    /// The member of the request that the walk is under.
    root: &'static str,
    /// Names of the members down to here, without list positions: what `sensitive` paths are made of.
    names: Vec<&'static str>,
    /// The place as messages write it: `lookupAttributes.1.member.attributeValue`.
    path: String,
    /// Whether values from here down must not be shown.
    hidden: bool,
    failures: Vec<Failure>,
}

impl Walk<'_> {
    fn structure(
        &mut self,
        members: &'static [Member],
        given: &Map<String, Value>,
    ) -> Result<(), ApiError> {
        for member in members {
            self.names.push(member.name);
            if self.names.len() == 1 {
                self.root = member.name;
            }
            let length = self.path.len();
            let hidden = self.hidden;
            if length > 0 {
                self.path.push('.');
            }
            push_decapitalized(member.name, &mut self.path);
            self.hidden |= member.shape.sensitive;
            match given.get(member.name) {
                // AWS reads an explicit null as an absent member.
                None | Some(Value::Null) if member.required => {
                    self.fail(&Value::Null, true, message::NOT_NULL);
                }
                None | Some(Value::Null) => {}
                Some(value) => self.value(member.shape, value)?,
            }
            self.hidden = hidden;
            self.path.truncate(length);
            self.names.pop();
        }
        Ok(())
    }

    fn value(&mut self, shape: &'static Shape, value: &Value) -> Result<(), ApiError> {
        match (&shape.kind, value) {
            (Kind::Structure(members), Value::Object(given)) => self.structure(members, given),
            (Kind::List { element, length }, Value::Array(elements)) => {
                self.length(*length, elements.len(), value);
                self.list(element, elements, value)
            }
            (
                Kind::Map {
                    key,
                    value: held,
                    length,
                },
                Value::Object(entries),
            ) => {
                self.length(*length, entries.len(), value);
                self.map(key, held, entries, value)
            }
            (Kind::String(string), Value::String(text)) => {
                self.string(string, text, value);
                Ok(())
            }
            (Kind::Integer(bounds), Value::Number(number)) => {
                let whole = whole(number, "Integer")?;
                if i32::try_from(whole).is_err() {
                    return Err(serialization(
                        "NUMBER_VALUE can not be converted to an Integer",
                    ));
                }
                self.range(*bounds, whole, value);
                Ok(())
            }
            (Kind::Long(bounds), Value::Number(number)) => {
                let whole = whole(number, "Long")?;
                self.range(*bounds, whole, value);
                Ok(())
            }
            (Kind::Float | Kind::Double, Value::Number(_)) | (Kind::Boolean, Value::Bool(_)) => {
                Ok(())
            }
            (Kind::Timestamp, Value::Number(number)) => {
                let time = number.as_f64().and_then(Timestamp::from_seconds);
                time.map(|_| ())
                    .ok_or_else(|| serialization("NUMBER_VALUE can not be converted to a Date"))
            }
            (Kind::Blob, Value::String(text)) if Blob::is_base64(text) => Ok(()),
            (Kind::Blob, Value::String(_)) => Err(serialization("Invalid base64 text")),
            (kind, value) => Err(wrong_type(kind, value)),
        }
    }

    fn list(
        &mut self,
        element: &'static Shape,
        elements: &[Value],
        whole: &Value,
    ) -> Result<(), ApiError> {
        let mut broken = false;
        for (index, held) in elements.iter().enumerate() {
            if self.failures.len() >= FAILURES_MAX {
                return Ok(());
            }
            if is_scalar(element) {
                broken |= self.element_breaks(element, held)?;
                continue;
            }
            let length = self.path.len();
            let _ = write!(self.path, ".{}.member", index + 1);
            if held.is_null() {
                self.fail(held, false, message::NOT_NULL);
            } else {
                self.value(element, held)?;
            }
            self.path.truncate(length);
        }
        // One sentence for the list, however many of its elements break the constraint.
        if broken {
            let constraints = message::constraints_of(element);
            self.fail(
                whole,
                false,
                &format!("Member must satisfy constraint: {constraints}"),
            );
        }
        Ok(())
    }

    fn map(
        &mut self,
        key: &'static Shape,
        held: &'static Shape,
        entries: &Map<String, Value>,
        whole: &Value,
    ) -> Result<(), ApiError> {
        let (mut broken_key, mut broken_value) = (false, false);
        for (name, value) in entries {
            broken_key |= self.element_breaks(key, &Value::String(name.clone()))?;
            if is_scalar(held) {
                broken_value |= self.element_breaks(held, value)?;
            } else {
                self.value(held, value)?;
            }
        }
        if broken_key {
            let constraints = message::constraints_of(key);
            self.fail(
                whole,
                false,
                &format!("Map keys must satisfy constraint: {constraints}"),
            );
        }
        if broken_value {
            let constraints = message::constraints_of(held);
            self.fail(
                whole,
                false,
                &format!("Map value must satisfy constraint: {constraints}"),
            );
        }
        Ok(())
    }

    /// Whether a scalar inside a list or map breaks a constraint; the collection says so, not the element.
    fn element_breaks(&mut self, shape: &'static Shape, value: &Value) -> Result<bool, ApiError> {
        if value.is_null() {
            return Ok(true);
        }
        let before = self.failures.len();
        self.value(shape, value)?;
        let broken = self.failures.len() > before;
        self.failures.truncate(before);
        Ok(broken)
    }

    fn string(&mut self, shape: &'static StringShape, text: &str, value: &Value) {
        if shape.length != Bounds::NONE {
            self.length(shape.length, text.chars().count(), value);
        }
        if let Some(pattern) = &shape.pattern
            && !pattern.matches(text)
        {
            self.fail(value, false, &message::pattern(pattern.as_modelled()));
        }
        if !shape.values.is_empty() && !shape.values.contains(&text) {
            self.fail(value, false, &message::values(shape.values));
        }
    }

    fn length(&mut self, bounds: Bounds, length: usize, value: &Value) {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        if let Some(max) = bounds.max.filter(|max| length > *max) {
            self.fail(value, false, &message::length_at_most(max));
        }
        if let Some(min) = bounds.min.filter(|min| length < *min) {
            self.fail(value, false, &message::length_at_least(min));
        }
    }

    fn range(&mut self, bounds: Bounds, number: i64, value: &Value) {
        if let Some(max) = bounds.max.filter(|max| number > *max) {
            self.fail(value, false, &message::value_at_most(max));
        }
        if let Some(min) = bounds.min.filter(|min| number < *min) {
            self.fail(value, false, &message::value_at_least(min));
        }
    }

    fn fail(&mut self, value: &Value, is_missing: bool, constraint: &str) {
        let hidden = (self.hidden || self.touches_sensitive()) && !value.is_null();
        let shown = if hidden { None } else { Some(value) };
        let sentence = message::sentence(shown, &self.path, constraint);
        self.failures.push(Failure {
            root: self.root,
            is_missing,
            sentence,
        });
    }

    /// Whether the value here is sensitive, lies in something sensitive, or holds something sensitive.
    fn touches_sensitive(&self) -> bool {
        self.operation.recording.sensitive.iter().any(|path| {
            path.split('.')
                .zip(&self.names)
                .all(|(part, name)| part == *name)
        })
    }
}

/// Members appear in messages as AWS's framework names its own: with a small first letter.
fn push_decapitalized(name: &str, path: &mut String) {
    let mut characters = name.chars();
    path.extend(characters.next().map(|first| first.to_ascii_lowercase()));
    path.push_str(characters.as_str());
}

fn is_scalar(shape: &Shape) -> bool {
    !matches!(
        shape.kind,
        Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. }
    )
}

fn whole(number: &Number, wanted: &str) -> Result<i64, ApiError> {
    number.as_i64().ok_or_else(|| {
        let given = if number.is_f64() {
            "DECIMAL_VALUE"
        } else {
            "NUMBER_VALUE"
        };
        serialization(format!(
            "{given} can not be converted to {} {wanted}",
            article(wanted)
        ))
    })
}

/// The framework's words for a JSON value of the wrong type.
fn wrong_type(kind: &Kind, value: &Value) -> ApiError {
    let given = match value {
        Value::Array(_) => return serialization("Start of list found where not expected"),
        Value::Object(_) => {
            return serialization("Start of structure or map found where not expected");
        }
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
    };
    let wanted = match kind {
        Kind::Structure(_) => return serialization("Expected a structure"),
        Kind::List { .. } => return serialization("Expected list or null"),
        Kind::Map { .. } => return serialization("Expected map or null"),
        Kind::String(_) => "String",
        Kind::Integer(_) => "Integer",
        Kind::Long(_) => "Long",
        Kind::Float => "Float",
        Kind::Double => "Double",
        Kind::Boolean => "Boolean",
        Kind::Timestamp => "Date",
        Kind::Blob => "Blob",
    };
    serialization(format!(
        "{given} can not be converted to {} {wanted}",
        article(wanted)
    ))
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with('I') { "an" } else { "a" }
}
