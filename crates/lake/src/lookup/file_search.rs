//! Looking in one data file: where its newest matching rows are, and what the chosen rows say.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, RowFilter, RowSelection,
};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::bounds::{Bound, pages_within, within};
use super::file_cache::{OpenFile, ROW_NUMBER};
use super::places::{Place, Source};
use super::question::{Attribute, SharedQuestion, column};
use super::scope::rows_in_scope;
use crate::block_index::BLOCK_ROWS;
use crate::error::LakeError;

/// Rows decided at a time: small, so that a page of common events stops early.
pub(super) const BATCH_ROWS: usize = 8_192;

/// The newest matching rows of a file, at most `wanted`, newest first.
///
/// A file is in the order account, Region, newest first, so the matches of one account and Region come
/// newest first by themselves.
pub(super) async fn newest_places(
    file: &OpenFile,
    index: usize,
    question: &SharedQuestion,
    wanted: usize,
) -> Result<Vec<Place>, LakeError> {
    let mut places = Vec::new();
    for group in 0..file.deciding.metadata().num_row_groups() {
        if places.len() == wanted {
            break;
        }
        let selection = rows_to_search(file, group, question).await?;
        if !selection.selects_any() {
            continue;
        }
        let missing = wanted - places.len();
        let search = GroupSearch {
            file,
            index,
            group,
            question,
        };
        search.places(selection, missing, &mut places).await?;
    }
    Ok(places)
}

/// The rows of the account and Region that can match as far as the footer and the indexes tell.
async fn rows_to_search(
    file: &OpenFile,
    group: usize,
    question: &SharedQuestion,
) -> Result<RowSelection, LakeError> {
    let nothing = RowSelection::default();
    let time = Bound::time(question);
    let attribute = Bound::attribute(question);
    let [account, region] = Bound::scope(question);
    let bounds = [Some(account), Some(region), Some(time), attribute];
    let bounds: Vec<Bound<'_>> = bounds.into_iter().flatten().collect();
    if !within(file, group, &bounds) {
        return Ok(nothing);
    }
    let held = may_hold(file, group, question).await?;
    if matches!(held, Hold::Nowhere) {
        return Ok(nothing);
    }
    let mut rows = RowSelection::clone(&*rows_in_scope(file, group, question).await?);
    // The block index knows better than the pages' bounds which of them hold a text.
    let bounds = match held {
        Hold::Rows(_) => &bounds[2..3],
        _ => &bounds[2..],
    };
    if let Some(pages) = pages_within(file, group, bounds) {
        rows = rows.intersection(&pages);
    }
    if let Hold::Rows(blocks) = held {
        rows = rows.intersection(&blocks);
    }
    Ok(rows)
}

/// A search of one row group.
struct GroupSearch<'s> {
    file: &'s OpenFile,
    index: usize,
    group: usize,
    question: &'s SharedQuestion,
}

impl GroupSearch<'_> {
    /// Adds the newest matching rows, at most `missing`.
    async fn places(
        &self,
        selection: RowSelection,
        mut missing: usize,
        places: &mut Vec<Place>,
    ) -> Result<(), LakeError> {
        let doing = "searching a data file";
        let Self { file, question, .. } = self;
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            file.reader.clone(),
            file.deciding.clone(),
        )
        .with_row_groups(vec![self.group])
        .with_batch_size(BATCH_ROWS)
        .with_row_selection(selection)
        .with_projection(projection(&file.deciding, &question.columns_in_scope()));
        if let Some(filter) = attribute_filter(&file.deciding, question) {
            builder = builder.with_row_filter(filter);
        }
        let mut batches = builder.build().map_err(LakeError::parquet(doing))?;
        while missing > 0 {
            let Some(batch) = batches
                .try_next()
                .await
                .map_err(LakeError::parquet(doing))?
            else {
                break;
            };
            let mask = question.matches_in_scope(&batch)?;
            let times = column(&batch, "eventtime")?.as_primitive::<TimestampMicrosecondType>();
            let sequences = column(&batch, "_sequence")?.as_primitive::<Int64Type>();
            let numbers = column(&batch, ROW_NUMBER)?.as_primitive::<Int64Type>();
            for row in mask.values().set_indices().take(missing) {
                places.push(Place {
                    time: times.value(row),
                    sequence: sequences.value(row),
                    source: Source::File(self.index),
                    row: usize::try_from(numbers.value(row)).unwrap_or(usize::MAX),
                });
            }
            missing = missing.saturating_sub(mask.true_count());
        }
        Ok(())
    }
}

