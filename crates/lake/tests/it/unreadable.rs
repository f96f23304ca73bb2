//! Objects that cannot be read any more stop no background work but their own: damaged metadata of old
//! snapshots, data files on bad sectors.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_lake::{Lake, ObjectError, Objects, ReadView, key_of};

use crate::public_formats::check_public_state;
use crate::stage::{Stage, check_rows, event, events, history};

const DAY_MINUTES: i64 = 24 * 60;
/// Rounds after which whatever was set aside for some time is tried again.
const ROUNDS: usize = 61;

/// A store on a disk with bad sectors: what lies there can be listed, and not read.
#[derive(Debug)]
pub(crate) struct BadSectors {
    inner: Arc<dyn Objects>,
    keys: Mutex<BTreeSet<String>>,
}

impl BadSectors {
    pub(crate) fn under(inner: Arc<dyn Objects>) -> Arc<Self> {
        let keys = Mutex::default();
        Arc::new(Self { inner, keys })
    }

    pub(crate) fn put_under(&self, key: &str) {
        self.keys.lock().expect("unharmed").insert(key.to_owned());
    }

    pub(crate) fn replace_disk(&self) {
        self.keys.lock().expect("unharmed").clear();
    }

    fn look(&self, key: &str) -> Result<(), ObjectError> {
        if !self.keys.lock().expect("unharmed").contains(key) {
            return Ok(());
        }
        Err(ObjectError::Failed {
            operation: "read",
            key: key.to_owned(),
            reason: "Input/output error".to_owned(),
        })
    }
}

#[async_trait]
impl Objects for BadSectors {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.inner.put_durable(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.look(key)?;
        self.inner.get(key).await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.look(key)?;
        self.inner.get_range_blocking(key, range)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
}

async fn flushed(stage: &Stage, lake: &Lake, batches: &[Vec<String>]) {
    for batch in batches {
        stage.append(batch).await;
        lake.flush().await.expect("it works");
    }
}

fn view_of(lake: &Lake) -> Arc<ReadView> {
    lake.read_view(&history()).expect("the table exists")
}

/// Manifest lists of the snapshots that the newest metadata file names, the oldest first.
fn lists(stage: &Stage, lake: &Lake) -> Vec<String> {
    let path = stage.lake_folder().join(&view_of(lake).metadata_key);
    let text = std::fs::read(path).expect("it exists");
    let metadata: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let snapshots = metadata["snapshots"].as_array().expect("a list");
    let mut lists: Vec<_> = snapshots
        .iter()
        .map(|snapshot| {
            let list = snapshot["manifest-list"].as_str().expect("a location");
            let number = snapshot["sequence-number"].as_i64().expect("a number");
            (number, key_of(list).expect("in the lake").to_owned())
        })
        .collect();
    lists.sort_unstable();
    lists.into_iter().map(|(_, list)| list).collect()
}

/// The manifests that a list names.
pub(crate) fn manifests(stage: &Stage, list: &str) -> Vec<String> {
    let bytes = std::fs::read(stage.lake_folder().join(list)).expect("it exists");
    let version = iceberg::spec::FormatVersion::V2;
    let list = iceberg::spec::ManifestList::parse_with_version(&bytes, version);
    let list = list.expect("a manifest list");
    let paths = list.entries().iter().map(|entry| &entry.manifest_path);
    let keys = paths.map(|path| key_of(path).expect("in the lake").to_owned());
    keys.collect()
}

fn flip(stage: &Stage, key: &str) {
    let path = stage.lake_folder().join(key);
    let mut bytes = std::fs::read(&path).expect("it exists");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("it can be written");
}

/// Data files, manifests and lists of the table's folder.
async fn stored(stage: &Stage) -> BTreeSet<String> {
    let keys = stage.objects().list("event-history/").await;
    let keys = keys.expect("it can be listed").into_iter();
    keys.filter(|key| !key.contains(".metadata.")).collect()
}

/// What the newest snapshot alone needs.
fn needed(stage: &Stage, lake: &Lake) -> BTreeSet<String> {
    let newest = lists(stage, lake).pop().expect("there is one");
    let mut needed: BTreeSet<_> = manifests(stage, &newest).into_iter().collect();
    needed.insert(newest);
    needed.extend(view_of(lake).files.iter().map(|file| file.key.clone()));
    needed
}

/// A day and two looks later nothing is left of what only the damaged snapshots named.
async fn check_nothing_is_left(stage: &Stage, lake: &Lake) {
    for hours in [25, 2, 2] {
        stage.clock.advance(Duration::from_hours(hours));
        lake.maintain().await.expect("nothing is in the way");
    }
    assert_eq!(stored(stage).await, needed(stage, lake));
}

/// Forty commits and a compaction that replaced the files of most of them.
async fn filled(stage: &mut Stage) -> Arc<Lake> {
    stage.config.compaction_files_min = 4;
    let lake = stage.open().await;
    let batches: Vec<_> = (0..40).map(|n| events(n * 3..n * 3 + 3)).collect();
    flushed(stage, &lake, &batches).await;
    lake
}

// Proves: C5, R13
#[tokio::test]
async fn snapshots_whose_metadata_is_damaged_expire_like_others() {
    let mut stage = Stage::new().await;
    let lake = filled(&mut stage).await;
    let before = lists(&stage, &lake);
    // A list, a manifest that only old snapshots name, and a list that is not there any more.
    flip(&stage, &before[3]);
    flip(&stage, &manifests(&stage, &before[5])[0]);
    std::fs::remove_file(stage.lake_folder().join(&before[7])).expect("it exists");
    lake.maintain().await.expect("it works");
    stage.clock.advance(Duration::from_hours(25));
    let failures = lake.status().counts.failures;
    // Every kept snapshot can be read: those that go need not be.
    lake.maintain().await.expect_err("the damage is told");
    assert!(lake.status().counts.failures > failures, "and counted");
    assert!(lake.status().counts.damaged_objects >= 3);
    assert_eq!(lists(&stage, &lake).len(), 1);
    let view = view_of(&lake);
    check_rows(&lake, &view, &events(0..120)).await;
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..120);
    check_nothing_is_left(&stage, &lake).await;
    check_rows(&lake, &view_of(&lake), &events(0..120)).await;
}

