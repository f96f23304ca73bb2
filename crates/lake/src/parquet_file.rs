//! Data files: rows as Parquet, and the metrics that Iceberg keeps of a file so that readers can skip it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use bytes::Bytes;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, PrimitiveType,
    Schema, Struct, Type,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use crate::block_index::{BLOCK_ROWS, BlockIndexBuilder, METADATA_KEY};
use crate::error::LakeError;
use crate::row_sizes::RowSizes;
use crate::schema::{COLUMNS, Kind, column_index};
use crate::sums;

/// Rows of a row group. The group is what a reader holds at once and what a bloom filter covers.
const ROW_GROUP_ROWS_MAX: usize = 131_072;
/// Bytes of a row group, encoded, at which it ends earlier: its pages are in memory until it does (R18).
/// Groups of ordinary events have fewer.
const ROW_GROUP_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows of a data page.
const PAGE_ROWS_MAX: usize = BLOCK_ROWS;
/// Bytes of a page of `eventjson`: what a lookup decompresses to fetch one event.
const EVENT_PAGE_BYTES_MAX: usize = 96 * 1024;
/// Rows between two looks at the size of a page.
const WRITE_BATCH_ROWS: usize = 128;
/// Bytes of events that go in between two looks, if they are more than one.
const WRITE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of minimum and maximum values that are kept.
const STATISTICS_BYTES_MAX: usize = 64;
/// Columns whose values LookupEvents and audit queries ask for one at a time.
const BLOOM_COLUMNS: &[&str] = &["eventid", "_access_key", "_resource_names", "_lookup_user"];
/// Columns with few values, most of which a row group has or has not: a small filter tells.
const SMALL_BLOOM_COLUMNS: &[&str] = &["eventname", "eventsource", "_resource_types"];
/// Different values of such a column that a row group may have before its filter tells less.
const SMALL_BLOOM_VALUES: u64 = 1_024;
/// Share of false answers of a bloom filter.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Columns in which nearly every value is new, so that a dictionary only costs.
const UNIQUE_COLUMNS: &[&str] = &[
    "eventtime",
    "eventid",
    "requestid",
    "eventjson",
    "eventjsonchecksum",
    "_sequence",
];

/// Columns that are small by their encoding alone. Lookups read a page or two of them in many files, and
/// to set up decompression takes longer than that.
const PLAIN_COLUMNS: &[&str] = &[
    "eventsource",
    "eventname",
    "awsregion",
    "readonly",
    "_partition",
    "_sequence",
    "_account",
    "_access_key",
];

/// Writes the rows of one data file.
pub(crate) struct DataFileWriter {
    writer: ArrowWriter<Vec<u8>>,
    blocks: BlockIndexBuilder,
    schema: ArrowSchemaRef,
}

impl std::fmt::Debug for DataFileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataFileWriter").finish_non_exhaustive()
    }
}

/// One in so many bytes more than expected are made room for: checksums, and what joins less well.
const ROOM_SHARE: u64 = 16;

/// A finished data file.
#[derive(Debug)]
pub(crate) struct FinishedFile {
    pub(crate) bytes: Bytes,
    /// For its name.
    pub(crate) checksum: u32,
    pub(crate) metadata: ParquetMetaData,
}

