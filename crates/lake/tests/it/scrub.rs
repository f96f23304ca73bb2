//! The scrub: every byte that the tables refer to is compared with a checksum, round by round, and what
//! does not match is told, once, whatever kind of object it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_lake::{
    EVENT_HISTORY, INSIGHTS_EVENTS, Lake, LakeCounts, LakeError, ObjectError, Objects, key_of,
};
use cairn_platform::{Clock as _, ManualClock};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::formats::first_version;
use crate::stage::{NOW_MS, Stage, check_rows, event, events, history};
use crate::unreadable::{BadSectors, manifests};

const DAY_MINUTES: i64 = 24 * 60;
const INTERVAL: Duration = Duration::from_hours(1);
/// Days with one data file each, so that nothing is there to be joined.
const DAYS: u32 = 6;
const EVENTS_PER_DAY: u32 = 20;

/// A stage whose scrub begins a pass every hour.
async fn stage() -> Stage {
    let mut stage = Stage::new().await;
    stage.config.scrub_interval_ms = 60 * 60 * 1_000;
    stage
}

/// Data files of several days, several manifests, and rows that are hot.
async fn fill(stage: &Stage, lake: &Lake) {
    for day in 0..DAYS {
        let numbers = day * EVENTS_PER_DAY..(day + 1) * EVENTS_PER_DAY;
        let minutes = i64::from(day) * DAY_MINUTES + 1;
        let batch: Vec<_> = numbers.map(|number| event(number, minutes)).collect();
        stage.append(&batch).await;
        lake.flush().await.expect("it works");
    }
    let hot = DAYS * EVENTS_PER_DAY;
    stage.append(&[event(hot, 1), event(hot + 1, 1)]).await;
    lake.ingest().await.expect("it works");
}

/// Objects that the tables refer to now, by kind, with their sizes.
fn referred(stage: &Stage, lake: &Lake) -> BTreeMap<&'static str, BTreeMap<String, u64>> {
    let mut referred: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
    let size = |key: &str| {
        let stored = std::fs::metadata(stage.lake_folder().join(key));
        stored.expect("what is referred to exists").len()
    };
    let mut add = |kind, key: &str| {
        let of_kind = referred.entry(kind).or_default();
        of_kind.insert(key.to_owned(), size(key));
    };
    for table in [EVENT_HISTORY, INSIGHTS_EVENTS] {
        let table = table.parse().expect("a valid name");
        let view = lake.read_view(&table).expect("the table exists");
        add("metadata", &view.metadata_key);
        let text = std::fs::read(stage.lake_folder().join(&view.metadata_key));
        let metadata: Value =
            serde_json::from_slice(&text.expect("it exists")).expect("it is JSON");
        let current = metadata["current-snapshot-id"].as_i64();
        let snapshots = metadata["snapshots"].as_array().cloned();
        for snapshot in snapshots.unwrap_or_default() {
            if snapshot["snapshot-id"].as_i64() == current {
                let list = snapshot["manifest-list"].as_str().and_then(key_of);
                let list = list.expect("a location in the lake");
                add("list", list);
                for manifest in manifests(stage, list) {
                    add("manifest", &manifest);
                }
            }
        }
        for file in view.files.iter() {
            add("data", &file.key);
        }
        for hot in &view.hot {
            add("hot", &hot.object.object);
        }
    }
    referred
}

/// Number and bytes of objects.
fn total(referred: &BTreeMap<&str, BTreeMap<String, u64>>) -> (u64, u64) {
    let all = || referred.values().flatten();
    (all().count() as u64, all().map(|(_, bytes)| bytes).sum())
}

/// Objects and bytes that were compared since `before`.
fn compared(lake: &Lake, before: LakeCounts) -> (u64, u64) {
    let now = lake.status().counts;
    (
        now.scrubbed_objects - before.scrubbed_objects,
        now.scrubbed_bytes - before.scrubbed_bytes,
    )
}

/// Keys of the objects that log lines call damaged, in order.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    /// Listens on this thread until the guard goes.
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let told = Self::default();
        let guard = tracing::subscriber::set_default(told.clone());
        (told, guard)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("unharmed"))
    }
}

