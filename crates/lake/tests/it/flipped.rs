//! Bytes of data files that change while the lake is open (C5): a lookup answers the truth or an error,
//! what the damage does not touch can still be read, and compaction leaves a damaged file alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_lake::{Lake, LakeError, LookupEvent, LookupKey, LookupQuery, LookupSource};
use cairn_model::EventTime;
use parquet::file::metadata::ParquetMetaDataReader;

use crate::formats::first_version;
use crate::results;
use crate::stage::{NOW_MS, Stage, check_rows, event, event_id, events, history};

const EVENTS: u32 = 300;
const MINUTES_APART: i64 = 13;

fn query(account: usize, region: usize) -> LookupQuery {
    let accounts = ["111111111111", "222222222222"];
    let regions = ["us-east-1", "eu-west-1", "ap-south-1"];
    LookupQuery {
        account: accounts[account].parse().expect("valid"),
        region: regions[region].parse().expect("valid"),
        source: LookupSource::Management,
        attribute: None,
        start: None,
        end: None,
        max_results: 50,
        after: None,
    }
}

/// Every account and Region whole, and some attributes.
fn queries() -> Vec<LookupQuery> {
    let mut queries: Vec<_> = (0..6).map(|n| query(n % 2, n % 3)).collect();
    for (key, value) in [
        (LookupKey::EventId, event_id(12)),
        (LookupKey::Username, "user3".to_owned()),
        (LookupKey::AccessKeyId, format!("AKIA{:016}", 6)),
        (LookupKey::EventName, "GetBucketAcl".to_owned()),
        (LookupKey::ReadOnly, "true".to_owned()),
    ] {
        let attribute = Some((key, value));
        queries.push(LookupQuery {
            attribute,
            ..query(0, 0)
        });
    }
    queries
}

async fn answer(lake: &Lake, query: &LookupQuery) -> Result<Vec<LookupEvent>, LakeError> {
    let mut query = query.clone();
    let mut found = Vec::new();
    loop {
        let page = lake.lookup(query.clone()).await?;
        found.extend(page.events);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(found),
        }
    }
}

async fn truth_of(lake: &Lake) -> Vec<Vec<LookupEvent>> {
    let mut truth = Vec::new();
    for query in queries() {
        truth.push(answer(lake, &query).await.expect("nothing is damaged yet"));
    }
    truth
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

/// The numbers of a seeded run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % end.max(1)
    }
}

/// One of the mutations of C5; false if it left the bytes as they were.
fn mutate(numbers: &mut Numbers, file: &Path, others: &[PathBuf]) -> bool {
    let whole = std::fs::read(file).expect("it can be read");
    let mut bytes = whole.clone();
    let at = numbers.below(bytes.len());
    match numbers.below(8) {
        0 => bytes.truncate(at),
        1 => {
            let end = bytes.len().min(at + 1 + numbers.below(4_096));
            bytes[at..end].fill(0);
        }
        // A file of the same kind in its place: another one, or an older one.
        2 => {
            let same: Vec<_> = others
                .iter()
                .filter(|other| other.extension() == file.extension())
                .collect();
            bytes = std::fs::read(same[numbers.below(same.len())]).expect("it can be read");
        }
        _ => bytes[at] ^= 1 << numbers.below(8),
    }
    std::fs::write(file, &bytes).expect("it can be written");
    bytes != whole
}

/// A table of small and compacted files over several days, with hot rows.
async fn filled(stage: &mut Stage) -> Arc<Lake> {
    stage.config.compaction_files_min = 4;
    let lake = stage.open().await;
    let sent: Vec<_> = (0..EVENTS)
        .map(|n| event(n, i64::from(n) * MINUTES_APART + 1))
        .collect();
    for (round, chunk) in sent.chunks(50).enumerate() {
        stage.append(chunk).await;
        match round {
            5 => lake.ingest().await.expect("it works"),
            _ => lake.flush().await.expect("it works"),
        }
        if round == 2 {
            lake.maintain().await.expect("it works");
        }
    }
    lake
}

// Proves: C5
#[tokio::test]
async fn bytes_that_change_under_an_open_lake_make_no_wrong_row() {
    let mut stage = Stage::new().await;
    let lake = filled(&mut stage).await;
    // Footers and filters are remembered from here on.
    let truth = truth_of(&lake).await;
    assert_eq!(truth[..6].iter().map(Vec::len).sum::<usize>(), 300);
    let mut files = Vec::new();
    files_below(&stage.lake_folder().join("event-history/data"), &mut files);
    let mut numbers = Numbers(7);
    let (mut changes, mut met) = (0, 0);
    for mutation in 0..results::mutations(100) {
        let file = files[numbers.below(files.len())].clone();
        let whole = std::fs::read(&file).expect("it can be read");
        changes += u64::from(mutate(&mut numbers, &file, &files));
        let context = format!("mutation {mutation} of {}", file.display());
        let before = lake.status().counts.damaged_objects;
        for (query, truth) in queries().iter().zip(&truth) {
            match answer(&lake, query).await {
                Ok(found) => assert_eq!(&found, truth, "{context}: {query:?}"),
                Err(LakeError::Damaged { .. }) => {}
                Err(other) => panic!("{context}: {other}"),
            }
        }
        met += u64::from(lake.status().counts.damaged_objects > before);
        check_the_rest(&lake, &file, &context).await;
        std::fs::write(&file, whole).expect("it can be written");
    }
    // The others lie where these lookups have nothing to read.
    assert!(met > changes / 4, "{met} of {changes} were met");
    assert_eq!(truth_of(&lake).await, truth, "the mutations are undone");
    let figures = format!("\"met\": {met}, \"wrong rows\": 0");
    results::append("C5 data files under an open lake", changes, &figures);
}

