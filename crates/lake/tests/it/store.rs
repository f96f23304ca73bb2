//! The folder of objects: full disks, leftovers, who may read it. And lookups that must not wait for each
//! other.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_lake::{Lake, LakeError, LocalObjects, LookupQuery, LookupSource, ObjectError, Objects};

use crate::stage::{Stage, check_rows, events, history};

fn query() -> LookupQuery {
    LookupQuery {
        account: "111111111111".parse().expect("valid"),
        region: "us-east-1".parse().expect("valid"),
        source: LookupSource::Management,
        attribute: None,
        start: None,
        end: None,
        max_results: 10,
        after: None,
    }
}

/// Every path below a folder, the folder included.
fn paths_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths = vec![folder.to_owned()];
    let mut at = 0;
    while at < paths.len() {
        if paths[at].is_dir() {
            let entries = std::fs::read_dir(&paths[at]).expect("it can be read");
            paths.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        at += 1;
    }
    paths
}

// Proves: C6, R18
#[tokio::test]
async fn a_full_disk_is_retryable_takes_no_write_and_passes() {
    let stage = Stage::new().await;
    drop(stage.open().await);
    let starved = LocalObjects::open(stage.lake_folder())
        .expect("it opens")
        .with_free_bytes_min(u64::MAX);
    let lake = stage
        .open_on(Arc::new(starved), Arc::clone(&stage.catalog) as _)
        .await
        .expect("reading needs no room");
    stage.append(&events(0..10)).await;
    for _ in 0..3 {
        let error = lake.ingest().await.expect_err("there is no room");
        assert!(error.is_retryable(), "{error}");
        let no_space = matches!(error, LakeError::Objects(ObjectError::NoSpace { .. }));
        assert!(no_space, "{error}");
    }
    drop(lake);
    let files = paths_below(&stage.lake_folder());
    let hot = files.iter().filter(|path| path.ends_with("hot")).count();
    assert_eq!(hot, 0, "{files:?}");
    let lake = stage.open().await;
    lake.ingest().await.expect("there is room again");
    let view = lake.read_view(&history()).expect("the table exists");
    check_rows(&lake, &view, &events(0..10)).await;
}

// Proves: C6
#[tokio::test]
async fn a_failed_write_leaves_nothing_and_a_cut_off_one_goes_at_the_next_start() {
    let stage = Stage::new().await;
    let objects = stage.objects();
    // The name is taken by a folder, so that the last step of the write fails.
    std::fs::create_dir_all(stage.lake_folder().join("a/b")).expect("it can be made");
    let bytes = Bytes::from_static(b"an object");
    let error = objects.put_durable("a/b", bytes).await;
    error.expect_err("a folder is in the way");
    let keys = objects.list("a/").await.expect("it can be listed");
    assert_eq!(keys, Vec::<String>::new());
    let part = stage.lake_folder().join("a/c.arrow.writing");
    std::fs::write(&part, b"an ob").expect("it can be written");
    drop(stage.open().await);
    assert!(!part.exists());
}

#[tokio::test]
async fn what_the_lake_writes_is_its_owners_alone() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    stage.append(&events(0..10)).await;
    lake.flush().await.expect("it works");
    stage.append(&events(10..20)).await;
    lake.ingest().await.expect("it works");
    let paths = paths_below(&stage.lake_folder());
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        let mode = std::fs::metadata(&path).expect("it exists").permissions();
        assert_eq!(mode.mode() & 0o077, 0, "{}", path.display());
    }
}

// Proves: R18
#[test]
fn lookups_that_hold_every_thread_still_finish() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stage = Stage::new().await;
        let lake = stage.open().await;
        stage.append(&events(0..60)).await;
        lake.flush().await.expect("it works");
        let lookups = (0..60).map(|_| {
            let lake = Arc::clone(&lake);
            tokio::spawn(async move { lake.lookup(query()).await })
        });
        for lookup in lookups.collect::<Vec<_>>() {
            let page = lookup.await.expect("it ends").expect("it works");
            assert_eq!(page.events.len(), 10);
        }
    });
}

/// A store whose reads of ranges wait until the test lets them go.
#[derive(Debug)]
struct HeldObjects {
    inner: Arc<dyn Objects>,
    held: Mutex<bool>,
    changed: Condvar,
}

#[async_trait]
impl Objects for HeldObjects {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.inner.put_durable(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.inner.get(key).await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let held = self.held.lock().expect("no holder panics");
        drop(self.changed.wait_while(held, |held| *held));
        self.inner.get_range_blocking(key, range)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
}

// Proves: R18
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_beyond_the_limit_are_refused_and_taken_again_later() {
    let mut stage = Stage::new().await;
    stage.config.lookups_max = 2;
    let held = Arc::new(HeldObjects {
        inner: stage.objects(),
        held: Mutex::new(true),
        changed: Condvar::new(),
    });
    let objects: Arc<dyn Objects> = Arc::clone(&held) as _;
    let lake: Arc<Lake> = stage
        .open_on(objects, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    stage.append(&events(0..60)).await;
    lake.flush().await.expect("it works");
    let three = (0..3).map(|_| {
        let lake = Arc::clone(&lake);
        tokio::spawn(async move { lake.lookup(query()).await })
    });
    let mut three = futures::future::select_all(three.collect::<Vec<_>>()).await;
    let refused = three.0.expect("it ends").expect_err("two are reading");
    assert!(matches!(refused, LakeError::Busy), "{refused}");
    assert!(refused.is_retryable());
    *held.held.lock().expect("no holder panics") = false;
    held.changed.notify_all();
    for waiting in three.2.drain(..) {
        let page = waiting.await.expect("it ends").expect("it works");
        assert_eq!(page.events.len(), 10);
    }
    lake.lookup(query()).await.expect("there is room again");
}
