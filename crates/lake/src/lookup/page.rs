//! One page out of one consistent view: places first, over hot batches and files, then the rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use cairn_model::{EventTime, Sequence};

use super::file_cache::{FileCache, OpenFile};
use super::file_search;
use super::places::{NewestPlaces, Place, Source};
use super::question::{Question, column};
use super::shown::{SHOWN_COLUMNS, event_of_record, event_of_row};
use super::{LookupCursor, LookupEvent, LookupPage, LookupQuery, LookupSource};
use crate::contained::contained_reading;
use crate::error::LakeError;
use crate::live_file::LiveFile;
use crate::merge::compare_checksums;
use crate::objects::Objects;
use crate::view::ReadView;

/// False if the bounds of a file prove that it holds no matching row.
fn may_hold(file: &LiveFile, question: &Question) -> bool {
    let within = |bounds: &Option<(String, String)>, wanted: &str| {
        bounds
            .as_ref()
            .is_none_or(|(first, last)| first.as_str() <= wanted && wanted <= last.as_str())
    };
    let (oldest, newest) = file.times;
    oldest <= question.end
        && question.start <= newest
        && within(&file.accounts, &question.account)
        && within(&file.regions, &question.region)
}

/// Finds one page. Rows older than `oldest` are past the retention.
pub(crate) async fn find_page(
    view: &ReadView,
    objects: &Arc<dyn Objects>,
    cache: &FileCache,
    query: &LookupQuery,
    oldest: EventTime,
) -> Result<LookupPage, LakeError> {
    let question = Question::new(query, oldest);
    // One more than the page shows tells whether there is a next page.
    let wanted = query.max_results + 1;
    let mut places = newest_places(view, objects, cache, &question, wanted).await?;
    let more = places.len() == wanted;
    places.truncate(query.max_results);
    let events = fetch(view, objects, cache, query, &places).await?;
    let next = match places.last() {
        Some(last) if more => Some(cursor_after(view, query, last)?),
        _ => None,
    };
    Ok(LookupPage { events, next })
}

fn cursor_after(
    view: &ReadView,
    query: &LookupQuery,
    last: &Place,
) -> Result<LookupCursor, LakeError> {
    let out_of_range = |reason: String| LakeError::Rows {
        doing: "ending a page",
        reason,
    };
    let first_page = query.after.as_ref();
    Ok(LookupCursor {
        position: first_page.map_or_else(|| view.positions.clone(), |c| c.position.clone()),
        time: EventTime::from_micros(last.time).map_err(|e| out_of_range(e.to_string()))?,
        sequence: u64::try_from(last.sequence)
            .map(Sequence)
            .map_err(|e| out_of_range(e.to_string()))?,
    })
}

async fn newest_places(
    view: &ReadView,
    objects: &Arc<dyn Objects>,
    cache: &FileCache,
    question: &Question,
    wanted: usize,
) -> Result<Vec<Place>, LakeError> {
    let mut newest = NewestPlaces::new(wanted);
    for (index, batch) in view.hot.iter().enumerate() {
        newest.add(places_in_batch(&batch.rows, index, question)?);
    }
    let mut candidates: Vec<usize> = (0..view.files.len())
        .filter(|at| may_hold(&view.files[*at], question))
        .collect();
    candidates.sort_by_key(|at| std::cmp::Reverse(view.files[*at].times.1));
    for index in candidates {
        let file = &view.files[index];
        let floor = newest.floor().unwrap_or(question.start);
        // Files come by their newest event, so all that follow are too old as well.
        if file.times.1 < floor {
            break;
        }
        let narrowed = Arc::new(question.not_before(floor));
        let open = cache.open(objects, file).await?;
        let search = file_search::newest_places(&open, index, &narrowed, wanted);
        newest.add(contained_reading(&file.key, search).await?);
    }
    Ok(newest.into_vec())
}

fn places_in_batch(
    batch: &RecordBatch,
    index: usize,
    question: &Question,
) -> Result<Vec<Place>, LakeError> {
    let mask = question.matches(batch)?;
    let times = column(batch, "eventtime")?.as_primitive::<TimestampMicrosecondType>();
    let sequences = column(batch, "_sequence")?.as_primitive::<Int64Type>();
    let place = |row| Place {
        time: times.value(row),
        sequence: sequences.value(row),
        source: Source::Hot(index),
        row,
    };
    Ok(mask.values().set_indices().map(place).collect())
}

/// The events at the places, in the places' order.
async fn fetch(
    view: &ReadView,
    objects: &Arc<dyn Objects>,
    cache: &FileCache,
    query: &LookupQuery,
    places: &[Place],
) -> Result<Vec<LookupEvent>, LakeError> {
    let mut events: Vec<Option<LookupEvent>> = vec![None; places.len()];
    // By file: row numbers in ascending order, with the place of each.
    let mut by_file: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, place) in places.iter().enumerate() {
        match place.source {
            Source::Hot(batch) => {
                let rows = &view.hot[batch].rows;
                events[at] = Some(event_of_row(rows, place.row, query.source)?);
            }
            Source::File(file) => by_file.entry(file).or_default().push((place.row, at)),
        }
    }
    for (file, mut rows) in by_file {
        rows.sort_unstable();
        let numbers: Vec<usize> = rows.iter().map(|(row, _)| *row).collect();
        let open = cache.open(objects, &view.files[file]).await?;
        let fetch = fetch_from_file(&open, &numbers, query);
        let fetched = contained_reading(&open.reader.key, fetch).await?;
        for (event, (_, at)) in fetched.into_iter().zip(rows) {
            events[at] = Some(event);
        }
    }
    Ok(events.into_iter().flatten().collect())
}

/// The events of these rows of a file, which are in ascending order.
async fn fetch_from_file(
    file: &OpenFile,
    rows: &[usize],
    query: &LookupQuery,
) -> Result<Vec<LookupEvent>, LakeError> {
    if query.source == LookupSource::Management {
        let batch = fetch_columns(file, rows, &["eventjson"]).await?;
        let records = column(&batch, "eventjson")?.as_string::<i32>();
        let events = records.iter().map(|record| {
            let record = Bytes::copy_from_slice(record?.as_bytes());
            event_of_record(&record, query.account)
        });
        if let Some(events) = events.collect() {
            return Ok(events);
        }
    }
    let batch = fetch_columns(file, rows, &SHOWN_COLUMNS).await?;
    (0..batch.num_rows())
        .map(|row| event_of_row(&batch, row, query.source))
        .collect()
}

/// The columns of these rows, whole and as they were stored, or an error (C5).
async fn fetch_columns(
    file: &OpenFile,
    rows: &[usize],
    columns: &[&str],
) -> Result<RecordBatch, LakeError> {
    let key = &file.reader.key;
    let mut columns = columns.to_vec();
    if file.reader.sums.is_none() {
        columns.push("eventjsonchecksum");
    }
    let batch = file_search::fetch_rows(file, rows, &columns).await?;
    if file.reader.sums.is_none() {
        compare_checksums(key, &batch)?;
    }
    if batch.num_rows() != rows.len() {
        let reason = format!("{} rows instead of {}", batch.num_rows(), rows.len());
        return Err(LakeError::Damaged {
            key: key.clone(),
            reason,
        });
    }
    Ok(batch)
}