/// Rows of other days than the damaged file's are there.
async fn check_the_rest(lake: &Lake, damaged: &Path, context: &str) {
    let damaged = damaged.to_str().expect("a plain name");
    for number in [6, 126, 246] {
        let minutes = i64::from(number) * MINUTES_APART + 1;
        let time = EventTime::from_micros((NOW_MS - minutes * 60_000) * 1_000).expect("a time");
        if damaged.contains(&time.to_string()[..10]) {
            continue;
        }
        let one = LookupQuery {
            start: Some(time),
            end: Some(time),
            ..query(0, 0)
        };
        let found = answer(lake, &one)
            .await
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(found.len(), 1, "{context}");
        assert_eq!(found[0].event_id, event_id(number), "{context}");
    }
}

// Proves: C5
#[tokio::test]
async fn damage_that_lies_behind_the_page_does_not_matter_to_it() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    // Days of 20 events each in files of their own; the page is full in the third.
    let day = |day: u32| -> Vec<String> {
        let numbers = (0..20).map(move |n| (day * 20 + n) * 6);
        let minutes = |n: u32| i64::from(day) * 1_440 + i64::from(n) % 120 + 1;
        numbers.map(|n| event(n, minutes(n))).collect()
    };
    for number in 0..6 {
        stage.append(&day(number)).await;
        lake.flush().await.expect("it works");
    }
    let truth = lake.lookup(query(0, 0)).await.expect("it is whole").events;
    assert_eq!(truth.len(), 50);
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(view.files.len(), 6, "a file for each day");
    let mut files: Vec<_> = view.files.iter().collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.times.1));
    for (place, file) in files.into_iter().enumerate().rev() {
        let path = stage.lake_folder().join(&file.key);
        let mut bytes = std::fs::read(&path).expect("it exists");
        bytes.fill(0);
        std::fs::write(&path, bytes).expect("it can be written");
        // Another lake remembers nothing of the file.
        let again = stage.open().await;
        match again.lookup(query(0, 0)).await {
            Ok(found) if place >= 3 => assert_eq!(found.events, truth, "file {place}"),
            Err(LakeError::Damaged { .. }) if place < 3 => {}
            other => panic!("file {place}: {other:?}"),
        }
    }
}

// Proves: C5
#[tokio::test]
async fn a_damaged_data_file_is_not_compacted_and_the_others_are() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 2;
    let lake = stage.open().await;
    for n in 0..4 {
        stage.append(&events(n * 20..n * 20 + 20)).await;
        lake.flush().await.expect("it works");
    }
    let view = lake.read_view(&history()).expect("the table exists");
    let damaged = view.files[0].key.clone();
    let path = stage.lake_folder().join(&damaged);
    let whole = std::fs::read(&path).expect("it exists");
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("it can be written");
    let error = lake.maintain().await.expect_err("it is noticed");
    assert!(matches!(error, LakeError::Damaged { .. }), "{error}");
    lake.maintain().await.expect("the others are joined");
    assert_eq!(lake.status().counts.damaged_objects, 1);
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(view.files.len(), 2);
    assert!(view.files.iter().any(|file| file.key == damaged));
    std::fs::write(&path, whole).expect("it can be written");
    check_rows(&lake, &view, &events(0..80)).await;
}

// Proves: C5
#[tokio::test]
async fn rows_of_files_without_block_checksums_are_compared_one_by_one() {
    let stage = Stage::new().await;
    let lake = first_version(&stage).await;
    lake.flush().await.expect("it works");
    let truth = truth_of(&lake).await;
    let view = lake.read_view(&history()).expect("the table exists");
    let old = view.files.iter().find(|file| !file.key.contains("/c"));
    let path = stage.lake_folder().join(&old.expect("the first one").key);
    let whole = std::fs::read(&path).expect("it exists");
    let footer = ParquetMetaDataReader::new()
        .parse_and_finish(&bytes::Bytes::from(whole.clone()))
        .expect("a footer");
    let columns = footer.row_group(0).columns();
    let json = columns
        .iter()
        .find(|column| column.column_path().string() == "eventjson");
    let (start, length) = json.expect("the column exists").byte_range();
    let start = usize::try_from(start).expect("it is small");
    let length = usize::try_from(length).expect("it is small");
    let (mut refused, mut by_checksum) = (0, 0);
    for at in (start..start + length).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x04;
        std::fs::write(&path, bytes).expect("it can be written");
        for (query, truth) in queries().iter().zip(&truth) {
            match answer(&lake, query).await {
                Ok(found) => assert_eq!(&found, truth, "byte {at}"),
                Err(LakeError::Damaged { .. }) => by_checksum += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        by_checksum > 10,
        "{by_checksum} by checksum, {refused} unreadable"
    );
    let mut changed = whole.clone();
    let mut kept = false;
    // Compaction leaves such a file as it is.
    for at in start..start + length {
        changed[at] ^= 0x04;
        std::fs::write(&path, &changed).expect("it can be written");
        if answer(&lake, &queries()[0]).await.is_err() {
            lake.maintain().await.expect_err("it is noticed");
            kept = true;
            break;
        }
        changed[at] ^= 0x04;
    }
    assert!(kept);
    std::fs::write(&path, &whole).expect("it can be written");
    check_rows(&lake, &view, &events(0..6)).await;
}
