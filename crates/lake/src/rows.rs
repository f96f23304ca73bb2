//! From log records to rows: each event becomes one row, its JSON unchanged in `eventjson` and its members
//! taken apart into columns.
//!
//! Taking apart has two steps so that a poison event can be set aside (P8): [`Event::read`] may refuse an
//! event, [`RowBuilder::push`] of an event that was read cannot fail.

use std::cmp::Reverse;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use aws_lc_rs::digest;
use cairn_eventlog::LogRecord;
use cairn_model::json::{Document, Value};
use cairn_model::{
    AccountId, EventClass, EventTime, PartitionId, Region, RoutingHeader, Sequence, destination,
};

use crate::columns::Column;
use crate::error::LakeError;
use crate::schema::{COLUMNS, VISIBLE_COLUMNS, column_index};

/// The order of rows in every object of a table: account, Region, newest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
    pub(crate) time: Reverse<EventTime>,
    pub(crate) sequence: Reverse<Sequence>,
}

/// What the router needs to know of a record.
#[derive(Clone, Debug)]
pub(crate) struct Routed {
    pub(crate) class: EventClass,
    pub(crate) key: SortKey,
}

/// Reads the routing header of an event's record.
pub(crate) fn route(record: &LogRecord) -> Result<Routed, String> {
    let header = RoutingHeader::decode(&record.record.header).map_err(|e| e.to_string())?;
    Ok(Routed {
        class: header.class,
        key: SortKey {
            account: header.account,
            region: header.region,
            time: Reverse(header.event_time),
            sequence: Reverse(record.sequence),
        },
    })
}

/// An event whose header and JSON have been read.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    header: RoutingHeader<'a>,
    document: Document<'a>,
    partition: PartitionId,
    sequence: Sequence,
}

impl<'a> Event<'a> {
    /// Reads a record's header and JSON. The reason, if it is not an event that a row can be made of.
    pub(crate) fn read(partition: PartitionId, record: &'a LogRecord) -> Result<Self, String> {
        let header = RoutingHeader::decode(&record.record.header).map_err(|e| e.to_string())?;
        let document = Document::parse(&record.record.body).map_err(|e| e.to_string())?;
        if document.root().kind() != cairn_model::json::Kind::Object {
            return Err("the event is not a JSON object".to_owned());
        }
        if i64::try_from(record.sequence.0).is_err() {
            return Err("the sequence is out of range".to_owned());
        }
        Ok(Self {
            header,
            document,
            partition,
            sequence: record.sequence,
        })
    }
}

/// Builds a batch of rows.
#[derive(Debug)]
pub(crate) struct RowBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    places: Places,
    rows: usize,
}

impl RowBuilder {
    /// A builder with room for `rows` rows.
    pub(crate) fn new(schema: SchemaRef, rows: usize) -> Self {
        let columns = COLUMNS
            .iter()
            .map(|column| Column::new(column.kind, rows))
            .collect();
        Self {
            schema,
            columns,
            places: Places::new(),
            rows: 0,
        }
    }

    /// Adds an event's row.
    pub(crate) fn push(&mut self, event: &Event<'_>) {
        let mut values: [Option<Value<'_, '_>>; VISIBLE_COLUMNS] = [None; VISIBLE_COLUMNS];
        for member in event.document.root().members() {
            if let Some(place) = self.places.of(&member.name()) {
                values[place] = Some(member.value);
            }
        }
        // REC-048: every table of today is one of history, which shows no context.
        let context = values[self.places.event_context].take();
        let plain = context.and_then(|_| destination::without_context(event.document.text()));
        let json = plain.as_deref().unwrap_or(event.document.text());
        let (visible, hidden) = self.columns.split_at_mut(VISIBLE_COLUMNS);
        for ((column, name), value) in visible.iter_mut().zip(COLUMNS).zip(values) {
            match name.name {
                "eventTime" => column.push_number(event.header.event_time.as_micros()),
                "eventjson" => column.push_text(Some(json)),
                "eventjsonchecksum" => column.push_text(Some(&checksum(json))),
                _ => column.push_json(value),
            }
        }
        let identity = values[self.places.user_identity];
        push_hidden(hidden, event, identity);
        self.rows += 1;
    }

    /// The rows so far. The builder is used up.
    pub(crate) fn finish(self) -> Result<RecordBatch, LakeError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.into_iter().zip(self.schema.fields()) {
            let mut array = column.finish(field)?;
            // Batches stay in memory until they are committed: without the room that was not used.
            Array::shrink_to_fit(&mut array);
            arrays.push(array);
        }
        RecordBatch::try_new(self.schema, arrays).map_err(LakeError::arrow("finishing a batch"))
    }
}

fn push_hidden(columns: &mut [Column], event: &Event<'_>, identity: Option<Value<'_, '_>>) {
    let header = &event.header;
    let member = |path: &[&str]| identity.and_then(|identity| identity.path(path));
    for (column, name) in columns.iter_mut().zip(&COLUMNS[VISIBLE_COLUMNS..]) {
        match name.name {
            "_partition" => column.push_number(i64::from(event.partition.0)),
            "_sequence" => column.push_number(i64::try_from(event.sequence.0).unwrap_or(i64::MAX)),
            "_account" => column.push_text(Some(header.account.as_str())),
            "_lookup_user" => column.push_text(header.user_name.as_deref()),
            "_access_key" => column.push_text(header.access_key_id.as_deref()),
            "_resource_names" => {
                column.push_texts(header.named_resources().map(|r| Some(r.name.as_ref())));
            }
            "_resource_types" => {
                column.push_texts(header.named_resources().map(|r| r.resource_type.as_deref()));
            }
            "_useridentity_type" => column.push_json(member(&["type"])),
            "_useridentity_arn" => column.push_json(member(&["arn"])),
            "_useridentity_accountid" => column.push_json(member(&["accountId"])),
            "_useridentity_principalid" => column.push_json(member(&["principalId"])),
            "_useridentity_username" => column.push_json(member(&["userName"])),
            "_useridentity_invokedby" => column.push_json(member(&["invokedBy"])),
            "_sessionissuer_arn" => {
                column.push_json(member(&["sessionContext", "sessionIssuer", "arn"]));
            }
            "_sessionissuer_username" => {
                column.push_json(member(&["sessionContext", "sessionIssuer", "userName"]));
            }
            _ => column.push_null(),
        }
    }
}

/// SHA-256 of the canonical JSON, lower-case hexadecimal.
pub(crate) fn checksum(json: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = digest::digest(&digest::SHA256, json.as_bytes());
    let mut text = String::with_capacity(64);
    for byte in hash.as_ref() {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    text
}

/// Finds the visible column of a member.
#[derive(Debug)]
struct Places {
    /// Names as records spell them, in order, with their columns.
    sorted: Vec<(&'static str, usize)>,
    user_identity: usize,
    event_context: usize,
}

impl Places {
    fn new() -> Self {
        let visible = COLUMNS[..VISIBLE_COLUMNS].iter().enumerate();
        let mut sorted: Vec<(&'static str, usize)> = visible
            .map(|(place, column)| (column.name, place))
            .collect();
        sorted.sort_unstable();
        let place = |name| column_index(name).expect("the schema has this column");
        Self {
            sorted,
            user_identity: place("useridentity"),
            event_context: place("eventcontext"),
        }
    }

    fn of(&self, name: &str) -> Option<usize> {
        let at = self
            .sorted
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        Some(self.sorted[at].1)
    }
}
