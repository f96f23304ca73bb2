//! A lookup compiled for batches of rows: which rows match, and which row groups and pages can hold any.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, Scalar, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::kernels::{boolean, cmp};
use arrow::datatypes::{Int32Type, Int64Type};
use cairn_model::json::Document;
use cairn_model::{EventTime, PartitionId, Sequence};

use super::{LookupKey, LookupQuery, LookupSource};
use crate::error::LakeError;

/// The columns that say whose event it is and where it happened.
pub(super) const SCOPE_COLUMNS: [&str; 2] = ["_account", "awsregion"];

/// A lookup's conditions, ready to be applied to batches.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) account: String,
    pub(super) region: String,
    /// Microseconds, inclusive.
    pub(super) start: i64,
    /// Microseconds, inclusive.
    pub(super) end: i64,
    /// Only rows after this one in the order newest first.
    after: Option<(i64, i64)>,
    /// Only rows of records before this position; empty if every row of the view may be shown.
    position: Vec<(PartitionId, Sequence)>,
    pub(super) attribute: Option<Attribute>,
}

/// The one attribute of a lookup.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) column: &'static str,
    pub(super) test: Test,
}

/// How a row's value is compared.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// A text column equals.
    Text(String),
    /// A list of texts contains.
    Contains(String),
    /// A flag equals.
    Flag(bool),
    /// A member of `insightDetails` in the record equals: Insights records have no such column.
    InsightDetail { member: &'static str, value: String },
    /// Nothing can match.
    Never,
}

impl Question {
    /// Compiles a lookup. Rows older than `oldest` are past the retention (OVR-036).
    pub(super) fn new(query: &LookupQuery, oldest: EventTime) -> Self {
        let start = query
            .start
            .map_or(oldest, |start| start.max(oldest))
            .as_micros();
        let after = query.after.as_ref().map(|cursor| {
            (
                cursor.time.as_micros(),
                i64::try_from(cursor.sequence.0).unwrap_or(i64::MAX),
            )
        });
        let end = query.end.map_or(i64::MAX, EventTime::as_micros);
        Self {
            account: query.account.as_str().to_owned(),
            region: query.region.as_str().to_owned(),
            start,
            end: after.map_or(end, |(time, _)| end.min(time)),
            after,
            position: query
                .after
                .as_ref()
                .map(|c| c.position.clone())
                .unwrap_or_default(),
            attribute: query
                .attribute
                .as_ref()
                .map(|(key, value)| Attribute::new(query.source, *key, value)),
        }
    }

    /// The same question for rows at or after `time` only.
    pub(super) fn not_before(&self, time: i64) -> Self {
        Self {
            start: self.start.max(time),
            ..self.clone()
        }
    }

    /// The attribute, if rows are decided by it before anything else is read of them. Flags match so many
    /// rows that deciding them with the rest is cheaper.
    pub(super) fn first_decision(&self) -> Option<&Attribute> {
        let attribute = self.attribute.as_ref()?;
        attribute.sought_text().map(|_| attribute)
    }

    /// Every column that deciding needs once the first decision is made, of rows in scope.
    pub(super) fn columns_in_scope(&self) -> Vec<&'static str> {
        let mut columns = vec!["eventtime", "_sequence"];
        if !self.position.is_empty() {
            columns.push("_partition");
        }
        if self.first_decision().is_none() {
            columns.extend(self.attribute.iter().map(|attribute| attribute.column));
        }
        columns
    }

    /// Which rows match. The batch has all columns.
    pub(super) fn matches(&self, batch: &RecordBatch) -> Result<BooleanArray, LakeError> {
        let mut mask = self.in_scope(batch)?;
        if mask.true_count() == 0 {
            return Ok(mask);
        }
        mask = and(&mask, &self.matches_in_scope(batch)?)?;
        match self.first_decision() {
            Some(attribute) if mask.true_count() > 0 => and(&mask, &attribute.matches(batch)?),
            _ => Ok(mask),
        }
    }

    /// Which rows are of the account and Region. The batch has at least [`SCOPE_COLUMNS`].
    pub(super) fn in_scope(&self, batch: &RecordBatch) -> Result<BooleanArray, LakeError> {
        let [account, region] = SCOPE_COLUMNS;
        let account = equals(column(batch, account)?, &self.account)?;
        let region = equals(column(batch, region)?, &self.region)?;
        and(&account, &region)
    }

    /// Which rows match of those that are in scope and passed the first decision. The batch has at least
    /// [`Question::columns_in_scope`].
    pub(super) fn matches_in_scope(&self, batch: &RecordBatch) -> Result<BooleanArray, LakeError> {
        let time = column(batch, "eventtime")?;
        let mut mask = and(
            &compare(cmp::gt_eq(time, &micros(self.start)))?,
            &compare(cmp::lt_eq(time, &micros(self.end)))?,
        )?;
        if let Some((after_time, after_sequence)) = self.after {
            let sequence = column(batch, "_sequence")?;
            let older = compare(cmp::lt(time, &micros(after_time)))?;
            let lower = compare(cmp::lt(sequence, &long(after_sequence)))?;
            mask = and(&mask, &compare(boolean::or(&older, &lower))?)?;
        }
        if !self.position.is_empty() {
            mask = and(&mask, &self.before_position(batch)?)?;
        }
        match &self.attribute {
            Some(attribute) if self.first_decision().is_none() && mask.true_count() > 0 => {
                and(&mask, &attribute.matches(batch)?)
            }
            _ => Ok(mask),
        }
    }

    fn before_position(&self, batch: &RecordBatch) -> Result<BooleanArray, LakeError> {
        let partitions = column(batch, "_partition")?.as_primitive::<arrow::datatypes::Int32Type>();
        let sequences = column(batch, "_sequence")?.as_primitive::<Int64Type>();
        let visible = |(partition, sequence): (&i32, &i64)| {
            self.position.iter().any(|(known, end)| {
                i32::from(known.0) == *partition
                    && u64::try_from(*sequence).is_ok_and(|sequence| sequence < end.0)
            })
        };
        let rows = partitions.values().iter().zip(sequences.values().iter());
        Ok(rows.map(visible).map(Some).collect())
    }
}

