//! Compaction, retention, expiry and orphans: readers notice nothing, and nothing in use is deleted.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_lake::{Lake, ReadView};

use crate::public_formats::check_public_state;
use crate::stage::{Stage, batches_of, check_rows, event, events, history, rows_of, texts};

const DAY_MINUTES: i64 = 24 * 60;

async fn flushed(stage: &Stage, lake: &Lake, batches: &[Vec<String>]) {
    for batch in batches {
        stage.append(batch).await;
        lake.flush().await.expect("it works");
    }
}

fn view_of(lake: &Lake) -> Arc<ReadView> {
    lake.read_view(&history()).expect("the table exists")
}

/// Every object of a table's folder, by key.
fn stored(folder: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, folder: &Path, keys: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, keys);
            } else {
                let key = path.strip_prefix(root).expect("below the root");
                keys.insert(key.to_str().expect("a plain name").to_owned());
            }
        }
    }
    let mut keys = BTreeSet::new();
    walk(folder, &folder.join("event-history"), &mut keys);
    keys
}

#[tokio::test]
async fn compaction_changes_files_and_no_rows() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 4;
    let lake = stage.open().await;
    let batches: Vec<_> = (0..10).map(|n| events(n * 30..n * 30 + 30)).collect();
    flushed(&stage, &lake, &batches).await;
    let before = view_of(&lake);
    assert_eq!(before.files.len(), 10);
    let sent = events(0..300);
    lake.maintain().await.expect("it works");
    let after = view_of(&lake);
    assert_eq!(after.files.len(), 1);
    check_rows(&lake, &after, &sent).await;
    check_rows(&lake, &before, &sent).await;
    assert_eq!(lake.status().counts.compacted_files, 10);
    assert_eq!(after.positions, before.positions);
    for batch in batches_of(&lake, &after).await {
        let accounts = texts(&batch, "_account");
        let regions = texts(&batch, "awsregion");
        let order: Vec<_> = accounts.iter().zip(&regions).collect();
        assert!(order.is_sorted(), "a compacted file is sorted");
    }
    check_public_state(&stage.lake_folder(), &after.metadata_key, 0..300);
    drop(lake);
    let lake = stage.open().await;
    check_rows(&lake, &view_of(&lake), &sent).await;
}

#[tokio::test]
async fn a_view_keeps_its_files_until_it_is_dropped() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 2;
    let lake = stage.open().await;
    stage.append(&events(0..20)).await;
    lake.ingest().await.expect("it works");
    let hot_view = view_of(&lake);
    let hot_object = hot_view.hot[0].object.object.clone();
    flushed(&stage, &lake, &[events(20..40), events(40..60)]).await;
    let old_view = view_of(&lake);
    let old_files: Vec<_> = old_view.files.iter().map(|file| file.key.clone()).collect();
    lake.maintain().await.expect("it works");
    assert_eq!(view_of(&lake).files.len(), 1);
    // Long enough for every snapshot but the newest to go.
    stage.clock.advance(Duration::from_hours(49));
    lake.maintain().await.expect("it works");
    let kept = stored(&stage.lake_folder());
    assert!(kept.contains(&hot_object), "a view holds it");
    assert!(
        old_files.iter().all(|file| kept.contains(file)),
        "a view holds them"
    );
    check_rows(&lake, &old_view, &events(0..60)).await;
    drop((hot_view, old_view));
    lake.maintain().await.expect("it works");
    let kept = stored(&stage.lake_folder());
    assert!(!kept.contains(&hot_object));
    assert!(!old_files.iter().any(|file| kept.contains(file)));
    let view = view_of(&lake);
    check_rows(&lake, &view, &events(0..60)).await;
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..60);
}

#[tokio::test]
async fn a_lease_of_another_process_keeps_files_until_it_expires() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    stage.append(&events(0..20)).await;
    lake.ingest().await.expect("it works");
    let leased = lake.lease("worker-1", &history()).await.expect("a lease");
    let object = leased.hot[0].object.clone();
    lake.flush().await.expect("it works");
    stage
        .clock
        .advance(Duration::from_millis(stage.config.lease_ms - 1));
    lake.maintain().await.expect("it works");
    assert!(stored(&stage.lake_folder()).contains(&object));
    stage.clock.advance(Duration::from_millis(1));
    lake.maintain().await.expect("it works");
    assert!(!stored(&stage.lake_folder()).contains(&object));
}

#[tokio::test]
async fn expired_days_go_whole_and_younger_rows_stay() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let old: Vec<_> = (0..10)
        .map(|n| event(n, 88 * DAY_MINUTES + i64::from(n)))
        .collect();
    let young: Vec<_> = (10..20).map(|n| event(n, i64::from(n))).collect();
    flushed(&stage, &lake, &[old.clone(), young.clone()]).await;
    let all: Vec<String> = old.into_iter().chain(young.clone()).collect();
    stage.clock.advance(Duration::from_hours(24));
    lake.maintain().await.expect("it works");
    check_rows(&lake, &view_of(&lake), &all).await;
    stage.clock.advance(Duration::from_hours(48));
    lake.maintain().await.expect("it works");
    let view = view_of(&lake);
    check_rows(&lake, &view, &young).await;
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..20);
}

