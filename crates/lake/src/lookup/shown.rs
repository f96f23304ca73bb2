//! What a page shows of an event: out of the record itself, or out of a row's columns.
//!
//! A record in a data file tells everything, and to read it alone is much cheaper than the columns that were
//! made of it. Hot rows lie in memory as columns; records of Insights name other parts.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use cairn_model::{AccountId, Completion, EventTime, canonicalize};

use super::question::{column, insight_detail, text_at};
use super::{LookupEvent, LookupSource};
use crate::error::LakeError;

/// What the page shows of an event, as columns.
pub(super) const SHOWN_COLUMNS: [&str; 10] = [
    "eventid",
    "eventname",
    "eventsource",
    "eventtime",
    "readonly",
    "eventjson",
    "_lookup_user",
    "_access_key",
    "_resource_names",
    "_resource_types",
];

/// The event as its canonical record tells it, by the rules that made its row; none if this build would not
/// take the record as it is, so that the row must tell.
pub(super) fn event_of_record(json: &Bytes, account: AccountId) -> Option<LookupEvent> {
    let mut completion = Completion {
        account,
        new_event_id: &mut String::new,
    };
    let event = canonicalize(json, &mut completion).ok()?;
    if event.json != *json {
        return None;
    }
    let header = event.header;
    let resources = header.named_resources();
    let resources = resources.map(|resource| {
        let kind = resource.resource_type.as_deref().map(str::to_owned);
        (kind, resource.name.clone().into_owned())
    });
    let resources = resources.collect();
    Some(LookupEvent {
        event_id: header.event_id.into_owned(),
        event_name: header.event_name.into_owned(),
        event_source: header.event_source.into_owned(),
        event_time: header.event_time,
        read_only: header.read_only,
        user_name: header.user_name.map(std::borrow::Cow::into_owned),
        access_key_id: header.access_key_id.map(std::borrow::Cow::into_owned),
        resources,
        json: event.json,
    })
}

/// The event of a row with [`SHOWN_COLUMNS`].
pub(super) fn event_of_row(
    batch: &RecordBatch,
    row: usize,
    source: LookupSource,
) -> Result<LookupEvent, LakeError> {
    let text = |name| column(batch, name).map(|values| text_at(values, row));
    let json = text("eventjson")?.unwrap_or_default();
    // Insights records tell the analysed call in their details (REC-068).
    let named = |name, member| match source {
        LookupSource::Management => text(name),
        LookupSource::Insight => Ok(insight_detail(Some(&json), member)),
    };
    let read_only = column(batch, "readonly")?.as_boolean();
    let times = column(batch, "eventtime")?.as_primitive::<TimestampMicrosecondType>();
    let event_time = EventTime::from_micros(times.value(row));
    Ok(LookupEvent {
        event_id: text("eventid")?.unwrap_or_default(),
        event_name: named("eventname", "eventName")?.unwrap_or_default(),
        event_source: named("eventsource", "eventSource")?.unwrap_or_default(),
        event_time: event_time.map_err(|e| LakeError::Rows {
            doing: "reading an event's time",
            reason: e.to_string(),
        })?,
        read_only: read_only.is_valid(row).then(|| read_only.value(row)),
        user_name: text("_lookup_user")?,
        access_key_id: text("_access_key")?,
        resources: resources_of(batch, row)?,
        json: Bytes::from(json),
    })
}

fn resources_of(
    batch: &RecordBatch,
    row: usize,
) -> Result<Vec<(Option<String>, String)>, LakeError> {
    let texts = |name| -> Result<Vec<Option<String>>, LakeError> {
        let lists = column(batch, name)?.as_list::<i32>();
        if lists.is_null(row) {
            return Ok(Vec::new());
        }
        let list = lists.value(row);
        Ok(list
            .as_string::<i32>()
            .iter()
            .map(|text| text.map(str::to_owned))
            .collect())
    };
    let names = texts("_resource_names")?;
    let types = texts("_resource_types")?;
    let pairs = types.into_iter().zip(names);
    Ok(pairs
        .filter_map(|(kind, name)| name.map(|name| (kind, name)))
        .collect())
}
