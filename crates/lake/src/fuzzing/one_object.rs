//! A store of one object, and lookups in it.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_catalog::lake::{Generation, TableId};
use cairn_model::EventTime;
use futures::FutureExt as _;
use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Literal, Struct};
use parquet::file::metadata::ParquetMetaDataReader;

use crate::contained::contained;
use crate::error::LakeError;
use crate::live_file::LiveFile;
use crate::lookup::{
    FileCache, LookupKey, LookupPage, LookupQuery, LookupSource, find_page, identity,
};
use crate::making::EVENT_HISTORY;
use crate::names;
use crate::objects::{ObjectError, Objects, location_of};
use crate::view::ReadView;

/// Events of a page.
const EVENTS_MAX: usize = 2;

/// Account, Region, and an attribute.
type Asked = (
    &'static str,
    &'static str,
    Option<(LookupKey, &'static str)>,
);

/// Questions to which the seeds have answers.
const QUESTIONS: [Asked; 4] = [
    ("111111111111", "us-east-1", None),
    (
        "111111111111",
        "us-east-1",
        Some((LookupKey::EventName, "GetBucketAcl")),
    ),
    (
        "222222222222",
        "eu-west-1",
        Some((LookupKey::ResourceName, "bucket1")),
    ),
    (
        "111111111111",
        "ap-south-1",
        Some((LookupKey::ReadOnly, "true")),
    ),
];

/// The file as a manifest would name it: if it ends as this build's files do, under a name with the right
/// checksum, and always under the name that earlier builds gave.
pub(super) fn files_of(bytes: &Bytes) -> Vec<LiveFile> {
    let footer = contained("a footer", || {
        let read = ParquetMetaDataReader::new().parse_and_finish(bytes);
        read.map_err(LakeError::parquet("reading a footer"))
    });
    let Ok(footer) = footer else {
        return Vec::new();
    };
    let (rows, sequences) = identity(&footer);
    let table: TableId = EVENT_HISTORY.parse().expect("a valid name");
    let uuid = "019aa5d3-0000-7000-8000-000000000000";
    let stamps = [
        Some(uuid.to_owned()),
        tail_checksum(bytes).map(|sum| names::stamp(sum, uuid)),
    ];
    let keys = stamps.into_iter().flatten();
    keys.map(|stamp| {
        live_file(
            names::data_key(&table, 20_777, &stamp),
            bytes,
            rows,
            sequences,
        )
    })
    .collect()
}

fn live_file(key: String, bytes: &Bytes, rows: u64, sequences: (u64, u64)) -> LiveFile {
    let mut builder = DataFileBuilder::default();
    builder
        .content(DataContentType::Data)
        .file_path(location_of(&key))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter([Some(Literal::date(20_777))]))
        .partition_spec_id(0)
        .record_count(rows)
        .file_size_in_bytes(bytes.len() as u64);
    LiveFile {
        key,
        day: 20_777,
        rows,
        bytes: bytes.len() as u64,
        accounts: None,
        regions: None,
        times: (0, i64::MAX),
        sequences,
        data_file: builder.build().expect("every part is there"),
        snapshot: 1,
        sequence_number: 1,
    }
}

/// The checksum that the file's name would have: that of all that follows the covered bytes.
fn tail_checksum(bytes: &Bytes) -> Option<u32> {
    let (front, end) = bytes.split_last_chunk::<8>()?;
    let footer = u32::from_le_bytes(*end.first_chunk()?);
    let front = front.get(..front.len().checked_sub(usize::try_from(footer).ok()?)?)?;
    let covered = front
        .strip_suffix(b"CSM1")?
        .strip_suffix(&16_384_u32.to_le_bytes())?;
    let covered = usize::try_from(u64::from_le_bytes(*covered.last_chunk()?)).ok()?;
    bytes.get(covered..).map(crc32c::crc32c)
}

/// Asks every question. What is found is a page of events, or an error. How many events were found.
pub(super) fn look_up(file: &LiveFile, bytes: &Bytes) -> usize {
    let mut events = 0;
    for page in pages(file, bytes).into_iter().flatten() {
        assert!(page.events.len() <= EVENTS_MAX);
        events += page.events.len();
    }
    events
}

/// Why the first question is not answered, if it is not.
#[cfg(test)]
pub(super) fn refusal(file: &LiveFile, bytes: &Bytes) -> Option<LakeError> {
    pages(file, bytes).into_iter().next()?.err()
}

/// A store in which every key is this object.
pub(super) fn store(bytes: &Bytes) -> Arc<dyn Objects> {
    Arc::new(OneObject(bytes.clone()))
}

fn pages(file: &LiveFile, bytes: &Bytes) -> Vec<Result<LookupPage, LakeError>> {
    let objects = store(bytes);
    let view = ReadView {
        table: EVENT_HISTORY.parse().expect("a valid name"),
        generation: Generation(1),
        metadata_key: String::new(),
        schema: Arc::clone(&super::schemas().1),
        positions: Vec::new(),
        committed: Vec::new(),
        hot: Vec::new(),
        files: Arc::new(vec![Arc::new(file.clone())]),
    };
    let cache = FileCache::new(1 << 20);
    let ask = |(account, region, attribute): Asked| {
        let query = LookupQuery {
            account: account.parse().expect("an account"),
            region: region.parse().expect("a Region"),
            source: LookupSource::Management,
            attribute: attribute.map(|(key, value)| (key, value.to_owned())),
            start: None,
            end: None,
            max_results: EVENTS_MAX,
            after: None,
        };
        find_page(&view, &objects, &cache, &query, EventTime::default())
            .now_or_never()
            .expect("nothing waits: the object is in memory")
    };
    QUESTIONS.map(ask).into()
}

#[derive(Debug)]
struct OneObject(Bytes);

#[async_trait]
impl Objects for OneObject {
    async fn put_durable(&self, key: &str, _: Bytes) -> Result<(), ObjectError> {
        Err(ObjectError::NoSpace {
            key: key.to_owned(),
        })
    }

    async fn get(&self, _: &str) -> Result<Bytes, ObjectError> {
        Ok(self.0.clone())
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let start = usize::try_from(range.start).unwrap_or(usize::MAX);
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).max(start);
        if end > self.0.len() {
            return Err(ObjectError::CutOff {
                key: key.to_owned(),
            });
        }
        Ok(self.0.slice(start..end))
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, ObjectError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &str) -> Result<(), ObjectError> {
        Ok(())
    }
}