// Proves: S8, R17
#[tokio::test]
async fn a_clock_that_jumps_expires_nothing() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    flushed(&stage, &lake, &[events(0..10)]).await;
    let before = stored(&stage.lake_folder());
    let year_ms = 366 * 24 * 60 * 60 * 1_000;
    for jump_ms in [year_ms, -year_ms, 24 * 60 * 60 * 1_000, -60 * 60 * 1_000] {
        stage.clock.jump_to(crate::stage::NOW_MS + jump_ms);
        lake.maintain().await.expect("it works");
        check_rows(&lake, &view_of(&lake), &events(0..10)).await;
        assert_eq!(stored(&stage.lake_folder()), before, "jump of {jump_ms} ms");
    }
    // Writing goes on as well, and nothing is turned away as too old.
    stage.clock.jump_to(crate::stage::NOW_MS + year_ms);
    flushed(&stage, &lake, &[events(10..20)]).await;
    check_rows(&lake, &view_of(&lake), &events(0..20)).await;
    stage.clock.jump_to(crate::stage::NOW_MS - year_ms);
    flushed(&stage, &lake, &[events(20..30)]).await;
    let view = view_of(&lake);
    check_rows(&lake, &view, &events(0..30)).await;
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..30);
}

// Proves: S8, R17
#[tokio::test]
async fn a_start_with_a_wrong_clock_expires_nothing_and_turns_nothing_away() {
    let year_ms = 366 * 24 * 60 * 60 * 1_000;
    for jump_ms in [year_ms, -year_ms] {
        let stage = Stage::new().await;
        let lake = stage.open().await;
        flushed(&stage, &lake, &[events(0..10)]).await;
        drop(lake);
        stage.clock.jump_to(crate::stage::NOW_MS + jump_ms);
        let lake = stage.open().await;
        let mut sent = 10;
        // Wrong for an hour; then the operator's clock is right again, and is on probation for a day.
        for hours in [0, 1, 2, 23] {
            if hours == 2 {
                stage.clock.jump_to(crate::stage::NOW_MS + 60 * 60 * 1_000);
            }
            stage.append(&events(sent..sent + 10)).await;
            lake.ingest().await.expect("it works");
            sent += 10;
            lake.maintain().await.expect("it works");
            lake.flush().await.expect("it works");
            check_rows(&lake, &view_of(&lake), &events(0..sent)).await;
            stage.clock.advance(Duration::from_hours(hours));
        }
        assert_eq!(lake.status().counts.too_old, 0, "jump of {jump_ms} ms");
        drop(lake);
        let lake = stage.open().await;
        lake.maintain().await.expect("it works");
        check_rows(&lake, &view_of(&lake), &events(0..sent)).await;
    }
}

// Proves: S8, R17
#[tokio::test]
async fn tables_made_by_a_clock_that_was_ahead_lose_nothing_once_it_is_right() {
    let mut stage = Stage::new().await;
    stage.config.snapshots_max = 20;
    stage.config.compaction_files_min = 1_000;
    stage.config.compaction_files_max = 1_000;
    let year_ms = 366 * 24 * 60 * 60 * 1_000;
    stage.clock.jump_to(crate::stage::NOW_MS + year_ms);
    let lake = stage.open().await;
    stage.clock.jump_to(crate::stage::NOW_MS);
    let batches: Vec<_> = (0..60).map(|n| events(n..n + 1)).collect();
    flushed(&stage, &lake, &batches).await;
    lake.maintain().await.expect("it works");
    check_rows(&lake, &view_of(&lake), &events(0..60)).await;
    drop(lake);
    let lake = stage.open().await;
    lake.maintain().await.expect("it works");
    check_rows(&lake, &view_of(&lake), &events(0..60)).await;
    // The right time is believed after a day. Snapshots that carry the future are bounded in number.
    for _ in 0..3 {
        stage.clock.advance(Duration::from_hours(12));
        lake.maintain().await.expect("it works");
    }
    let batches: Vec<_> = (60..120).map(|n| events(n..n + 1)).collect();
    flushed(&stage, &lake, &batches).await;
    lake.maintain().await.expect("it works");
    check_rows(&lake, &view_of(&lake), &events(0..120)).await;
    let lists = stored(&stage.lake_folder());
    let lists = lists.iter().filter(|key| key.contains("/snap-")).count();
    assert!(lists <= 36, "{lists} snapshots are kept");
}

