//! Merging of sorted rows: the hot batches of a flush, and the data files of a compaction.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::PageIndexPolicy;

use crate::contained::contained;
use crate::error::LakeError;
use crate::objects::Objects;
use crate::parquet_file::{DataFileWriter, FinishedFile};
use crate::row_sizes::{RowSizes, largest_rows_bytes};
use crate::rows::checksum;
use crate::schema::column_index;
use crate::stored_file::StoredFile;

/// Rows that are put together at once, at most.
const STEP_ROWS: usize = 4_096;
/// Bytes of rows that are put together at once, or one row.
const STEP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows that are read at once from each data file of a compaction, at most.
const READ_ROWS: usize = 1_024;
/// About how many bytes of rows all data files of a compaction have in memory (R18).
const READ_BYTES_MAX: usize = 32 * 1024 * 1024;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The day of an event's time, counted from 1970-01-01.
pub(crate) fn day_of(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX)
}

/// The columns of a batch that order its rows.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    accounts: StringArray,
    regions: StringArray,
    times: TimestampMicrosecondArray,
    sequences: Int64Array,
    sizes: RowSizes,
}

/// What orders rows: account, Region, newest first.
type Key<'a> = (&'a str, &'a str, Reverse<i64>, Reverse<i64>);

impl Keys {
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self, LakeError> {
        Ok(Self {
            accounts: column(batch, "_account", |a| a.as_string_opt::<i32>())?.clone(),
            regions: column(batch, "awsregion", |a| a.as_string_opt::<i32>())?.clone(),
            times: column(batch, "eventtime", |a| {
                a.as_primitive_opt::<TimestampMicrosecondType>()
            })?
            .clone(),
            sequences: column(batch, "_sequence", |a| {
                a.as_primitive_opt::<arrow::datatypes::Int64Type>()
            })?
            .clone(),
            sizes: RowSizes::of(batch)?,
        })
    }

    fn key(&self, row: usize) -> Key<'_> {
        let region = if self.regions.is_null(row) {
            ""
        } else {
            self.regions.value(row)
        };
        let account = self.accounts.value(row);
        (
            account,
            region,
            Reverse(self.times.value(row)),
            Reverse(self.sequences.value(row)),
        )
    }
}

fn column<'b, T>(
    batch: &'b RecordBatch,
    name: &str,
    cast: impl FnOnce(&'b ArrayRef) -> Option<&'b T>,
) -> Result<&'b T, LakeError> {
    let found = column_index(name)
        .and_then(|at| batch.columns().get(at))
        .and_then(cast);
    found.ok_or_else(|| LakeError::Rows {
        doing: "ordering rows",
        reason: format!("column {name} is missing or has another type"),
    })
}

/// Writes the rows of sorted batches as one data file for each day.
pub(crate) fn write_days(
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<(i32, FinishedFile)>, LakeError> {
    let mut keys = Vec::with_capacity(batches.len());
    for batch in batches {
        keys.push(Keys::of(batch)?);
    }
    let mut days: BTreeMap<i32, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, keys) in keys.iter().enumerate() {
        for row in 0..keys.sequences.len() {
            days.entry(day_of(keys.times.value(row)))
                .or_default()
                .push((index, row));
        }
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let mut files = Vec::with_capacity(days.len());
    for (day, mut rows) in days {
        rows.sort_unstable_by(|a, b| keys[a.0].key(a.1).cmp(&keys[b.0].key(b.1)));
        let mut writer = DataFileWriter::new(Arc::clone(schema), rows.len())?;
        let size = |(batch, row): (usize, usize)| keys[batch].sizes.row_bytes(row);
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (mut taken, mut bytes) = (0, 0);
            while taken < rest.len().min(STEP_ROWS) && (taken == 0 || bytes < STEP_BYTES_MAX) {
                bytes += size(rest[taken]);
                taken += 1;
            }
            let (step, later) = rest.split_at(taken);
            writer.write(&interleave(&batches, step)?)?;
            rest = later;
        }
        files.push((day, writer.finish()?));
    }
    Ok(files)
}

