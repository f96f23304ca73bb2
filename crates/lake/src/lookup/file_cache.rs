//! What is known of open data files: footers with their page indexes, and bloom filters. Bounded in bytes;
//! what was not used for longest goes first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::RowNumber;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader as _, ParquetRecordBatchStreamBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{
    ColumnChunkMetaData, OffsetIndexBuilder, PageIndexPolicy, ParquetMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::ranged_reader::RangedReader;
use super::scope::Scopes;
use crate::block_index::{BlockIndex, Directory, METADATA_KEY};
use crate::contained::contained_reading;
use crate::error::LakeError;
use crate::live_file::LiveFile;
use crate::objects::Objects;
use crate::parquet_file::leaf_path;
use crate::schema::wrong_column;
use crate::sums::BlockSums;

/// The name of the virtual column that tells a row's number in its file.
pub(super) const ROW_NUMBER: &str = "_row_number";

/// About what a directory of a block index takes.
const DIRECTORY_MEMORY_BYTES: usize = 2_200;

/// Text columns that are read as dictionaries, because comparing a key is cheaper than a text.
const DICTIONARY_COLUMNS: [&str; 8] = [
    "_account",
    "awsregion",
    "eventname",
    "eventsource",
    "_lookup_user",
    "_access_key",
    "_resource_names",
    "_resource_types",
];

/// Columns whose statistics and filters lookups ask for.
const LEAF_COLUMNS: [&str; 10] = [
    "_account",
    "awsregion",
    "eventtime",
    "eventid",
    "eventname",
    "eventsource",
    "_lookup_user",
    "_access_key",
    "_resource_names",
    "_resource_types",
];

/// Columns that lookups read besides those.
const READ_COLUMNS: [&str; 5] = [
    "readonly",
    "eventjson",
    "eventjsonchecksum",
    "_partition",
    "_sequence",
];

/// A data file whose footer has been read. It never changes.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) reader: RangedReader,
    /// For deciding: keys as dictionaries, row numbers beside them.
    pub(super) deciding: ArrowReaderMetadata,
    /// For fetching: every column as it is.
    pub(super) fetching: ArrowReaderMetadata,
    /// The leaf columns of [`LEAF_COLUMNS`].
    leaves: [Option<usize>; LEAF_COLUMNS.len()],
    /// Which blocks of rows may hold a value, if the file says so.
    blocks: Option<BlockIndex>,
    /// By row group and column; none where a directory is damaged.
    directories: Mutex<Directories>,
    /// By row group and leaf column; none where there is no filter.
    blooms: Mutex<Blooms>,
    /// Which rows belong to whom.
    pub(super) scopes: Scopes,
    /// Bytes of all files that are remembered, this one's filters among them.
    remembered: Arc<AtomicUsize>,
}

