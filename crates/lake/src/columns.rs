//! Builders of columns, one for each kind of the schema, filled from JSON values or from plain ones.
//!
//! A value that does not fit its column becomes null and never an error: the whole event stays readable in
//! `eventjson`, and an auditor must not lose an event because a producer wrote a number for a name.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Int32Builder, Int64Builder, ListArray, MapArray,
    StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use cairn_model::EventTime;
use cairn_model::json::{Kind as JsonKind, Value};

use crate::error::LakeError;
use crate::schema::{Kind, Member};

/// Members that the widest struct of the schema has, and room.
const STRUCT_MEMBERS_MAX: usize = 16;

/// Collects the values of one column.
#[derive(Debug)]
pub(crate) enum Column {
    Text(StringBuilder),
    Flag(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Time(TimestampMicrosecondBuilder),
    Map(MapColumn),
    Struct(StructColumn),
    List(ListColumn),
}

#[derive(Debug)]
pub(crate) struct MapColumn {
    ends: Vec<i32>,
    valid: Vec<bool>,
    keys: StringBuilder,
    values: StringBuilder,
}

#[derive(Debug)]
pub(crate) struct StructColumn {
    members: Vec<(&'static str, Column)>,
    valid: Vec<bool>,
}

#[derive(Debug)]
pub(crate) struct ListColumn {
    element: Box<Column>,
    ends: Vec<i32>,
    valid: Vec<bool>,
    length: i32,
}

impl Column {
    /// A column with room for `rows` values.
    pub(crate) fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::with_capacity(rows, 0)),
            Kind::Flag => Self::Flag(BooleanBuilder::with_capacity(rows)),
            Kind::Int => Self::Int(Int32Builder::with_capacity(rows)),
            Kind::Long => Self::Long(Int64Builder::with_capacity(rows)),
            Kind::Time => Self::Time(TimestampMicrosecondBuilder::with_capacity(rows)),
            Kind::Map => Self::Map(MapColumn {
                ends: vec![0],
                valid: Vec::new(),
                keys: StringBuilder::with_capacity(rows, 0),
                values: StringBuilder::with_capacity(rows, 0),
            }),
            Kind::Struct(members) => Self::Struct(StructColumn::new(members, rows)),
            Kind::List(element) => Self::List(ListColumn {
                element: Box::new(Self::new(*element, rows)),
                ends: vec![0],
                valid: Vec::new(),
                length: 0,
            }),
        }
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Flag(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Long(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Map(column) => column.close(false),
            Self::Struct(column) => {
                column.valid.push(false);
                for (_, member) in &mut column.members {
                    member.push_null();
                }
            }
            Self::List(column) => column.close(false),
        }
    }

    /// A text into a text column; null into any other.
    pub(crate) fn push_text(&mut self, text: Option<&str>) {
        match (self, text) {
            (Self::Text(builder), Some(text)) => builder.append_value(text),
            (column, _) => column.push_null(),
        }
    }

    /// A number or time into a column of that kind; null into any other and for what does not fit.
    pub(crate) fn push_number(&mut self, number: i64) {
        match self {
            Self::Int(builder) => builder.append_option(i32::try_from(number).ok()),
            Self::Long(builder) => builder.append_value(number),
            Self::Time(builder) => builder.append_value(number),
            column => column.push_null(),
        }
    }

    /// Texts, or gaps between them, into a list of texts.
    pub(crate) fn push_texts<'t>(&mut self, texts: impl Iterator<Item = Option<&'t str>>) {
        let Self::List(column) = self else {
            return self.push_null();
        };
        for text in texts {
            column.element.push_text(text);
            column.length += 1;
        }
        column.close(true);
    }

    /// A JSON value, as the column's kind reads it.
    pub(crate) fn push_json(&mut self, value: Option<Value<'_, '_>>) {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return self.push_null();
        };
        match self {
            Self::Text(builder) => append_text(builder, value),
            Self::Flag(builder) => builder.append_option(flag(value)),
            Self::Int(builder) => {
                builder.append_option(value.as_i64().and_then(|number| i32::try_from(number).ok()));
            }
            Self::Long(builder) => builder.append_option(value.as_i64()),
            Self::Time(builder) => builder.append_option(time(value)),
            Self::Map(column) => column.push_json(value),
            Self::Struct(column) => column.push_json(value),
            Self::List(column) => column.push_json(value),
        }
    }

    /// The collected values as an array of the field's type.
    pub(crate) fn finish(self, field: &Field) -> Result<ArrayRef, LakeError> {
        let mismatch = || LakeError::Rows {
            doing: "finishing a column",
            reason: format!("column {} has another type", field.name()),
        };
        let rows = LakeError::arrow("finishing a column");
        Ok(match (self, field.data_type()) {
            (Self::Text(mut builder), DataType::Utf8) => Arc::new(builder.finish()),
            (Self::Flag(mut builder), DataType::Boolean) => Arc::new(builder.finish()),
            (Self::Int(mut builder), DataType::Int32) => Arc::new(builder.finish()),
            (Self::Long(mut builder), DataType::Int64) => Arc::new(builder.finish()),
            (Self::Time(mut builder), DataType::Timestamp(..)) => Arc::new(builder.finish()),
            (Self::Map(mut column), DataType::Map(entry, sorted)) => {
                let DataType::Struct(members) = entry.data_type() else {
                    return Err(mismatch());
                };
                let arrays: Vec<ArrayRef> = vec![
                    Arc::new(column.keys.finish()),
                    Arc::new(column.values.finish()),
                ];
                let entries = StructArray::try_new(members.clone(), arrays, None).map_err(rows)?;
                let ends = OffsetBuffer::new(column.ends.into());
                let valid = nulls(&column.valid);
                let made = MapArray::try_new(Arc::clone(entry), ends, entries, valid, *sorted);
                Arc::new(made.map_err(LakeError::arrow("finishing a map"))?)
            }
            (Self::Struct(column), DataType::Struct(fields)) => {
                let mut arrays = Vec::with_capacity(fields.len());
                for ((_, member), field) in column.members.into_iter().zip(fields) {
                    arrays.push(member.finish(field)?);
                }
                let valid = nulls(&column.valid);
                Arc::new(StructArray::try_new(fields.clone(), arrays, valid).map_err(rows)?)
            }
            (Self::List(column), DataType::List(element)) => {
                let values = column.element.finish(element)?;
                let ends = OffsetBuffer::new(column.ends.into());
                let valid = nulls(&column.valid);
                let made = ListArray::try_new(Arc::clone(element), ends, values, valid);
                Arc::new(made.map_err(rows)?)
            }
            _ => return Err(mismatch()),
        })
    }
}