// Proves: C5, R13
#[tokio::test]
async fn a_kept_snapshot_that_cannot_be_read_does_not_keep_older_ones() {
    let mut stage = Stage::new().await;
    let sectors = BadSectors::under(stage.objects());
    // No file is small enough to be joined.
    stage.config.compaction_file_bytes = 1;
    let lake = stage
        .open_on(Arc::clone(&sectors) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    let batches: Vec<_> = (0..20).map(|n| events(n..n + 1)).collect();
    flushed(&stage, &lake, &batches).await;
    stage.clock.advance(Duration::from_hours(25));
    let batches: Vec<_> = (20..24).map(|n| events(n..n + 1)).collect();
    flushed(&stage, &lake, &batches).await;
    let kept = lists(&stage, &lake)[21].clone();
    sectors.put_under(&kept);
    lake.maintain().await.expect_err("it is told");
    let left = lists(&stage, &lake);
    assert!(left.contains(&kept), "it is not old enough");
    assert_eq!(left.len(), 4, "the others go");
    check_rows(&lake, &view_of(&lake), &events(0..24)).await;
    // It goes when its time has come, and what nobody dared to delete goes as orphans.
    stage.clock.advance(Duration::from_hours(25));
    lake.maintain().await.expect_err("its own expiry is told");
    assert_eq!(lists(&stage, &lake).len(), 1);
    check_nothing_is_left(&stage, &lake).await;
    check_rows(&lake, &view_of(&lake), &events(0..24)).await;
}

// Proves: C5, R13
#[tokio::test]
async fn a_damaged_manifest_of_the_newest_snapshot_keeps_no_older_ones() {
    let mut stage = Stage::new().await;
    // No file is small enough to be joined.
    stage.config.compaction_file_bytes = 1;
    let lake = stage.open().await;
    let batches: Vec<_> = (0..20).map(|n| events(n..n + 1)).collect();
    flushed(&stage, &lake, &batches).await;
    let newest = lists(&stage, &lake).pop().expect("there is one");
    let manifest = manifests(&stage, &newest)[0].clone();
    let whole = std::fs::read(stage.lake_folder().join(&manifest)).expect("it exists");
    flip(&stage, &manifest);
    stage.clock.advance(Duration::from_hours(25));
    lake.maintain().await.expect("what it holds is known");
    assert_eq!(lists(&stage, &lake), [newest]);
    check_rows(&lake, &view_of(&lake), &events(0..20)).await;
    std::fs::write(stage.lake_folder().join(&manifest), whole).expect("it can be written");
    check_nothing_is_left(&stage, &lake).await;
}

// Proves: C5
#[tokio::test]
async fn a_data_file_that_cannot_be_read_stops_no_other_from_being_joined() {
    let mut stage = Stage::new().await;
    let sectors = BadSectors::under(stage.objects());
    stage.config.compaction_files_min = 4;
    // It would tell the file as well.
    stage.config.scrub_interval_ms = 0;
    let lake = stage
        .open_on(Arc::clone(&sectors) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    let mut sent = Vec::new();
    // Five files today, which come first, and two of an earlier day.
    for n in 0..7 {
        let minutes = if n < 5 { 1 } else { 2 * DAY_MINUTES };
        let batch: Vec<_> = (n * 4..n * 4 + 4).map(|id| event(id, minutes)).collect();
        flushed(&stage, &lake, std::slice::from_ref(&batch)).await;
        sent.extend(batch);
    }
    let bad = view_of(&lake).files[0].key.clone();
    sectors.put_under(&bad);
    let failures = lake.status().counts.failures;
    lake.maintain().await.expect_err("it is told");
    assert_eq!(lake.status().counts.failures, failures + 1, "and counted");
    lake.maintain().await.expect("it is left alone for a while");
    let view = view_of(&lake);
    assert_eq!(view.files.len(), 3, "the others are joined, day by day");
    assert!(view.files.iter().any(|file| file.key == bad));
    // A disk that reads again: the file is tried again without a restart.
    sectors.replace_disk();
    check_rows(&lake, &view, &sent).await;
    flushed(&stage, &lake, &[events(28..29), events(29..30)]).await;
    sent.extend(events(28..30));
    for _ in 0..ROUNDS {
        lake.maintain().await.expect("it works");
    }
    let view = view_of(&lake);
    assert_eq!(view.files.len(), 2, "{:?}", view.files);
    check_rows(&lake, &view, &sent).await;
}