impl Attribute {
    fn new(source: LookupSource, key: LookupKey, value: &str) -> Self {
        let text = |column| Self {
            column,
            test: Test::Text(value.to_owned()),
        };
        let contains = |column| Self {
            column,
            test: Test::Contains(value.to_owned()),
        };
        let detail = |member| Self {
            column: "eventjson",
            test: Test::InsightDetail {
                member,
                value: value.to_owned(),
            },
        };
        match (source, key) {
            (LookupSource::Insight, LookupKey::EventName) => detail("eventName"),
            (LookupSource::Insight, LookupKey::EventSource) => detail("eventSource"),
            (_, LookupKey::EventId) => text("eventid"),
            (_, LookupKey::EventName) => text("eventname"),
            (_, LookupKey::EventSource) => text("eventsource"),
            (_, LookupKey::AccessKeyId) => text("_access_key"),
            (_, LookupKey::Username) => text("_lookup_user"),
            (_, LookupKey::ResourceName) => contains("_resource_names"),
            (_, LookupKey::ResourceType) => contains("_resource_types"),
            (_, LookupKey::ReadOnly) => {
                let test = match value {
                    "true" => Test::Flag(true),
                    "false" => Test::Flag(false),
                    _ => Test::Never,
                };
                Self {
                    column: "readonly",
                    test,
                }
            }
        }
    }

    /// The text that a bloom filter or statistics can be asked for.
    pub(super) fn sought_text(&self) -> Option<&str> {
        match &self.test {
            Test::Text(value) | Test::Contains(value) => Some(value),
            Test::Flag(_) | Test::InsightDetail { .. } | Test::Never => None,
        }
    }

    pub(super) fn matches(&self, batch: &RecordBatch) -> Result<BooleanArray, LakeError> {
        let values = column(batch, self.column)?;
        match &self.test {
            Test::Text(wanted) => equals(values, wanted),
            Test::Contains(wanted) => contains(values, wanted),
            Test::Flag(wanted) => {
                let flags = values.as_boolean();
                Ok(flags
                    .iter()
                    .map(|flag| Some(flag == Some(*wanted)))
                    .collect())
            }
            Test::InsightDetail { member, value } => Ok(values
                .as_string::<i32>()
                .iter()
                .map(|json| Some(insight_detail(json, member).as_deref() == Some(value.as_str())))
                .collect()),
            Test::Never => Ok(BooleanArray::from(vec![false; batch.num_rows()])),
        }
    }
}

/// A member of a record's `insightDetails`.
pub(super) fn insight_detail(json: Option<&str>, member: &str) -> Option<String> {
    let document = Document::parse(json?.as_bytes()).ok()?;
    let value = document.root().path(&["insightDetails", member])?;
    value.as_str().map(std::borrow::Cow::into_owned)
}

/// A column by name.
pub(super) fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef, LakeError> {
    batch.column_by_name(name).ok_or(LakeError::UnknownSchema {
        columns: batch.num_columns(),
    })
}

/// Rows whose text equals `wanted`. A null equals nothing.
fn equals(values: &ArrayRef, wanted: &str) -> Result<BooleanArray, LakeError> {
    let wanted = Scalar::new(StringArray::from(vec![wanted]));
    compare(cmp::eq(values, &wanted))
}

/// Rows whose list has an element that equals `wanted`.
fn contains(values: &ArrayRef, wanted: &str) -> Result<BooleanArray, LakeError> {
    let lists = values.as_list::<i32>();
    let hits = equals(lists.values(), wanted)?;
    let bounds = lists.offsets().windows(2);
    let found = bounds.enumerate().map(|(row, bounds)| {
        let elements = (bounds[0]..bounds[1]).filter_map(|at| usize::try_from(at).ok());
        Some(lists.is_valid(row) && elements.into_iter().any(|at| hits.value(at)))
    });
    Ok(found.collect())
}

fn micros(value: i64) -> Scalar<TimestampMicrosecondArray> {
    Scalar::new(TimestampMicrosecondArray::from(vec![value]))
}

fn long(value: i64) -> Scalar<Int64Array> {
    Scalar::new(Int64Array::from(vec![value]))
}

fn and(left: &BooleanArray, right: &BooleanArray) -> Result<BooleanArray, LakeError> {
    compare(boolean::and(left, right))
}

/// A comparison with nulls counted as false.
fn compare(
    result: Result<BooleanArray, arrow::error::ArrowError>,
) -> Result<BooleanArray, LakeError> {
    let mask = result.map_err(LakeError::arrow("comparing rows"))?;
    Ok(if mask.null_count() == 0 {
        mask
    } else {
        arrow::compute::prep_null_mask_filter(&mask)
    })
}

/// Text of a row in a plain or dictionary column; none for null.
pub(super) fn text_at(values: &ArrayRef, row: usize) -> Option<String> {
    if values.is_null(row) {
        return None;
    }
    match values.as_dictionary_opt::<Int32Type>() {
        Some(dictionary) => {
            let key = dictionary.key(row)?;
            Some(dictionary.values().as_string::<i32>().value(key).to_owned())
        }
        None => Some(values.as_string::<i32>().value(row).to_owned()),
    }
}

/// The shared form in which questions travel to blocking threads.
pub(super) type SharedQuestion = Arc<Question>;