impl MapColumn {
    fn push_json(&mut self, value: Value<'_, '_>) {
        if value.kind() != JsonKind::Object {
            return self.close(false);
        }
        for member in value.members() {
            self.keys.append_value(member.name());
            if member.value.is_null() {
                self.values.append_null();
            } else {
                append_text(&mut self.values, member.value);
            }
        }
        self.close(true);
    }

    fn close(&mut self, valid: bool) {
        self.valid.push(valid);
        self.ends
            .push(i32::try_from(self.keys.len()).unwrap_or(i32::MAX));
    }
}

impl StructColumn {
    fn new(members: &'static [Member], rows: usize) -> Self {
        debug_assert!(members.len() <= STRUCT_MEMBERS_MAX);
        let members = members
            .iter()
            .map(|m| (m.name, Column::new(m.kind, rows)))
            .collect();
        Self {
            members,
            valid: Vec::new(),
        }
    }

    /// Members are found by the spelling of records.
    fn push_json(&mut self, value: Value<'_, '_>) {
        let mut found = [None; STRUCT_MEMBERS_MAX];
        let is_object = value.kind() == JsonKind::Object;
        for member in value.members() {
            let name = member.name();
            let at = self.members.iter().position(|(known, _)| *known == name);
            if let Some(slot) = at.and_then(|at| found.get_mut(at)) {
                *slot = Some(member.value);
            }
        }
        self.valid.push(is_object);
        for ((_, member), value) in self.members.iter_mut().zip(found) {
            member.push_json(value);
        }
    }
}

impl ListColumn {
    fn push_json(&mut self, value: Value<'_, '_>) {
        for element in value.elements() {
            self.element.push_json(Some(element));
            self.length += 1;
        }
        self.close(value.kind() == JsonKind::Array);
    }

    fn close(&mut self, valid: bool) {
        self.valid.push(valid);
        self.ends.push(self.length);
    }
}

fn nulls(valid: &[bool]) -> Option<NullBuffer> {
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

fn flag(value: Value<'_, '_>) -> Option<bool> {
    value.as_bool().or_else(|| match value.as_str()?.as_ref() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}

fn time(value: Value<'_, '_>) -> Option<i64> {
    EventTime::from_str(&value.as_str()?)
        .ok()
        .map(EventTime::as_micros)
}

/// A string's own text; anything else as compact JSON, its tokens unchanged (QRY-248).
fn append_text(builder: &mut StringBuilder, value: Value<'_, '_>) {
    match value.as_str() {
        Some(text) => builder.append_value(text),
        None if matches!(value.kind(), JsonKind::Object | JsonKind::Array) => {
            builder.append_value(compact(value.raw()));
        }
        None => builder.append_value(value.raw()),
    }
}

/// JSON text without the white space between tokens.
fn compact(raw: &str) -> std::borrow::Cow<'_, str> {
    let blank = |c: u8| matches!(c, b' ' | b'\t' | b'\n' | b'\r');
    if !raw.bytes().any(blank) {
        return raw.into();
    }
    let mut text = String::with_capacity(raw.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in raw.chars() {
        if in_string || !c.is_ascii() || !blank(c as u8) {
            text.push(c);
        }
        if escaped {
            escaped = false;
        } else if in_string && c == '\\' {
            escaped = true;
        } else if c == '"' {
            in_string = !in_string;
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn compacting_keeps_strings_and_numbers_as_they_are() {
        let raw = "{ \"a b\" : [ 1.50 , \"x \\\" y\" , -0e1 ],\n\t\"é ü\": \"\\\\\" }";
        assert_eq!(
            compact(raw),
            "{\"a b\":[1.50,\"x \\\" y\",-0e1],\"é ü\":\"\\\\\"}"
        );
        assert_eq!(compact("{\"a\":1}"), "{\"a\":1}");
    }
}