type Directories = HashMap<(usize, &'static str), Option<Arc<Directory>>>;
type Blooms = HashMap<(usize, usize), Option<Arc<Sbbf>>>;

impl OpenFile {
    async fn open(
        objects: Arc<dyn Objects>,
        file: &LiveFile,
        remembered: Arc<AtomicUsize>,
    ) -> Result<Self, LakeError> {
        let doing = "reading a footer";
        let mut reader = RangedReader::open(objects, &file.key, file.bytes)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = reader
            .get_metadata(Some(&options))
            .await
            .map_err(LakeError::parquet(doing))?;
        if identity(&footer) != (file.rows, file.sequences) {
            let (rows, (first, last)) = identity(&footer);
            return Err(LakeError::Damaged {
                key: file.key.clone(),
                reason: format!("it holds {rows} rows of the sequences {first} to {last}"),
            });
        }
        let footer = with_needed_pages(footer);
        let fetching = ArrowReaderMetadata::try_new(footer, options.clone())
            .map_err(LakeError::parquet(doing))?;
        if let Some(column) = wrong_column(fetching.schema()) {
            return Err(LakeError::Damaged {
                key: file.key.clone(),
                reason: format!("column {column} has another type"),
            });
        }
        let row_number: FieldRef =
            Arc::new(Field::new(ROW_NUMBER, DataType::Int64, false).with_extension_type(RowNumber));
        let options = options
            .with_schema(with_dictionaries(fetching.schema()))
            .with_virtual_columns(vec![row_number])
            .map_err(LakeError::parquet(doing))?;
        let footer = Arc::clone(fetching.metadata());
        let deciding =
            ArrowReaderMetadata::try_new(footer, options).map_err(LakeError::parquet(doing))?;
        let leaves = LEAF_COLUMNS.map(|name| leaf_of(&fetching, name));
        let blocks = block_index(&fetching);
        Ok(Self {
            reader,
            deciding,
            fetching,
            leaves,
            blocks,
            directories: Mutex::default(),
            blooms: Mutex::default(),
            scopes: Scopes::default(),
            remembered,
        })
    }

    /// The leaf column of a name; none if the file has no such column.
    pub(super) fn leaf(&self, name: &str) -> Option<usize> {
        let at = LEAF_COLUMNS.iter().position(|known| *known == name)?;
        self.leaves[at]
    }

    /// Counts bytes that are kept with this file from now on.
    pub(super) fn remember(&self, bytes: usize) {
        self.remembered.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The blocks of a row group that may hold a value of a column, in order; none if nobody can tell.
    pub(super) fn blocks_of(
        &self,
        group: usize,
        column: &'static str,
        value: &str,
    ) -> Result<Option<Vec<usize>>, LakeError> {
        let part = self.blocks.as_ref().and_then(|b| b.part(column, group));
        let Some(part) = part else { return Ok(None) };
        let known = self.lock_directories().get(&(group, column)).cloned();
        let directory = if let Some(known) = known {
            known
        } else {
            let bytes = self.reader.fetch(part.directory())?;
            let directory = part.read_directory(&bytes).map(Arc::new);
            if directory.is_none() {
                let key = self.reader.key.as_str();
                tracing::warn!(object = key, group, column, "a block index is damaged");
            }
            self.remember(DIRECTORY_MEMORY_BYTES);
            self.lock_directories()
                .insert((group, column), directory.clone());
            directory
        };
        let Some(bucket) = directory.and_then(|directory| directory.bucket(value)) else {
            return Ok(None);
        };
        if bucket.range.is_empty() {
            return Ok(bucket.blocks(&[]));
        }
        Ok(bucket.blocks(&self.reader.fetch(bucket.range.clone())?))
    }

    // Held for a look or an insertion; two tasks may read the same directory once each.
    fn lock_directories(&self) -> std::sync::MutexGuard<'_, Directories> {
        self.directories
            .lock()
            .expect("no holder of this lock panics")
    }

    /// The bloom filter of a column in a row group, if it has one.
    pub(super) async fn bloom(
        &self,
        row_group: usize,
        column: usize,
    ) -> Result<Option<Arc<Sbbf>>, LakeError> {
        // Held for the look only; two tasks may read the same filter once each.
        let known = self.lock().get(&(row_group, column)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            self.reader.clone(),
            self.fetching.clone(),
        );
        let read = builder
            .get_row_group_column_bloom_filter(row_group, column)
            .await;
        let filter = read
            .map_err(LakeError::parquet("reading a bloom filter"))?
            .map(Arc::new);
        let bytes = filter.as_deref().map_or(0, bloom_bytes);
        self.remember(bytes);
        self.lock().insert((row_group, column), filter.clone());
        Ok(filter)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Blooms> {
        self.blooms.lock().expect("no holder of this lock panics")
    }

    /// About how much memory this takes, its bloom filters included once they are read.
    fn memory_bytes(&self) -> usize {
        let blooms = self.lock();
        let filters: usize = blooms
            .values()
            .flatten()
            .map(|bloom| bloom_bytes(bloom))
            .sum();
        let sums = self
            .reader
            .sums
            .as_deref()
            .map_or(0, BlockSums::memory_bytes);
        let directories = self.lock_directories().len() * DIRECTORY_MEMORY_BYTES;
        let scopes = self.scopes.memory_bytes();
        self.fetching.metadata().memory_size() + filters + sums + directories + scopes
    }
}

/// Rows, and least and greatest sequence: if these are not what the manifest says, the file is another one
/// (C5).
pub(crate) fn identity(footer: &ParquetMetaData) -> (u64, (u64, u64)) {
    let (mut rows, mut first, mut last) = (0_u64, u64::MAX, 0);
    for group in footer.row_groups() {
        rows = rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        let named = |column: &&ColumnChunkMetaData| column.column_path().string() == "_sequence";
        if let Some(Statistics::Int64(bounds)) = group
            .columns()
            .iter()
            .find(named)
            .and_then(|column| column.statistics())
        {
            let bound = |value: Option<&i64>| value.and_then(|value| u64::try_from(*value).ok());
            first = first.min(bound(bounds.min_opt()).unwrap_or(u64::MAX));
            last = last.max(bound(bounds.max_opt()).unwrap_or(0));
        }
    }
    (rows, (first, last))
}

/// The footer without the page indexes of columns that lookups never read: of a hundred columns they are
/// nearly all of its size, and then a few weeks of large files fill the cache.
fn with_needed_pages(footer: Arc<ParquetMetaData>) -> Arc<ParquetMetaData> {
    let columns = footer.file_metadata().schema_descr().columns().iter();
    let names: Vec<String> = columns
        .map(|column| column.path().parts().first().cloned().unwrap_or_default())
        .collect();
    let named = |leaf: usize, wanted: &[&str]| {
        let name = names.get(leaf);
        name.is_some_and(|name| wanted.contains(&name.as_str()))
    };
    let mut builder = Arc::unwrap_or_clone(footer).into_builder();
    let mut bounds = builder.take_column_index();
    for group in bounds.iter_mut().flatten() {
        for (leaf, index) in group.iter_mut().enumerate() {
            if !named(leaf, &LEAF_COLUMNS) {
                *index = ColumnIndexMetaData::NONE;
            }
        }
    }
    let mut places = builder.take_offset_index();
    for group in places.iter_mut().flatten() {
        for (leaf, index) in group.iter_mut().enumerate() {
            if !named(leaf, &LEAF_COLUMNS) && !named(leaf, &READ_COLUMNS) {
                *index = OffsetIndexBuilder::new().build();
            }
        }
    }
    let builder = builder.set_column_index(bounds).set_offset_index(places);
    Arc::new(builder.build())
}

fn bloom_bytes(bloom: &Sbbf) -> usize {
    bloom.num_blocks() * 32
}

fn leaf_of(file: &ArrowReaderMetadata, name: &str) -> Option<usize> {
    let path = leaf_path(name);
    let columns = file.parquet_schema().columns();
    columns.iter().position(|known| *known.path() == path)
}

/// What the file's metadata says of its block index.
fn block_index(file: &ArrowReaderMetadata) -> Option<BlockIndex> {
    let metadata = file.metadata().file_metadata().key_value_metadata()?;
    let entry = metadata.iter().find(|entry| entry.key == METADATA_KEY)?;
    BlockIndex::read(entry.value.as_deref()?)
}

/// The same schema with the columns that decide as dictionaries.
fn with_dictionaries(schema: &SchemaRef) -> SchemaRef {
    let as_dictionary = |field: &FieldRef| {
        if !DICTIONARY_COLUMNS.contains(&field.name().as_str()) {
            return Arc::clone(field);
        }
        let texts = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let kind = match field.data_type() {
            DataType::List(element) => {
                let element = element.as_ref().clone().with_data_type(texts);
                DataType::List(Arc::new(element))
            }
            _ => texts,
        };
        Arc::new(field.as_ref().clone().with_data_type(kind))
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(as_dictionary).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Open files by key.
#[derive(Debug)]
pub(crate) struct FileCache {
    bytes_max: usize,
    remembered: Arc<AtomicUsize>,
    /// Held for looking and counting, never across an await.
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    files: HashMap<String, (u64, Arc<OpenFile>)>,
    uses: u64,
}

impl FileCache {
    /// A cache of at most about `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            remembered: Arc::default(),
            entries: Mutex::default(),
        }
    }

    /// The open file of a key, read now if it is not known.
    pub(super) async fn open(
        &self,
        objects: &Arc<dyn Objects>,
        file: &LiveFile,
    ) -> Result<Arc<OpenFile>, LakeError> {
        let key = &file.key;
        let known = {
            let mut entries = self.lock();
            let known = entries.touch(key);
            // Filters are read after a file is open: they may have passed the limit since.
            if self.remembered.load(Ordering::Relaxed) > self.bytes_max {
                self.shrink(&mut entries);
            }
            known
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let remembered = Arc::clone(&self.remembered);
        let opening = OpenFile::open(Arc::clone(objects), file, remembered);
        let opened = contained_reading(key, opening).await?;
        let opened = Arc::new(opened);
        let mut entries = self.lock();
        entries.uses += 1;
        let used = entries.uses;
        entries
            .files
            .insert(key.to_owned(), (used, Arc::clone(&opened)));
        self.shrink(&mut entries);
        Ok(opened)
    }

    fn shrink(&self, entries: &mut Entries) {
        let bytes = entries.shrink(self.bytes_max);
        self.remembered.store(bytes, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().expect("no holder of this lock panics")
    }
}

impl Entries {
    fn touch(&mut self, key: &str) -> Option<Arc<OpenFile>> {
        self.uses += 1;
        let uses = self.uses;
        let (used, file) = self.files.get_mut(key)?;
        *used = uses;
        Some(Arc::clone(file))
    }

    /// Files in use elsewhere stay alive there; here they only stop being remembered. Returns the bytes of
    /// those that stay.
    fn shrink(&mut self, bytes_max: usize) -> usize {
        let mut bytes: usize = self
            .files
            .values()
            .map(|(_, file)| file.memory_bytes())
            .sum();
        while bytes > bytes_max && self.files.len() > 1 {
            let oldest = self.files.iter().min_by_key(|(_, (used, _))| *used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            if let Some((_, file)) = self.files.remove(&key) {
                bytes = bytes.saturating_sub(file.memory_bytes());
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::question::SCOPE_COLUMNS;
    use super::super::shown::SHOWN_COLUMNS;
    use super::*;

    #[test]
    fn the_pages_of_every_column_that_lookups_read_stay_known() {
        let others = ["eventtime", "_sequence", "_partition", "eventjsonchecksum"];
        let read = SHOWN_COLUMNS.iter().chain(&SCOPE_COLUMNS).chain(&others);
        for column in read.chain(&DICTIONARY_COLUMNS) {
            let kept = LEAF_COLUMNS.contains(column) || READ_COLUMNS.contains(column);
            assert!(kept, "{column}");
        }
    }
}
