//! LookupEvents' reader: the newest events of one account and Region, by one attribute, straight from the
//! data files and hot objects (OVR-073 to OVR-090). No SQL and no worker: statistics, bloom filters, page
//! indexes and hidden columns say where to look.
//!
//! It reads in two steps. The first finds the places of the newest matching rows, reading only the narrow
//! columns that decide; the second fetches the few rows that the page shows.

mod bounds;
mod file_cache;
mod file_search;
mod page;
mod places;
mod question;
mod ranged_reader;
mod scope;
mod shown;

use std::sync::Arc;

use bytes::Bytes;
use cairn_catalog::lake::TableId;
use cairn_model::{AccountId, EventTime, PartitionId, Region, Sequence};
use serde::{Deserialize, Serialize};

use crate::error::LakeError;
use crate::lake::Lake;
use crate::making::{EVENT_HISTORY, INSIGHTS_EVENTS};

pub(crate) use file_cache::FileCache;
#[cfg(any(test, fuzzing))]
pub(crate) use {file_cache::identity, page::find_page};

/// What to look up. Times are inclusive (OVR-080).
#[derive(Clone, Debug)]
pub struct LookupQuery {
    /// The account whose history is asked for.
    pub account: AccountId,
    /// The Region in which the events happened.
    pub region: Region,
    /// Which history.
    pub source: LookupSource,
    /// At most one attribute and the value it must have (OVR-075).
    pub attribute: Option<(LookupKey, String)>,
    /// Only events at or after this time.
    pub start: Option<EventTime>,
    /// Only events at or before this time.
    pub end: Option<EventTime>,
    /// Events of a page, 1 to 50 (OVR-084).
    pub max_results: usize,
    /// Where the last page ended.
    pub after: Option<LookupCursor>,
}

/// The history that a lookup searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LookupSource {
    /// Management events.
    Management,
    /// Insights events of trails.
    Insight,
}

/// What events can be looked up by (OVR-076).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LookupKey {
    /// `userIdentity.accessKeyId`.
    AccessKeyId,
    /// `eventID`.
    EventId,
    /// `eventName`.
    EventName,
    /// `eventSource`.
    EventSource,
    /// `readOnly`, as `true` or `false` (OVR-078).
    ReadOnly,
    /// Name or ARN of a resource.
    ResourceName,
    /// Type of a resource.
    ResourceType,
    /// The caller's name.
    Username,
}

/// One page, newest first (OVR-085).
#[derive(Clone, Debug, Default)]
pub struct LookupPage {
    /// The events.
    pub events: Vec<LookupEvent>,
    /// Where the next page begins; none at the end (OVR-090).
    pub next: Option<LookupCursor>,
}

/// One event as a lookup shows it (OVR-086).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupEvent {
    /// `eventID`.
    pub event_id: String,
    /// `eventName`.
    pub event_name: String,
    /// `eventSource`.
    pub event_source: String,
    /// `eventTime`.
    pub event_time: EventTime,
    /// `readOnly`, if the record has it.
    pub read_only: Option<bool>,
    /// The caller's name, if it can be told.
    pub user_name: Option<String>,
    /// The caller's access key.
    pub access_key_id: Option<String>,
    /// Type, where known, and name of each resource (OVR-087, OVR-088).
    pub resources: Vec<(Option<String>, String)>,
    /// The record, byte for byte.
    pub json: Bytes,
}

/// Where a page ended, and which log position the first page saw: later pages show nothing newer than
/// that, so that paging is stable while events arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupCursor {
    /// The consistent position of the first page.
    pub position: Vec<(PartitionId, Sequence)>,
    /// Time of the last event shown.
    pub time: EventTime,
    /// Sequence of the last event shown.
    pub sequence: Sequence,
}

impl LookupSource {
    fn table(self) -> TableId {
        let name = match self {
            Self::Management => EVENT_HISTORY,
            Self::Insight => INSIGHTS_EVENTS,
        };
        name.parse()
            .expect("the names of built-in tables are valid")
    }
}

impl Lake {
    /// One page of the newest events that match, out of the newest consistent view; with a cursor, out of
    /// what the first page's view could see.
    ///
    /// At most `lookups_max` read at once; beyond that the answer is [`LakeError::Busy`] (R18).
    pub async fn lookup(&self, query: LookupQuery) -> Result<LookupPage, LakeError> {
        let permit = Arc::clone(self.lookup_permits()).try_acquire_owned();
        let permit = permit.map_err(|_| LakeError::Busy)?;
        let view = self.read_view(&query.source.table())?;
        let objects = Arc::clone(self.objects());
        let cache = Arc::clone(self.file_cache());
        let oldest = self.oldest_visible();
        let runtime = tokio::runtime::Handle::current();
        // Decoding Parquet is work for a thread of its own, not for the ones that serve connections.
        let found = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(page::find_page(&view, &objects, &cache, &query, oldest))
        });
        let found = found
            .await
            .map_err(|lost| LakeError::TaskLost(lost.to_string()))?;
        if matches!(found, Err(LakeError::Damaged { .. })) {
            self.count_damage();
        }
        found
    }
}
