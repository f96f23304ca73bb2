//! What an operation answers: one tree, shown to the caller as XML and kept in the record as JSON.

use std::borrow::Cow;
use std::fmt::Write;

use cairn_model::AccountId;
use chrono::{DateTime, SecondsFormat};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::operation::QueryOperation;
use crate::recorded_time::TimeForm;

/// RFC 3986's unreserved characters stay; IAM encodes documents so in answers (SEC-026).
const DOCUMENT_ENCODING: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Text.
    Text(String),
    /// A time in milliseconds since the epoch.
    Time(i64),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// A policy document: percent-encoded both in the answer and in the record.
    Document(String),
    /// A secret: in the answer only, never recorded (R23).
    Secret(String),
    /// Members in AWS's order.
    Structure(Fields),
    /// A list.
    List(Vec<Shape>),
    /// Names with numbers, as in the account summary.
    Numbers(Vec<(&'static str, i64)>),
}

/// The members of a structure, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(&'static str, Shape)>);

impl Fields {
    /// No members yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Shape) -> Self {
        self.0.push((name, value));
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, name: &'static str, value: impl Into<String>) -> Self {
        self.with(name, Shape::Text(value.into()))
    }

    /// Adds a member if there is a value.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<Shape>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds all of another structure's members.
    #[must_use]
    pub fn extend(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Leaves a member out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(held, _)| *held != name);
        self
    }

    /// As a value.
    pub fn shape(self) -> Shape {
        Shape::Structure(self)
    }
}

/// A resource of the call, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedResource {
    /// Its ARN.
    pub arn: String,
    /// Its owner.
    pub account: AccountId,
    /// Its kind, such as `AWS::IAM::Role`.
    pub kind: &'static str,
}

/// The call concerns another account too, which gets its own record of it: same `sharedEventID`, and
/// the caller shown as `AWSAccount` (REC-062 to REC-065, REC-122).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossAccountCopy {
    /// The other account.
    pub account: AccountId,
}

/// What an operation answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryAnswer {
    /// The result; an operation without output has none.
    pub result: Option<Fields>,
    /// The resources of the call.
    pub resources: Vec<RecordedResource>,
    /// The other account that the call concerns.
    pub cross_account: Option<CrossAccountCopy>,
}

impl QueryAnswer {
    /// An answer without output.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// An answer with these members.
    pub fn of(result: Fields) -> Self {
        Self {
            result: Some(result),
            ..Self::default()
        }
    }

    /// The body of the answer.
    pub fn xml(&self, operation: &QueryOperation, request_id: &str) -> String {
        let (name, namespace) = (operation.name, operation.service.namespace());
        let mut xml = format!("<{name}Response xmlns=\"{namespace}\">\n");
        if let Some(result) = &self.result {
            write_structure(&mut xml, &format!("{name}Result"), result);
        }
        let request_id = escape(request_id);
        let _ = write!(
            xml,
            "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\n\
             </{name}Response>\n"
        );
        xml
    }

    /// `responseElements` of the record: null for an operation that is not recorded with its answer,
    /// or that answers nothing (SEC-025).
    pub fn response_elements(&self, operation: &QueryOperation) -> Value {
        match &self.result {
            Some(result) if operation.records_answer && !result.0.is_empty() => {
                recorded_structure(result, operation.service.time_form())
            }
            _ => Value::Null,
        }
    }
}

/// Text made safe between XML tags. Characters that XML 1.0 cannot hold are replaced.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let unsafe_in_xml = |c: char| {
        matches!(c, '&' | '<' | '>' | '"' | '\r' | '\u{fffe}' | '\u{ffff}')
            || (c < ' ' && c != '\n' && c != '\t')
    };
    if !text.contains(unsafe_in_xml) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#xD;"),
            character if unsafe_in_xml(character) => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

fn write_structure(xml: &mut String, name: &str, fields: &Fields) {
    let _ = writeln!(xml, "<{name}>");
    for (member, value) in &fields.0 {
        write_shape(xml, member, value);
    }
    let _ = writeln!(xml, "</{name}>");
}

fn write_shape(xml: &mut String, name: &str, shape: &Shape) {
    let text: Cow<'_, str> = match shape {
        Shape::Structure(fields) => return write_structure(xml, name, fields),
        Shape::List(items) => {
            let _ = writeln!(xml, "<{name}>");
            for item in items {
                write_shape(xml, "member", item);
            }
            let _ = writeln!(xml, "</{name}>");
            return;
        }
        Shape::Numbers(entries) => {
            let _ = writeln!(xml, "<{name}>");
            for (key, value) in entries {
                let _ = writeln!(xml, "<entry><key>{key}</key><value>{value}</value></entry>");
            }
            let _ = writeln!(xml, "</{name}>");
            return;
        }
        Shape::Text(text) | Shape::Secret(text) => escape(text),
        Shape::Time(millis) => iso_time(*millis).into(),
        Shape::Number(number) => number.to_string().into(),
        Shape::Flag(flag) => flag.to_string().into(),
        Shape::Document(document) => encoded(document).into(),
    };
    let _ = writeln!(xml, "<{name}>{text}</{name}>");
}

/// None for a secret.
fn recorded(shape: &Shape, times: TimeForm) -> Option<Value> {
    Some(match shape {
        Shape::Secret(_) => return None,
        Shape::Text(text) => Value::String(text.clone()),
        Shape::Time(millis) => {
            let time = DateTime::from_timestamp_millis(*millis).unwrap_or_default();
            Value::String(times.write(time))
        }
        Shape::Number(number) => Value::from(*number),
        Shape::Flag(flag) => Value::Bool(*flag),
        Shape::Document(document) => Value::String(encoded(document)),
        Shape::Structure(fields) => recorded_structure(fields, times),
        Shape::List(items) => Value::Array(
            items
                .iter()
                .filter_map(|item| recorded(item, times))
                .collect(),
        ),
        Shape::Numbers(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (lower_camel(key), Value::from(*value)))
                .collect(),
        ),
    })
}

fn recorded_structure(fields: &Fields, times: TimeForm) -> Value {
    let mut members = Map::new();
    for (name, shape) in &fields.0 {
        if let Some(value) = recorded(shape, times) {
            members.insert(lower_camel(name), value);
        }
    }
    Value::Object(members)
}

fn encoded(document: &str) -> String {
    utf8_percent_encode(document, DOCUMENT_ENCODING).to_string()
}

/// The name of a member in a record: its first letter is small, and no other, as real records show
/// (`s3BucketName`, but also `dBInstanceIdentifier` and `iPAddress`).
pub(crate) fn lower_camel(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

fn iso_time(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}