impl DataFileWriter {
    /// A file of about `rows_expected` rows, which sizes its bloom filters.
    pub(crate) fn new(schema: ArrowSchemaRef, rows_expected: usize) -> Result<Self, LakeError> {
        let properties = properties(&schema, rows_expected);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))
            .map_err(LakeError::parquet("beginning a data file"))?;
        let blocks = BlockIndexBuilder::new(ROW_GROUP_ROWS_MAX);
        Ok(Self {
            writer,
            blocks,
            schema,
        })
    }

    /// Makes room for a file of about so many bytes, so that it need not be moved while it grows: for a
    /// time, it would be there twice.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        let bytes = bytes.saturating_add(bytes / ROOM_SHARE);
        // Only what is written takes memory; where so much cannot be had, the file grows as it is written.
        let _ =
            usize::try_from(bytes).map(|bytes| self.writer.inner_mut().try_reserve_exact(bytes));
    }

    /// Adds rows, which continue the table's order. Large events go in few at a time, because the size of
    /// a page is looked at only every so many rows of what goes in together.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        debug_assert_eq!(batch.schema(), self.schema);
        self.blocks.add(batch);
        let sizes = RowSizes::of(batch)?;
        let rows = batch.num_rows();
        let (mut first, mut at) = (0, 0);
        while at < rows {
            let window_end = rows.min(at + WRITE_BATCH_ROWS);
            if sizes.json_bytes(at..window_end) <= WRITE_BYTES_MAX {
                at = window_end;
                continue;
            }
            self.write_slice(batch, first..at)?;
            first = at;
            while at < window_end
                && (at == first || sizes.json_bytes(first..at + 1) <= WRITE_BYTES_MAX)
            {
                at += 1;
            }
            self.write_slice(batch, first..at)?;
            first = at;
        }
        self.write_slice(batch, first..rows)?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES_MAX {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), LakeError> {
        self.blocks.end_group();
        let ended = self.writer.flush();
        ended.map_err(LakeError::parquet("ending a row group"))
    }

    fn write_slice(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<(), LakeError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.writer
            .write(&batch.slice(rows.start, rows.len()))
            .map_err(LakeError::parquet("writing a data file"))
    }

    pub(crate) fn finish(mut self) -> Result<FinishedFile, LakeError> {
        let doing = "ending a data file";
        self.end_group()?;
        let (index, places) = self.blocks.finish(self.writer.bytes_written() as u64);
        let written = self.writer.write_all(&index);
        written.map_err(|error| LakeError::Rows {
            doing,
            reason: error.to_string(),
        })?;
        self.writer
            .append_key_value_metadata(KeyValue::new(METADATA_KEY.to_owned(), places));
        let metadata = self
            .writer
            .finish()
            .map_err(LakeError::parquet("finishing a data file"))?;
        let mut bytes = std::mem::take(self.writer.inner_mut());
        let checksum = sums::seal(&mut bytes)?;
        Ok(FinishedFile {
            bytes: Bytes::from(bytes),
            checksum,
            metadata,
        })
    }
}