impl tracing::Subscriber for Told {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut ObjectField(&self.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct ObjectField<'t>(&'t Mutex<Vec<String>>);

impl Visit for ObjectField<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "object" {
            self.0.lock().expect("unharmed").push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// A store that notes the ranges that are read, each of which takes some time.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn Objects>,
    clock: ManualClock,
    read_takes: Duration,
    read: Mutex<Vec<(String, Range<u64>)>>,
}

impl Watched {
    fn over(stage: &Stage, read_takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            inner: stage.objects(),
            clock: stage.clock.clone(),
            read_takes,
            read: Mutex::default(),
        })
    }

    /// What was read since the last call.
    fn take(&self) -> Vec<(String, Range<u64>)> {
        std::mem::take(&mut self.read.lock().expect("unharmed"))
    }
}

#[async_trait]
impl Objects for Watched {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.inner.put_durable(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.inner.get(key).await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.clock.advance(self.read_takes);
        let noted = (key.to_owned(), range.clone());
        self.read.lock().expect("unharmed").push(noted);
        self.inner.get_range_blocking(key, range)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
}

#[tokio::test]
async fn a_pass_compares_every_byte_once_and_the_next_one_comes_when_it_is_due() {
    let stage = stage().await;
    let lake = stage.open().await;
    fill(&stage, &lake).await;
    lake.maintain().await.expect("nothing is damaged");
    let all = referred(&stage, &lake);
    assert_eq!(all.keys().len(), 5, "objects of every kind: {all:?}");
    assert!(
        all["data"].len() >= 6 && all["manifest"].len() >= 6,
        "{all:?}"
    );
    let first = lake.status().counts;
    let done = (first.scrubbed_objects, first.scrubbed_bytes);
    assert_eq!(done, total(&all));
    assert_eq!(first.scrub_finished_ms, NOW_MS);
    assert_eq!((first.scrub_passed_over, first.damaged_objects), (0, 0));

    let moment = Duration::from_millis(1);
    stage.clock.advance(INTERVAL.saturating_sub(moment));
    lake.maintain().await.expect("nothing is damaged");
    assert_eq!(compared(&lake, first), (0, 0), "it is not due");
    stage.clock.advance(moment);
    lake.maintain().await.expect("nothing is damaged");
    assert_eq!(compared(&lake, first), total(&referred(&stage, &lake)));
    let counts = lake.status().counts;
    assert_eq!(counts.scrub_finished_ms, stage.clock.now_ms());
    assert_eq!((counts.damaged_objects, counts.failures), (0, 0));
}

/// What happens to a file's bytes.
type Harm = fn(&mut Vec<u8>);

/// Flips a bit in the byte whose place `at` chooses by the length.
fn flip_at(bytes: &mut [u8], at: fn(usize) -> usize) {
    bytes[at(bytes.len())] ^= 0x10;
}

/// Kinds of objects and what happens to one of each.
const HARMS: [(&str, &str, Harm); 15] = [
    ("metadata", "first bit", |b| flip_at(b, |_| 0)),
    ("metadata", "last bit", |b| flip_at(b, |length| length - 1)),
    ("list", "a bit", |b| flip_at(b, |length| length / 2)),
    ("list", "cut", |b| b.truncate(b.len() / 2)),
    ("manifest", "first bit", |b| flip_at(b, |_| 0)),
    ("manifest", "last bit", |b| flip_at(b, |length| length - 1)),
    ("manifest", "cut", |b| b.truncate(b.len() - 1)),
    ("manifest", "longer", |b| b.push(0)),
    ("hot", "a bit", |b| flip_at(b, |length| length / 2)),
    ("hot", "longer", |b| b.push(0)),
    ("data", "first bit", |b| flip_at(b, |_| 0)),
    ("data", "a bit", |b| flip_at(b, |length| length / 2)),
    ("data", "footer", |b| flip_at(b, |length| length - 100)),
    ("data", "last bit", |b| flip_at(b, |length| length - 1)),
    ("data", "emptied", Vec::clear),
];

// Proves: C5
#[tokio::test]
async fn damage_of_any_object_is_told_once_and_the_others_are_compared() {
    let (told, _guard) = Told::listen();
    for (kind, what, harm) in HARMS {
        let stage = stage().await;
        let lake = stage.open().await;
        fill(&stage, &lake).await;
        lake.maintain().await.expect("nothing is damaged");
        assert_eq!(told.take(), Vec::<String>::new());
        let all = referred(&stage, &lake);
        let (objects, bytes) = total(&all);
        let (key, size) = all[kind].iter().next().expect("one of each");
        let path = stage.lake_folder().join(key);
        let whole = std::fs::read(&path).expect("it exists");
        let mut harmed = whole.clone();
        harm(&mut harmed);
        std::fs::write(&path, &harmed).expect("it can be written");
        for told_now in [std::slice::from_ref(key), &[]] {
            let before = lake.status().counts;
            stage.clock.advance(INTERVAL);
            lake.maintain().await.expect("the others are looked after");
            assert_eq!(told.take(), told_now, "{kind}: {what}");
            let (others, read) = compared(&lake, before);
            assert_eq!(others, objects - 1, "{kind}: {what}");
            let rest = bytes - size;
            assert!((rest..bytes).contains(&read), "{kind}: {what}: {read}");
            let counts = lake.status().counts;
            assert_eq!(counts.damaged_objects, 1, "{kind}: {what}");
            assert_eq!(counts.failures, 0, "{kind}: {what}");
            assert_eq!(counts.scrub_finished_ms, stage.clock.now_ms());
        }
        let left = std::fs::read(&path).expect("it exists");
        assert_eq!(left, harmed, "{kind}: {what}: nothing is written over it");
        // A copy in its place mends it.
        std::fs::write(&path, &whole).expect("it can be written");
        let before = lake.status().counts;
        stage.clock.advance(INTERVAL);
        lake.maintain().await.expect("nothing is damaged");
        assert_eq!(compared(&lake, before), (objects, bytes), "{kind}: {what}");
    }
}

// Proves: C5
#[tokio::test]
async fn an_object_that_is_gone_is_damage() {
    let (told, _guard) = Told::listen();
    let stage = stage().await;
    let lake = stage.open().await;
    fill(&stage, &lake).await;
    let all = referred(&stage, &lake);
    let lost: BTreeSet<_> = all.values().filter_map(|kind| kind.keys().next()).collect();
    assert_eq!(lost.len(), 5);
    for key in &lost {
        std::fs::remove_file(stage.lake_folder().join(key)).expect("it exists");
    }
    lake.maintain().await.expect("the others are looked after");
    let told: BTreeSet<_> = told.take().into_iter().collect();
    assert_eq!(told.iter().collect::<BTreeSet<_>>(), lost);
    let counts = lake.status().counts;
    assert_eq!(counts.damaged_objects, 5);
    assert_eq!(counts.scrubbed_objects, total(&all).0 - 5);
}

// Proves: C5
#[tokio::test]
async fn the_next_commit_writes_damaged_metadata_and_a_damaged_list_anew() {
    let stage = stage().await;
    let lake = stage.open().await;
    stage.append(&events(0..20)).await;
    lake.flush().await.expect("it works");
    let all = referred(&stage, &lake);
    for kind in ["metadata", "list"] {
        let key = all[kind].keys().find(|key| key.starts_with(EVENT_HISTORY));
        let path = stage.lake_folder().join(key.expect("the table has one"));
        let mut bytes = std::fs::read(&path).expect("it exists");
        flip_at(&mut bytes, |length| length / 2);
        std::fs::write(&path, bytes).expect("it can be written");
    }
    lake.maintain().await.expect("it goes on");
    assert_eq!(lake.status().counts.damaged_objects, 2);
    stage.append(&events(20..40)).await;
    lake.flush().await.expect("it works");
    drop(lake);
    let lake = stage.open().await;
    let view = lake.read_view(&history()).expect("the table exists");
    check_rows(&lake, &view, &events(0..40)).await;
}

#[tokio::test]
async fn a_damaged_tail_makes_nobody_read_the_whole_file_at_once() {
    let stage = stage().await;
    let watched = Watched::over(&stage, Duration::ZERO);
    let lake = stage
        .open_on(Arc::clone(&watched) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    fill(&stage, &lake).await;
    let all = referred(&stage, &lake);
    let (key, size) = all["data"].iter().next().expect("there are some");
    let path = stage.lake_folder().join(key);
    let mut bytes = std::fs::read(&path).expect("it exists");
    // The footer's length, Parquet's magic; before the footer the trailer, which begins with the number of
    // bytes that the blocks' checksums cover.
    let footer = bytes[bytes.len() - 8..][..4]
        .try_into()
        .expect("four bytes");
    let footer = usize::try_from(u32::from_le_bytes(footer)).expect("it is small");
    let trailer_at = bytes.len() - 8 - footer - 16;
    assert_eq!(&bytes[trailer_at + 12..][..4], b"CSM1");
    bytes[trailer_at..][..8].fill(0);
    std::fs::write(&path, bytes).expect("it can be written");
    watched.take();
    lake.maintain().await.expect("the others are looked after");
    assert_eq!(lake.status().counts.damaged_objects, 1);
    let read = watched.take();
    let of_file = read.iter().filter(|(read, _)| read == key);
    let longest = of_file.map(|(_, range)| range.end - range.start).max();
    assert!(
        longest.is_some_and(|longest| longest < size / 2),
        "{longest:?} of {size}"
    );
}

#[tokio::test]
async fn a_round_compares_no_more_than_it_may_and_the_next_goes_on() {
    let mut stage = stage().await;
    stage.config.scrub_bytes_max = 60_000;
    let watched = Watched::over(&stage, Duration::ZERO);
    let lake = stage
        .open_on(Arc::clone(&watched) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    // One file that takes some rounds.
    let large: Vec<_> = (0..4_000).map(|number| event(number, 1)).collect();
    stage.append(&large).await;
    lake.flush().await.expect("it works");
    let all = referred(&stage, &lake);
    let (objects, bytes) = total(&all);
    assert!(bytes > 300_000, "{all:?}");
    let mut rounds = 0;
    while lake.status().counts.scrub_finished_ms == 0 {
        let before = lake.status().counts;
        watched.take();
        lake.maintain().await.expect("nothing is damaged");
        rounds += 1;
        let (_, in_round) = compared(&lake, before);
        // The last part may be the tail of a data file, which is read at once.
        assert!((1..120_000).contains(&in_round), "{in_round}");
        let read = watched.take();
        let fetched: u64 = read.iter().map(|(_, range)| range.end - range.start).sum();
        assert!(fetched < 170_000, "{fetched}: {read:?}");
    }
    assert!(rounds > bytes / 120_000, "{rounds} rounds of {bytes}");
    let counts = lake.status().counts;
    assert_eq!(
        (counts.scrubbed_objects, counts.scrubbed_bytes),
        (objects, bytes)
    );
}

#[tokio::test]
async fn a_round_on_a_slow_disk_ends_early() {
    let stage = stage().await;
    let watched = Watched::over(&stage, Duration::from_secs(1));
    let lake = stage
        .open_on(Arc::clone(&watched) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    fill(&stage, &lake).await;
    let all = total(&referred(&stage, &lake));
    watched.take();
    let mut rounds = 0;
    while lake.status().counts.scrub_finished_ms == 0 {
        lake.maintain().await.expect("nothing is damaged");
        rounds += 1;
        let read = watched.take().len();
        // After two seconds no part is begun; one part is three reads at most.
        assert!(read <= 4, "{read} reads in one round");
    }
    assert!(rounds > 6, "{rounds}");
    let counts = lake.status().counts;
    assert_eq!((counts.scrubbed_objects, counts.scrubbed_bytes), all);
}

#[tokio::test]
async fn what_is_retired_and_deleted_during_a_pass_is_no_damage() {
    let (told, _guard) = Told::listen();
    let mut stage = stage().await;
    stage.config.scrub_interval_ms = 1_000 * 60 * 60 * 1_000;
    stage.config.scrub_bytes_max = 1;
    let lake = stage.open().await;
    stage.append(&events(0..40)).await;
    lake.flush().await.expect("it works");
    stage.append(&events(40..42)).await;
    lake.ingest().await.expect("it works");
    let before = referred(&stage, &lake);
    lake.maintain().await.expect("it works");
    assert_eq!(
        lake.status().counts.scrubbed_objects,
        1,
        "the pass has begun"
    );
    // The file is joined with another, and long enough later the old ones are deleted.
    stage.append(&events(42..80)).await;
    lake.flush().await.expect("it works");
    stage.clock.advance(Duration::from_hours(49));
    lake.maintain().await.expect("it works");
    for key in before["data"].keys().chain(before["hot"].keys()) {
        assert!(!stage.lake_folder().join(key).exists(), "{key}");
    }
    for _ in 0..20 {
        lake.maintain().await.expect("it works");
    }
    let counts = lake.status().counts;
    assert_ne!(counts.scrub_finished_ms, 0, "the pass has ended");
    assert_eq!((counts.damaged_objects, counts.failures), (0, 0));
    assert_eq!(told.take(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_tried_again_and_holds_up_no_other() {
    let (told, _guard) = Told::listen();
    let stage = stage().await;
    let sectors = BadSectors::under(stage.objects());
    let lake = stage
        .open_on(Arc::clone(&sectors) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    fill(&stage, &lake).await;
    let all = referred(&stage, &lake);
    let (objects, bytes) = total(&all);
    let bad = all["data"].keys().next().expect("there are some").clone();
    sectors.put_under(&bad);
    // The second round goes on behind it, and tries it again at the end of the pass.
    for round in ["first", "second"] {
        let error = lake.maintain().await.expect_err(round);
        let named = matches!(&error, LakeError::Objects(error) if error.key() == bad);
        assert!(named, "{round}: {error}");
    }
    lake.maintain().await.expect("the pass has ended");
    let counts = lake.status().counts;
    assert_eq!(counts.scrubbed_objects, objects - 1);
    assert_eq!(counts.damaged_objects, 0, "nobody knows");
    assert!(counts.scrub_finished_ms > 0);
    assert_eq!(told.take(), Vec::<String>::new());
    sectors.replace_disk();
    stage.clock.advance(INTERVAL);
    let before = lake.status().counts;
    lake.maintain().await.expect("the disk reads again");
    assert_eq!(compared(&lake, before), (objects, bytes));
}

#[tokio::test]
async fn starts_that_come_before_a_pass_has_ended_leave_out_no_file() {
    let mut stage = stage().await;
    let lake = stage.open().await;
    fill(&stage, &lake).await;
    let all = referred(&stage, &lake);
    drop(lake);
    let mut missing: BTreeSet<&String> = all["data"].keys().collect();
    // Enough for everything else, and for the first part of one data file.
    let of_files: u64 = all["data"].values().sum();
    stage.config.scrub_bytes_max = total(&all).1 - of_files + 1;
    for _ in 0..60 {
        let watched = Watched::over(&stage, Duration::ZERO);
        let lake = stage
            .open_on(Arc::clone(&watched) as _, Arc::clone(&stage.catalog) as _)
            .await
            .expect("it opens");
        lake.maintain().await.expect("nothing is damaged");
        let read = watched.take();
        let files: BTreeSet<_> = read.iter().map(|(key, _)| key).collect();
        let files: Vec<_> = files
            .into_iter()
            .filter(|key| key.ends_with(".parquet"))
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        missing.remove(files[0]);
    }
    assert_eq!(missing, BTreeSet::new(), "all had their turn");
}

#[tokio::test]
async fn objects_of_earlier_builds_are_passed_over_and_counted() {
    let stage = stage().await;
    let lake = first_version(&stage).await;
    let all = referred(&stage, &lake);
    assert_eq!(all["data"].len(), 1, "{all:?}");
    lake.maintain().await.expect("it works");
    let counts = lake.status().counts;
    let stamped = |key: &String| key.contains("-c") || key.contains("/c") || key.contains("/hot/");
    let (with, without): (Vec<_>, Vec<_>) = all
        .values()
        .flat_map(BTreeMap::keys)
        .partition(|key| stamped(key));
    assert!(without.len() >= 2, "{without:?}");
    assert_eq!(counts.scrub_passed_over, without.len() as u64);
    assert_eq!(counts.scrubbed_objects, with.len() as u64);
    assert_eq!(counts.damaged_objects, 0);
}

#[tokio::test]
async fn tables_that_lag_come_first() {
    let mut stage = stage().await;
    stage.config.lag_records_max = 10;
    let lake = stage.open().await;
    stage.append(&events(0..40)).await;
    lake.ingest().await.expect("it works");
    lake.maintain().await.expect("it works");
    assert_eq!(
        lake.status().counts.scrubbed_bytes,
        0,
        "they lagged just now"
    );
    lake.ingest().await.expect("it works");
    lake.maintain().await.expect("it works");
    let all = total(&referred(&stage, &lake));
    let counts = lake.status().counts;
    assert_eq!((counts.scrubbed_objects, counts.scrubbed_bytes), all);
}

#[tokio::test]
async fn without_an_interval_nothing_is_compared() {
    let mut stage = stage().await;
    stage.config.scrub_interval_ms = 0;
    let lake = stage.open().await;
    fill(&stage, &lake).await;
    lake.maintain().await.expect("it works");
    let counts = lake.status().counts;
    assert_eq!((counts.scrubbed_bytes, counts.scrub_finished_ms), (0, 0));
    stage.config.scrub_bytes_max = 0;
    let refused = stage.config.check().expect_err("no pass would ever end");
    assert!(refused.to_string().contains("scrub_bytes_max"), "{refused}");
}
