//! Merging of sorted rows: the hot batches of a flush, and the data files of a compaction.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use crate::error::LakeError;
use crate::parquet_file::{DataFileWriter, FinishedFile};
use crate::schema::column_index;

/// Rows that are put together at once.
const STEP_ROWS: usize = 4_096;
/// Rows that are read at once from each data file of a compaction.
const READ_ROWS: usize = 1_024;
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
        for step in rows.chunks(STEP_ROWS) {
            writer.write(&interleave(&batches, step)?)?;
        }
        files.push((day, writer.finish()?));
    }
    Ok(files)
}

fn interleave(batches: &[&RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch, LakeError> {
    interleave_record_batch(batches, rows).map_err(LakeError::arrow("merging rows"))
}

/// Merges data files of one day into one, reading them in step so that memory stays bounded.
pub(crate) fn merge_files(
    schema: &SchemaRef,
    files: Vec<Bytes>,
    rows_expected: usize,
) -> Result<FinishedFile, LakeError> {
    let mut sources = Vec::with_capacity(files.len());
    let mut batches: Vec<RecordBatch> = Vec::new();
    for bytes in files {
        if let Some(source) = Source::open(schema, bytes, &mut batches)? {
            sources.push(source);
        }
    }
    let mut writer = DataFileWriter::new(Arc::clone(schema), rows_expected)?;
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(STEP_ROWS);
    while let Some(least) = least(&sources) {
        let source = &mut sources[least];
        rows.push((source.batch, source.row));
        if !source.step(&mut batches)? {
            sources.swap_remove(least);
        }
        if rows.len() == STEP_ROWS {
            write_step(&mut writer, &mut batches, &mut rows, &mut sources)?;
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
    reader: ParquetRecordBatchReader,
    /// Which of the batches in hand is this file's.
    batch: usize,
    keys: Keys,
    row: usize,
}

impl Source {
    fn open(
        schema: &SchemaRef,
        bytes: Bytes,
        batches: &mut Vec<RecordBatch>,
    ) -> Result<Option<Self>, LakeError> {
        let mut reader = read_file(schema, bytes)?;
        let Some(first) = next_batch(&mut reader)? else {
            return Ok(None);
        };
        let keys = Keys::of(&first)?;
        batches.push(first);
        Ok(Some(Self {
            reader,
            batch: batches.len() - 1,
            keys,
            row: 0,
        }))
    }

    /// Goes one row on; false at the end.
    fn step(&mut self, batches: &mut Vec<RecordBatch>) -> Result<bool, LakeError> {
        self.row += 1;
        if self.row < self.keys.sequences.len() {
            return Ok(true);
        }
        let Some(next) = next_batch(&mut self.reader)? else {
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

/// A reader over all rows of a data file.
pub(crate) fn read_file(
    schema: &SchemaRef,
    bytes: Bytes,
) -> Result<ParquetRecordBatchReader, LakeError> {
    let options = ArrowReaderOptions::new().with_schema(Arc::clone(schema));
    ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)
        .and_then(|builder| builder.with_batch_size(READ_ROWS).build())
        .map_err(LakeError::parquet("opening a data file"))
}

fn next_batch(reader: &mut ParquetRecordBatchReader) -> Result<Option<RecordBatch>, LakeError> {
    for batch in reader {
        let batch = batch.map_err(LakeError::arrow("reading a data file"))?;
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}
