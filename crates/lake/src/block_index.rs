//! Which blocks of rows of a data file may hold a value, for the columns that lookups search.
//!
//! Bloom filters say that a row group holds a value and then the whole group must be read; this index says
//! which of its blocks of [`BLOCK_ROWS`] rows do. It lies between the last row group and the footer, where
//! Parquet has room for it: other readers never look there, and files without it are searched without it.
//! `docs/formats/lake-tables.md` draws it. Every part has a checksum; what does not match is not used.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray};
use serde::{Deserialize, Serialize};

/// Rows of a block: as many as a data page holds at most.
pub(crate) const BLOCK_ROWS: usize = 1_024;
/// The key of the index in the file's metadata.
pub(crate) const METADATA_KEY: &str = "cairn.blocks";
/// Columns that are indexed.
const COLUMNS: [&str; 7] = [
    "eventid",
    "eventname",
    "eventsource",
    "_lookup_user",
    "_access_key",
    "_resource_names",
    "_resource_types",
];
const VERSION: u32 = 1;
/// One for each value of a hash's highest byte.
const BUCKETS: usize = 256;
/// In the directory, each bucket has the end of its entries and their checksum.
const BUCKET_BYTES: usize = 8;
const ENTRY_BYTES: usize = 4;
/// Bytes of the directory before a column's entries.
const DIRECTORY_BYTES: usize = BUCKETS * BUCKET_BYTES;

/// What the file's metadata says of the index.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BlockIndex {
    version: u32,
    block_rows: usize,
    /// By column: a part for each row group.
    columns: BTreeMap<String, Vec<Part>>,
}

/// One column of one row group.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    offset: u64,
    bytes: u64,
    directory_crc: u32,
}

/// The checked directory of a part.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    part: Part,
    buckets: Vec<(u32, u32)>,
}

/// Where the entries of a value lie, and how to check them.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) range: Range<u64>,
    crc: u32,
    /// The value's hash without its highest byte.
    rest: u32,
}

impl BlockIndex {
    /// Reads what a file's metadata says; none if it says something that this build does not know.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let index: Self = serde_json::from_str(text).ok()?;
        (index.version == VERSION && index.block_rows == BLOCK_ROWS).then_some(index)
    }

    /// The part of a column and row group.
    pub(crate) fn part(&self, column: &str, group: usize) -> Option<Part> {
        self.columns.get(column)?.get(group).copied()
    }
}

impl Part {
    /// Where the directory lies in the file.
    pub(crate) fn directory(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(DIRECTORY_BYTES as u64)
    }

    /// The directory from its bytes; none if they are damaged.
    pub(crate) fn read_directory(&self, bytes: &[u8]) -> Option<Directory> {
        if bytes.len() != DIRECTORY_BYTES || crc32c::crc32c(bytes) != self.directory_crc {
            return None;
        }
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        let buckets = pairs
            .iter()
            .map(|[end, crc]| (u32::from_le_bytes(*end), u32::from_le_bytes(*crc)));
        Some(Directory {
            part: *self,
            buckets: buckets.collect(),
        })
    }
}

impl Directory {
    /// Where to look for a value.
    pub(crate) fn bucket(&self, value: &str) -> Option<Bucket> {
        let hash = crc32c::crc32c(value.as_bytes());
        let index = usize::from(hash.to_be_bytes()[0]);
        let start = match index.checked_sub(1) {
            Some(before) => self.buckets.get(before)?.0,
            None => 0,
        };
        let (end, crc) = *self.buckets.get(index)?;
        let entries = self.part.directory().end;
        let at = |entry: u32| entries.checked_add(u64::from(entry) * ENTRY_BYTES as u64);
        let range = at(start)?..at(end)?;
        let inside = start <= end && range.end <= self.part.offset.checked_add(self.part.bytes)?;
        inside.then_some(Bucket {
            range,
            crc,
            rest: hash & 0x00ff_ffff,
        })
    }
}

impl Bucket {
    /// The blocks that may hold the value, in order; none if the bytes are damaged.
    pub(crate) fn blocks(&self, bytes: &[u8]) -> Option<Vec<usize>> {
        if crc32c::crc32c(bytes) != self.crc {
            return None;
        }
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let first = entries.partition_point(|entry| u32::from_le_bytes(*entry) >> 8 < self.rest);
        let found = entries[first..]
            .iter()
            .map(|entry| u32::from_le_bytes(*entry))
            .take_while(|entry| entry >> 8 == self.rest);
        let blocks: Vec<usize> = found
            .map(|entry| usize::from(entry.to_le_bytes()[0]))
            .collect();
        blocks
            .is_sorted_by(|one, next| one < next)
            .then_some(blocks)
    }
}