fn interleave(batches: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch, LakeError> {
    interleave_record_batch(batches, rows).map_err(LakeError::arrow("merging rows"))
}

/// A data file: its object key and its size.
pub(crate) type NamedFile = (String, u64);

/// Merges data files of one day into one, reading them in step so that memory stays bounded: what is not
/// bounded by a constant is the file that comes out. No row goes in whose bytes are not what was written
/// (C5). Waits for the store on the calling thread.
pub(crate) fn merge_files(
    schema: &SchemaRef,
    objects: &Arc<dyn Objects>,
    files: &[NamedFile],
    rows_expected: usize,
) -> Result<FinishedFile, LakeError> {
    let mut sources = Vec::with_capacity(files.len());
    let mut batches: Vec<RecordBatch> = Vec::new();
    let share = READ_BYTES_MAX / files.len().max(1);
    for (key, bytes) in files {
        let file = StoredFile::open(objects, key, *bytes)?;
        if let Some(source) = Source::open(schema, file, share, &mut batches)? {
            sources.push(source);
        }
    }
    let bytes_expected = files.iter().map(|(_, bytes)| *bytes).sum();
    let mut writer = DataFileWriter::new(Arc::clone(schema), rows_expected)?;
    writer.reserve(bytes_expected);
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(STEP_ROWS);
    let mut bytes = 0;
    while let Some(least) = least(&sources) {
        let source = &mut sources[least];
        rows.push((source.batch, source.row));
        bytes += source.keys.sizes.row_bytes(source.row);
        if !source.step(&mut batches)? {
            sources.swap_remove(least);
        }
        if rows.len() == STEP_ROWS || bytes >= STEP_BYTES_MAX {
            write_step(&mut writer, &mut batches, &mut rows, &mut sources)?;
            bytes = 0;
        }
    }
    write_step(&mut writer, &mut batches, &mut rows, &mut sources)?;
    writer.finish()
}

/// Writes what has been chosen and drops the batches that no source needs any more.
fn write_step(
    writer: &mut DataFileWriter,
    batches: &mut Vec<RecordBatch>,
    rows: &mut Vec<(usize, usize)>,
    sources: &mut [Source],
) -> Result<(), LakeError> {
    if !rows.is_empty() {
        let all: Vec<&RecordBatch> = batches.iter().collect();
        writer.write(&interleave(&all, rows)?)?;
        rows.clear();
    }
    let mut kept = Vec::with_capacity(sources.len());
    for source in sources {
        kept.push(batches[source.batch].clone());
        source.batch = kept.len() - 1;
    }
    *batches = kept;
    Ok(())
}

/// A data file that is being merged: the row at its head.
struct Source {
    file: StoredFile,
    reader: ParquetRecordBatchReader,
    /// Which of the batches in hand is this file's.
    batch: usize,
    keys: Keys,
    row: usize,
}

impl Source {
    fn open(
        schema: &SchemaRef,
        file: StoredFile,
        bytes_share: usize,
        batches: &mut Vec<RecordBatch>,
    ) -> Result<Option<Self>, LakeError> {
        let mut reader = contained(file.key(), || read_file(schema, &file, bytes_share))?;
        let Some(first) = next_batch(&file, &mut reader)? else {
            return Ok(None);
        };
        let source = Self {
            file,
            reader,
            batch: batches.len(),
            keys: Keys::of(&first)?,
            row: 0,
        };
        batches.push(first);
        Ok(Some(source))
    }

    /// Goes one row on; false at the end.
    fn step(&mut self, batches: &mut Vec<RecordBatch>) -> Result<bool, LakeError> {
        self.row += 1;
        if self.row < self.keys.sequences.len() {
            return Ok(true);
        }
        let Some(next) = next_batch(&self.file, &mut self.reader)? else {
            return Ok(false);
        };
        self.keys = Keys::of(&next)?;
        self.row = 0;
        batches.push(next);
        self.batch = batches.len() - 1;
        Ok(true)
    }
}

fn least(sources: &[Source]) -> Option<usize> {
    let order = |a: &usize, b: &usize| -> Ordering {
        let (a, b) = (&sources[*a], &sources[*b]);
        a.keys.key(a.row).cmp(&b.keys.key(b.row))
    };
    (0..sources.len()).min_by(order)
}

/// A reader over all rows of a data file, as many at once as fit in `bytes_max`, or one.
fn read_file(
    schema: &SchemaRef,
    file: &StoredFile,
    bytes_max: usize,
) -> Result<ParquetRecordBatchReader, LakeError> {
    let options = ArrowReaderOptions::new()
        .with_schema(Arc::clone(schema))
        .with_page_index_policy(PageIndexPolicy::Optional);
    let metadata =
        ArrowReaderMetadata::load(file, options).map_err(|error| file.failure(&error))?;
    let rows = (bytes_max / largest_rows_bytes(&metadata)).clamp(1, READ_ROWS);
    ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata)
        .with_batch_size(rows)
        .build()
        .map_err(|error| file.failure(&error))
}

/// Compares each event with the checksum in its row.
pub(crate) fn compare_checksums(key: &str, batch: &RecordBatch) -> Result<(), LakeError> {
    let texts = |name| {
        let column = batch.column_by_name(name);
        column.and_then(|column| column.as_string_opt::<i32>())
    };
    let (Some(events), Some(checksums)) = (texts("eventjson"), texts("eventjsonchecksum")) else {
        return Err(LakeError::UnknownSchema {
            columns: batch.num_columns(),
        });
    };
    for (event, known) in events.iter().zip(checksums) {
        if event.map(checksum).as_deref() != known {
            return Err(LakeError::Damaged {
                key: key.to_owned(),
                reason: "an event does not match its checksum".to_owned(),
            });
        }
    }
    Ok(())
}

/// The next rows of a file that are not none, whole: of files without other checksums, each event is
/// compared with its own.
fn next_batch(
    file: &StoredFile,
    reader: &mut ParquetRecordBatchReader,
) -> Result<Option<RecordBatch>, LakeError> {
    let next = || {
        let batches = reader.map(|batch| batch.map_err(|error| file.failure(&error)));
        let is_filled = |batch: &Result<RecordBatch, LakeError>| {
            batch.as_ref().map_or(true, |batch| batch.num_rows() > 0)
        };
        batches.into_iter().find(is_filled).transpose()
    };
    let batch = contained(file.key(), next)?;
    if let Some(batch) = &batch
        && !file.has_checksums()
    {
        compare_checksums(file.key(), batch)?;
    }
    Ok(batch)
}