/// The rows with these numbers, which are in ascending order, with the named columns.
pub(super) async fn fetch_rows(
    file: &OpenFile,
    rows: &[usize],
    columns: &[&str],
) -> Result<RecordBatch, LakeError> {
    let doing = "fetching events";
    let (groups, selection) = selection_of(file.fetching.metadata(), rows);
    let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(
        file.reader.clone(),
        file.fetching.clone(),
    )
    .with_row_groups(groups)
    .with_row_selection(selection)
    .with_projection(projection(&file.fetching, columns))
    .build()
    .map_err(LakeError::parquet(doing))?;
    let schema = Arc::clone(stream.schema());
    let batches: Vec<RecordBatch> = stream
        .try_collect()
        .await
        .map_err(LakeError::parquet(doing))?;
    concat_batches(&schema, &batches).map_err(LakeError::arrow("joining fetched events"))
}

/// The row groups that hold the rows, and the rows' places in those groups put end to end.
fn selection_of(metadata: &ParquetMetaData, rows: &[usize]) -> (Vec<usize>, RowSelection) {
    let (mut groups, mut ranges) = (Vec::new(), Vec::<Range<usize>>::new());
    let (mut first, mut selected) = (0_usize, 0_usize);
    let mut remaining = rows;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let count = usize::try_from(group.num_rows()).unwrap_or(0);
        let inside = remaining.partition_point(|row| *row < first.saturating_add(count));
        if inside > 0 {
            groups.push(index);
            ranges.extend(remaining[..inside].iter().map(|row| {
                let at = selected + (row - first);
                at..at + 1
            }));
            selected = selected.saturating_add(count);
        }
        remaining = &remaining[inside..];
        first = first.saturating_add(count);
    }
    (
        groups,
        RowSelection::from_consecutive_ranges(ranges.into_iter(), selected),
    )
}

pub(super) fn projection(file: &ArrowReaderMetadata, columns: &[&str]) -> ProjectionMask {
    let schema = file.metadata().file_metadata().schema();
    let wanted = schema.get_fields().iter().enumerate();
    let roots = wanted
        .filter(|(_, field)| columns.contains(&field.name()))
        .map(|(at, _)| at);
    ProjectionMask::roots(file.parquet_schema(), roots)
}

/// The attribute as a first, cheap decision: rows that fail it are never decoded further. Flags match so
/// many rows that deciding them with the rest is cheaper.
fn attribute_filter(file: &ArrowReaderMetadata, question: &SharedQuestion) -> Option<RowFilter> {
    let attribute: Attribute = question.first_decision()?.clone();
    let mask = projection(file, &[attribute.column]);
    let decide = move |batch: RecordBatch| -> Result<BooleanArray, arrow::error::ArrowError> {
        attribute
            .matches(&batch)
            .map_err(|failure| arrow::error::ArrowError::ExternalError(Box::new(failure)))
    };
    Some(RowFilter::new(vec![Box::new(ArrowPredicateFn::new(
        mask, decide,
    ))]))
}

/// Where in a row group an attribute's value can be.
enum Hold {
    Nowhere,
    Rows(RowSelection),
    Anywhere,
}

/// Asks the block index or, in files without one, the bloom filter.
async fn may_hold(
    file: &OpenFile,
    group: usize,
    question: &SharedQuestion,
) -> Result<Hold, LakeError> {
    let Some(attribute) = &question.attribute else {
        return Ok(Hold::Anywhere);
    };
    let Some(sought) = attribute.sought_text() else {
        return Ok(Hold::Anywhere);
    };
    let blocks = file.blocks_of(group, attribute.column, sought)?;
    if let Some(blocks) = blocks {
        return Ok(if blocks.is_empty() {
            Hold::Nowhere
        } else {
            Hold::Rows(rows_of_blocks(file, group, &blocks))
        });
    }
    let Some(leaf) = file.leaf(attribute.column) else {
        return Ok(Hold::Anywhere);
    };
    let bloom = file.bloom(group, leaf).await?;
    Ok(if bloom.is_none_or(|bloom| bloom.check(sought)) {
        Hold::Anywhere
    } else {
        Hold::Nowhere
    })
}

/// The rows of these blocks of a row group.
fn rows_of_blocks(file: &OpenFile, group: usize, blocks: &[usize]) -> RowSelection {
    let rows = file.deciding.metadata().row_group(group).num_rows();
    let rows = usize::try_from(rows).unwrap_or(0);
    let ranges = blocks
        .iter()
        .map(|block| (block * BLOCK_ROWS).min(rows)..((block + 1) * BLOCK_ROWS).min(rows));
    RowSelection::from_consecutive_ranges(ranges, rows)
}