/// Collects the index of a file while its rows are written.
#[derive(Debug)]
pub(crate) struct BlockIndexBuilder {
    group_rows: usize,
    /// Of the open row group.
    rows: usize,
    columns: Vec<ColumnEntries>,
    /// The finished parts of each row group, in the order of the columns.
    groups: Vec<Vec<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct ColumnEntries {
    /// Of the open block: hashes.
    block: Vec<u32>,
    /// Of the open row group: hash and block.
    group: Vec<(u32, u8)>,
}

impl BlockIndexBuilder {
    /// For a file whose row groups have at most `group_rows` rows, which are 256 blocks or fewer.
    pub(crate) fn new(group_rows: usize) -> Self {
        debug_assert!(group_rows.is_multiple_of(BLOCK_ROWS) && group_rows / BLOCK_ROWS <= 256);
        Self {
            group_rows,
            rows: 0,
            columns: COLUMNS.iter().map(|_| ColumnEntries::default()).collect(),
            groups: Vec::new(),
        }
    }

    /// Adds the rows that follow.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        let mut from = 0;
        while from < batch.num_rows() {
            let room = BLOCK_ROWS - self.rows % BLOCK_ROWS;
            let rows = room.min(batch.num_rows() - from);
            for (column, name) in self.columns.iter_mut().zip(COLUMNS) {
                if let Some(values) = batch.column_by_name(name) {
                    column.add(values.as_ref(), from..from + rows);
                }
            }
            self.rows += rows;
            from += rows;
            if self.rows.is_multiple_of(BLOCK_ROWS) {
                self.end_block();
            }
            if self.rows == self.group_rows {
                self.end_group();
            }
        }
    }

    /// The rows that follow begin a new row group, unless they would anyway.
    pub(crate) fn end_group(&mut self) {
        if self.rows == 0 {
            return;
        }
        if !self.rows.is_multiple_of(BLOCK_ROWS) {
            self.end_block();
        }
        let parts = self.columns.iter_mut().map(ColumnEntries::take_part);
        self.groups.push(parts.collect());
        self.rows = 0;
    }

    /// The parts of the index as bytes and the metadata that says where they are, if the first byte is at
    /// `offset` of the file.
    pub(crate) fn finish(mut self, offset: u64) -> (Vec<u8>, String) {
        self.end_group();
        let mut bytes = Vec::new();
        let mut index = BlockIndex {
            version: VERSION,
            block_rows: BLOCK_ROWS,
            columns: BTreeMap::new(),
        };
        for group in &self.groups {
            for (part, name) in group.iter().zip(COLUMNS) {
                let place = Part {
                    offset: offset + bytes.len() as u64,
                    bytes: part.len() as u64,
                    directory_crc: crc32c::crc32c(&part[..DIRECTORY_BYTES]),
                };
                index
                    .columns
                    .entry(name.to_owned())
                    .or_default()
                    .push(place);
                bytes.extend_from_slice(part);
            }
        }
        let text = serde_json::to_string(&index).expect("names and numbers are JSON");
        (bytes, text)
    }

    fn end_block(&mut self) {
        let block = (self.rows - 1) / BLOCK_ROWS;
        let block = u8::try_from(block).expect("a row group has at most 256 blocks");
        for column in &mut self.columns {
            column.block.sort_unstable();
            column.block.dedup();
            let entries = column.block.drain(..).map(|hash| (hash, block));
            column.group.extend(entries);
        }
    }
}

impl ColumnEntries {
    fn add(&mut self, values: &dyn arrow::array::Array, rows: Range<usize>) {
        if let Some(texts) = values.as_string_opt::<i32>() {
            self.add_texts(texts, rows);
        } else if let Some(lists) = values.as_list_opt::<i32>()
            && let Some(texts) = lists.values().as_string_opt::<i32>()
        {
            let ends = lists.offsets();
            let place = |row: usize| usize::try_from(ends[row]).unwrap_or(0);
            self.add_texts(texts, place(rows.start)..place(rows.end));
        }
    }

