//! Looking in one data file: where its newest matching rows are, and what the chosen rows say.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::TryStreamExt as _;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, RowFilter, RowSelection, RowSelector,
};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::file_cache::{OpenFile, ROW_NUMBER};
use super::places::{Place, Source};
use super::question::{Attribute, SharedQuestion, Test, column};
use crate::block_index::BLOCK_ROWS;
use crate::error::LakeError;

/// Rows decided at a time: small, so that a page of common events stops early.
const BATCH_ROWS: usize = 8_192;

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
        if !within_bounds(file, group, question)? {
            continue;
        }
        let selection = match may_hold(file, group, question).await? {
            Hold::Nowhere => continue,
            Hold::Anywhere => wanted_pages(file, group, question)?,
            Hold::Rows(blocks) => Some(match wanted_pages(file, group, question)? {
                Some(pages) => pages.intersection(&blocks),
                None => blocks,
            }),
        };
        if selection.as_ref().is_some_and(|rows| !rows.selects_any()) {
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
        selection: Option<RowSelection>,
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
        .with_projection(projection(&file.deciding, &question.columns()));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
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
            let mask = question.matches(&batch)?;
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
    let (mut first, mut selected) = (0, 0);
    let mut remaining = rows;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let count = usize::try_from(group.num_rows()).unwrap_or(0);
        let inside = remaining.partition_point(|row| *row < first + count);
        if inside > 0 {
            groups.push(index);
            ranges.extend(remaining[..inside].iter().map(|row| {
                let at = selected + row - first;
                at..at + 1
            }));
            selected += count;
        }
        remaining = &remaining[inside..];
        first += count;
    }
    (
        groups,
        RowSelection::from_consecutive_ranges(ranges.into_iter(), selected),
    )
}

fn projection(file: &ArrowReaderMetadata, columns: &[&str]) -> ProjectionMask {
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
    let attribute: Attribute = question.attribute.clone()?;
    if !matches!(attribute.test, Test::Text(_) | Test::Contains(_)) {
        return None;
    }
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

/// False if statistics prove that no row of the group matches.
fn within_bounds(
    file: &OpenFile,
    group: usize,
    question: &SharedQuestion,
) -> Result<bool, LakeError> {
    let metadata = file.deciding.metadata().row_group(group);
    let schema = file.fetching.schema();
    let parquet = file.fetching.parquet_schema();
    let doing = "reading statistics";
    for bound in Bound::of(question) {
        let converter = StatisticsConverter::try_new(bound.column, schema, parquet)
            .map_err(LakeError::parquet(doing))?;
        let lowest = converter
            .row_group_mins([metadata])
            .map_err(LakeError::parquet(doing))?;
        let highest = converter
            .row_group_maxes([metadata])
            .map_err(LakeError::parquet(doing))?;
        if !bound.overlaps(&lowest, &highest, 0) {
            return Ok(false);
        }
    }
    Ok(true)
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
    let parquet = file.fetching.parquet_schema();
    let path = crate::parquet_file::leaf_path(attribute.column);
    let leaf = parquet
        .columns()
        .iter()
        .position(|known| *known.path() == path);
    let Some(leaf) = leaf else {
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

/// What one column's values must lie between.
struct Bound<'q> {
    column: &'static str,
    range: BoundRange<'q>,
}

enum BoundRange<'q> {
    Text(&'q str),
    Micros(i64, i64),
}

impl<'q> Bound<'q> {
    fn of(question: &'q SharedQuestion) -> Vec<Self> {
        let mut bounds = vec![
            Self {
                column: "_account",
                range: BoundRange::Text(&question.account),
            },
            Self {
                column: "awsregion",
                range: BoundRange::Text(&question.region),
            },
            Self {
                column: "eventtime",
                range: BoundRange::Micros(question.start, question.end),
            },
        ];
        if let Some(Attribute {
            column,
            test: Test::Text(wanted),
        }) = &question.attribute
        {
            bounds.push(Self {
                column,
                range: BoundRange::Text(wanted),
            });
        }
        bounds
    }

    /// False if statistics number `at` prove that there is no such value. No statistics prove nothing.
    fn overlaps(
        &self,
        lowest: &arrow::array::ArrayRef,
        highest: &arrow::array::ArrayRef,
        at: usize,
    ) -> bool {
        if lowest.is_null(at) || highest.is_null(at) {
            return true;
        }
        match self.range {
            BoundRange::Text(wanted) => {
                let bounds = (
                    lowest.as_string_opt::<i32>(),
                    highest.as_string_opt::<i32>(),
                );
                let (Some(lowest), Some(highest)) = bounds else {
                    return true;
                };
                lowest.value(at) <= wanted && wanted <= highest.value(at)
            }
            BoundRange::Micros(start, end) => {
                let lowest = lowest.as_primitive_opt::<TimestampMicrosecondType>();
                let highest = highest.as_primitive_opt::<TimestampMicrosecondType>();
                let (Some(lowest), Some(highest)) = (lowest, highest) else {
                    return true;
                };
                lowest.value(at) <= end && start <= highest.value(at)
            }
        }
    }
}

/// The rows of a group that lie in pages which can match, by the page index; none if it has no index.
fn wanted_pages(
    file: &OpenFile,
    group: usize,
    question: &SharedQuestion,
) -> Result<Option<RowSelection>, LakeError> {
    let metadata = file.deciding.metadata();
    let parquet = file.deciding.parquet_schema();
    let (Some(columns), Some(offsets)) = (metadata.column_index(), metadata.offset_index()) else {
        return Ok(None);
    };
    let doing = "reading a page index";
    let rows = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or(0);
    let mut wanted: Option<RowSelection> = None;
    for bound in Bound::of(question) {
        let converter = StatisticsConverter::try_new(bound.column, &file.plain, parquet)
            .map_err(LakeError::parquet(doing))?;
        let Some(leaf) = converter.parquet_column_index() else {
            continue;
        };
        let lowest = converter
            .data_page_mins(columns, offsets, [&group])
            .map_err(LakeError::parquet(doing))?;
        let highest = converter
            .data_page_maxes(columns, offsets, [&group])
            .map_err(LakeError::parquet(doing))?;
        let starts: Vec<usize> = offsets[group][leaf]
            .page_locations()
            .iter()
            .filter_map(|page| usize::try_from(page.first_row_index).ok())
            .collect();
        if lowest.len() != starts.len() {
            continue;
        }
        let selectors = starts.iter().enumerate().map(|(page, start)| {
            let end = starts.get(page + 1).copied().unwrap_or(rows);
            if bound.overlaps(&lowest, &highest, page) {
                RowSelector::select(end - start)
            } else {
                RowSelector::skip(end - start)
            }
        });
        let selection: RowSelection = selectors.collect::<Vec<_>>().into();
        wanted = Some(match wanted {
            None => selection,
            Some(before) => before.intersection(&selection),
        });
    }
    Ok(wanted)
}