// Proves: S8, R17
#[tokio::test]
async fn a_wall_clock_that_was_ahead_once_stamps_no_future_on_snapshots() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    flushed(&stage, &lake, &[events(0..10)]).await;
    stage
        .clock
        .jump_to(crate::stage::NOW_MS + 366 * 24 * 60 * 60 * 1_000);
    flushed(&stage, &lake, &[events(10..20)]).await;
    stage.clock.jump_to(crate::stage::NOW_MS);
    let text = std::fs::read(stage.lake_folder().join(&view_of(&lake).metadata_key));
    let metadata: serde_json::Value =
        serde_json::from_slice(&text.expect("it exists")).expect("it is JSON");
    assert_eq!(metadata["last-updated-ms"], crate::stage::NOW_MS);
}

#[tokio::test]
async fn old_snapshots_go_and_take_only_their_own_objects() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 100;
    stage.config.compaction_files_max = 100;
    let lake = stage.open().await;
    let batches: Vec<_> = (0..40).map(|n| events(n * 3..n * 3 + 3)).collect();
    flushed(&stage, &lake, &batches).await;
    let before = stored(&stage.lake_folder()).len();
    let newest = view_of(&lake).metadata_key.clone();
    stage.clock.advance(Duration::from_hours(25));
    lake.maintain().await.expect("it works");
    let view = view_of(&lake);
    check_rows(&lake, &view, &events(0..120)).await;
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..120);
    let kept = stored(&stage.lake_folder());
    assert!(
        kept.contains(&newest),
        "an outside reader may just have found it"
    );
    assert!(
        kept.len() < before - 60,
        "{} of {before} objects are left",
        kept.len()
    );
    let lists = kept.iter().filter(|key| key.contains("/snap-")).count();
    assert_eq!(lists, 1, "{kept:#?}");
}

// Proves: R13
#[tokio::test]
async fn orphans_go_after_a_day_and_nothing_else_does() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    flushed(&stage, &lake, &[events(0..10)]).await;
    let mut rest = events(10..20);
    stage.append(&rest).await;
    lake.ingest().await.expect("it works");
    let view = view_of(&lake);
    let data = view.files[0].key.clone();
    // What a crash leaves behind: a file of ours that nothing names. And a stranger's.
    let stem = data.strip_suffix(".parquet").expect("a data file");
    let digit = if stem.ends_with('a') { 'b' } else { 'a' };
    let orphan = format!("{}{digit}.parquet", &stem[..stem.len() - 1]);
    let root = stage.lake_folder();
    std::fs::write(root.join(&orphan), b"left behind").expect("it can be written");
    let stranger = "event-history/data/stranger.txt".to_owned();
    std::fs::write(root.join(&stranger), b"not ours").expect("it can be written");
    let hours = |hours| stage.clock.advance(Duration::from_hours(hours));
    lake.maintain().await.expect("it works");
    hours(23);
    lake.maintain().await.expect("it works");
    assert!(stored(&root).contains(&orphan), "younger than a day");
    hours(2);
    lake.maintain().await.expect("it works");
    assert!(stored(&root).contains(&orphan), "seen for the first time");
    hours(2);
    lake.maintain().await.expect("it works");
    let kept = stored(&root);
    assert!(!kept.contains(&orphan));
    assert!(kept.contains(&stranger), "not ours to delete");
    let mut sent = events(0..10);
    sent.append(&mut rest);
    check_rows(&lake, &view_of(&lake), &sent).await;
    check_rows(&lake, &view, &sent).await;
    drop(lake);
    let lake = stage.open().await;
    assert_eq!(lake.status().counts.rebuilt_hot_objects, 0);
    assert_eq!(rows_of(&lake, &view_of(&lake)).await.len(), 20);
}

#[tokio::test]
async fn many_commits_keep_few_manifests() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 1_000;
    stage.config.compaction_files_max = 1_000;
    let lake = stage.open().await;
    let batches: Vec<_> = (0..70).map(|n| vec![event(n, 5)]).collect();
    flushed(&stage, &lake, &batches).await;
    let view = view_of(&lake);
    assert_eq!(view.files.len(), 70);
    let text = std::fs::read(stage.lake_folder().join(&view.metadata_key)).expect("it exists");
    let metadata: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let newest = metadata["current-snapshot-id"].as_i64();
    let snapshots = metadata["snapshots"].as_array().expect("a list");
    let current = snapshots
        .iter()
        .find(|s| s["snapshot-id"].as_i64() == newest);
    let list = current.expect("it is there")["manifest-list"]
        .as_str()
        .expect("a location");
    let key = cairn_lake::key_of(list).expect("in the lake");
    let bytes = std::fs::read(stage.lake_folder().join(key)).expect("it exists");
    let version = iceberg::spec::FormatVersion::V2;
    let list = iceberg::spec::ManifestList::parse_with_version(&bytes, version);
    let manifests = list.expect("a manifest list").entries().len();
    assert!(manifests <= 33, "{manifests} manifests");
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..70);
}