    fn add_texts(&mut self, texts: &StringArray, places: Range<usize>) {
        for place in places {
            if texts.is_valid(place) {
                self.block
                    .push(crc32c::crc32c(texts.value(place).as_bytes()));
            }
        }
    }

    /// The entries of the row group as directory and buckets.
    fn take_part(&mut self) -> Vec<u8> {
        let mut entries = std::mem::take(&mut self.group);
        entries.sort_unstable();
        let mut part = vec![0; DIRECTORY_BYTES];
        part.reserve(entries.len() * ENTRY_BYTES);
        let (mut start, mut end) = (DIRECTORY_BYTES, 0_u32);
        for bucket in 0..BUCKETS {
            let rest = &entries[end as usize..];
            let count = rest.partition_point(|(hash, _)| (hash >> 24) as usize <= bucket);
            for (hash, block) in &rest[..count] {
                part.extend_from_slice(&((hash << 8) | u32::from(*block)).to_le_bytes());
            }
            end += u32::try_from(count).expect("a row group has far fewer values");
            let crc = crc32c::crc32c(&part[start..]);
            start = part.len();
            let place = bucket * BUCKET_BYTES;
            part[place..place + 4].copy_from_slice(&end.to_le_bytes());
            part[place + 4..place + 8].copy_from_slice(&crc.to_le_bytes());
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;

    use super::*;

    fn batch(values: &[&str]) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        RecordBatch::try_from_iter([("eventname", column)]).expect("one column")
    }

    /// The blocks of each row group that the finished index names for a value.
    fn find(index: &BlockIndex, bytes: &[u8], base: u64, value: &str) -> Vec<Option<Vec<usize>>> {
        let cut = |range: Range<u64>| {
            let place = |at: u64| usize::try_from(at - base).expect("small");
            &bytes[place(range.start)..place(range.end)]
        };
        let groups = index.columns["eventname"].len();
        let of_group = |group| {
            let part = index.part("eventname", group).expect("a part");
            let directory = part.read_directory(cut(part.directory()))?;
            let bucket = directory.bucket(value)?;
            bucket.blocks(cut(bucket.range.clone()))
        };
        (0..groups).map(of_group).collect()
    }

    #[test]
    fn a_row_group_may_end_early() {
        let mut builder = BlockIndexBuilder::new(2 * BLOCK_ROWS);
        let many = vec!["a"; BLOCK_ROWS + 1];
        builder.add(&batch(&many));
        builder.end_group();
        builder.add(&batch(&many[..BLOCK_ROWS]));
        builder.add(&batch(&["b"]));
        builder.end_group();
        builder.end_group();
        let (bytes, text) = builder.finish(0);
        let index = BlockIndex::read(&text).expect("this build's version");
        let of = |value| find(&index, &bytes, 0, value);
        assert_eq!(of("a"), [Some(vec![0, 1]), Some(vec![0])]);
        assert_eq!(of("b"), [Some(vec![]), Some(vec![1])]);
    }

    #[test]
    fn every_value_is_found_in_its_blocks_and_damage_is_noticed() {
        let group_rows = 2 * BLOCK_ROWS;
        let names: Vec<String> = (0..5 * BLOCK_ROWS)
            .map(|row| format!("n{}", row % 4_000))
            .collect();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut builder = BlockIndexBuilder::new(group_rows);
        for step in texts.chunks(700) {
            builder.add(&batch(step));
        }
        let (bytes, text) = builder.finish(4);
        let index = BlockIndex::read(&text).expect("this build's version");
        for (row, name) in texts.iter().enumerate() {
            let (group, block) = (row / group_rows, row % group_rows / BLOCK_ROWS);
            let found = find(&index, &bytes, 4, name);
            let blocks = found[group].as_ref().expect("undamaged");
            assert!(
                blocks.contains(&block),
                "{name}: {block} is not in {blocks:?}"
            );
        }
        let nowhere: Vec<_> = find(&index, &bytes, 4, "absent")
            .into_iter()
            .flatten()
            .collect();
        assert!(nowhere.iter().all(Vec::is_empty), "{nowhere:?}");
        let damaged: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
        assert!(find(&index, &damaged, 4, "n1").iter().all(Option::is_none));
        assert!(BlockIndex::read(&text.replace("\"version\":1", "\"version\":2")).is_none());
    }
}