fn properties(schema: &ArrowSchemaRef, rows_expected: usize) -> WriterProperties {
    let distinct = u64::try_from(rows_expected.clamp(1, ROW_GROUP_ROWS_MAX)).unwrap_or(1);
    let mut builder = WriterProperties::builder()
        .set_created_by("cairn".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_column_data_page_size_limit(ColumnPath::from("eventjson"), EVENT_PAGE_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_sorting_columns(sorting_columns(schema));
    for name in UNIQUE_COLUMNS {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(*name), false);
    }
    for name in ["eventtime", "_sequence"] {
        let path = ColumnPath::from(name);
        builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    for name in PLAIN_COLUMNS {
        let path = ColumnPath::from(*name);
        builder = builder.set_column_compression(path, Compression::UNCOMPRESSED);
    }
    for name in ["eventjson", "eventjsonchecksum"] {
        let path = ColumnPath::from(name);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    let sized =
        |names: &'static [&'static str], values| names.iter().map(move |name| (*name, values));
    let small = sized(SMALL_BLOOM_COLUMNS, SMALL_BLOOM_VALUES);
    for (name, values) in sized(BLOOM_COLUMNS, distinct).chain(small) {
        let path = leaf_path(name);
        builder = builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_ndv(path, values);
    }
    builder.build()
}

/// The Parquet column that holds a column's texts.
pub(crate) fn leaf_path(name: &str) -> ColumnPath {
    let list = column_index(name).is_some_and(|at| matches!(COLUMNS[at].kind, Kind::List(_)));
    if list {
        ColumnPath::from(vec![
            name.to_owned(),
            "list".to_owned(),
            "element".to_owned(),
        ])
    } else {
        ColumnPath::from(name)
    }
}

/// The table's sort order in Parquet's terms, which count leaf columns.
fn sorting_columns(schema: &ArrowSchemaRef) -> Option<Vec<SortingColumn>> {
    let mut columns = Vec::new();
    for (name, descending) in [
        ("_account", false),
        ("awsregion", false),
        ("eventtime", true),
        ("_sequence", true),
    ] {
        let mut leaf = 0;
        for field in schema.fields() {
            if field.name() == name {
                break;
            }
            leaf += leaves(field.data_type());
        }
        columns.push(SortingColumn {
            column_idx: i32::try_from(leaf).ok()?,
            descending,
            nulls_first: !descending,
        });
    }
    Some(columns)
}

fn leaves(kind: &arrow::datatypes::DataType) -> usize {
    use arrow::datatypes::DataType;
    match kind {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(field) | DataType::Map(field, _) => leaves(field.data_type()),
        _ => 1,
    }
}

/// What Iceberg's manifest says of a data file.
pub(crate) fn describe(
    schema: &Schema,
    location: String,
    day: i32,
    file: &FinishedFile,
) -> Result<DataFile, LakeError> {
    let metrics = Metrics::of(schema, &file.metadata);
    let rows = file.metadata.file_metadata().num_rows();
    let groups = file.metadata.row_groups();
    let mut builder = DataFileBuilder::default();
    builder
        .content(DataContentType::Data)
        .file_path(location)
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter([Some(Literal::date(day))]))
        .partition_spec_id(0)
        .record_count(u64::try_from(rows).unwrap_or(0))
        .file_size_in_bytes(file.bytes.len() as u64)
        .column_sizes(metrics.sizes)
        .value_counts(metrics.values)
        .null_value_counts(metrics.nulls)
        .lower_bounds(metrics.lower)
        .upper_bounds(metrics.upper)
        .split_offsets(Some(
            groups
                .iter()
                .filter_map(RowGroupMetaData::file_offset)
                .collect(),
        ))
        .sort_order_id(SORT_ORDER_ID);
    builder.build().map_err(|error| LakeError::Metadata {
        doing: "describing a data file",
        reason: error.to_string(),
    })
}

/// The only sort order that a table of ours has.
pub(crate) const SORT_ORDER_ID: i32 = 1;

#[derive(Default)]
struct Metrics {
    sizes: HashMap<i32, u64>,
    values: HashMap<i32, u64>,
    nulls: HashMap<i32, u64>,
    lower: HashMap<i32, Datum>,
    upper: HashMap<i32, Datum>,
}

impl Metrics {
    fn of(schema: &Schema, metadata: &ParquetMetaData) -> Self {
        let mut metrics = Self::default();
        let mut unbounded = Vec::new();
        for column in metadata
            .row_groups()
            .iter()
            .flat_map(RowGroupMetaData::columns)
        {
            let description = column.column_descr();
            let basic = description.self_type().get_basic_info();
            if !basic.has_id() {
                continue;
            }
            let id = basic.id();
            add(&mut metrics.sizes, id, column.compressed_size());
            add(&mut metrics.values, id, column.num_values());
            let Some(statistics) = column.statistics() else {
                continue;
            };
            if let Some(nulls) = statistics.null_count_opt() {
                *metrics.nulls.entry(id).or_default() += nulls;
            }
            let kind = schema
                .field_by_id(id)
                .map(|field| field.field_type.as_ref());
            let Some(Type::Primitive(kind)) = kind else {
                continue;
            };
            if description.max_rep_level() > 0 {
                continue;
            }
            match bounds(kind, statistics) {
                Some((lower, upper)) => metrics.widen(id, lower, upper),
                // A group that holds values but no bounds leaves the whole file without.
                None if statistics.null_count_opt() != u64::try_from(column.num_values()).ok() => {
                    unbounded.push(id);
                }
                None => {}
            }
        }
        for id in unbounded {
            metrics.lower.remove(&id);
            metrics.upper.remove(&id);
        }
        metrics
    }

    fn widen(&mut self, id: i32, lower: Datum, upper: Datum) {
        match self.lower.get(&id) {
            Some(known) if *known <= lower => {}
            _ => drop(self.lower.insert(id, lower)),
        }
        match self.upper.get(&id) {
            Some(known) if *known >= upper => {}
            _ => drop(self.upper.insert(id, upper)),
        }
    }
}

fn add(counts: &mut HashMap<i32, u64>, id: i32, more: i64) {
    *counts.entry(id).or_default() += u64::try_from(more).unwrap_or(0);
}

/// Bounds of one row group. Those of a text may be shortened: a lower bound downwards, an upper one
/// upwards, so they stay bounds.
fn bounds(kind: &PrimitiveType, statistics: &Statistics) -> Option<(Datum, Datum)> {
    match (kind, statistics) {
        (PrimitiveType::Boolean, Statistics::Boolean(found)) => Some((
            Datum::bool(*found.min_opt()?),
            Datum::bool(*found.max_opt()?),
        )),
        (PrimitiveType::Int, Statistics::Int32(found)) => {
            Some((Datum::int(*found.min_opt()?), Datum::int(*found.max_opt()?)))
        }
        (PrimitiveType::Long, Statistics::Int64(found)) => Some((
            Datum::long(*found.min_opt()?),
            Datum::long(*found.max_opt()?),
        )),
        (PrimitiveType::Timestamp, Statistics::Int64(found)) => {
            let (lower, upper) = (*found.min_opt()?, *found.max_opt()?);
            Some((
                Datum::timestamp_micros(lower),
                Datum::timestamp_micros(upper),
            ))
        }
        (PrimitiveType::String, Statistics::ByteArray(found)) => {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Datum::string);
            Some((
                text(found.min_opt()?.data())?,
                text(found.max_opt()?.data())?,
            ))
        }
        _ => None,
    }
}
