//! The writer when the log grows faster than a commit takes, when a step is dropped half-way, and while
//! maintenance reads.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_eventlog::EventLog;
use cairn_lake::{ObjectError, Objects};
use tokio::sync::{Semaphore, watch};

use crate::public_formats::check_public_state;
use crate::stage::{PARTITION, Stage, events, history, rows_of};

/// A store that holds the writing, or the reading, of some objects back until the test lets them through.
#[derive(Debug)]
struct GatedObjects {
    inner: Arc<dyn Objects>,
    /// What the keys contain whose writing is held back.
    writing: &'static str,
    /// What the keys contain whose reading is held back, once that is switched on.
    reading: &'static str,
    reading_held: AtomicBool,
    arrived: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
}

const NOTHING: &str = "no key contains this";

impl GatedObjects {
    fn new(stage: &Stage, writing: &'static str, reading: &'static str) -> Arc<Self> {
        Arc::new(Self {
            inner: stage.objects(),
            writing,
            reading,
            reading_held: AtomicBool::new(false),
            arrived: Arc::new(AtomicBool::new(false)),
            gate: Arc::new(Semaphore::new(0)),
        })
    }

    async fn pass(&self) {
        self.arrived.store(true, Ordering::SeqCst);
        let passed = self.gate.acquire().await;
        passed.expect("the gate is never closed").forget();
    }

    async fn arrival(&self) {
        while !self.arrived.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Objects for GatedObjects {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        if key.contains(self.writing) {
            self.pass().await;
        }
        self.inner.put_durable(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        if key.contains(self.reading) && self.reading_held.load(Ordering::SeqCst) {
            self.pass().await;
        }
        self.inner.get(key).await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.inner.get_range_blocking(key, range)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
}

// Proves: R12, R18
#[tokio::test]
async fn a_backlog_that_comes_while_a_commit_runs_waits_for_it() {
    let mut stage = Stage::new().await;
    // One hot row brings a commit forward; a few events more are a backlog.
    stage.config.commit_rows_max = 1;
    stage.config.read_bytes_max = 2_000;
    let objects = GatedObjects::new(&stage, "/data/", NOTHING);
    let (arrived, gate) = (Arc::clone(&objects.arrived), Arc::clone(&objects.gate));
    let lake = stage
        .open_on(objects, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let lake = Arc::clone(&lake);
        async move { lake.run(stopped).await }
    });
    stage.append(&events(0..1)).await;
    // The event becomes visible when the clock says so, and its commit begins: it is held at the gate.
    while !arrived.load(Ordering::SeqCst) {
        stage.clock.advance(Duration::from_millis(10));
        tokio::task::yield_now().await;
    }
    // Now the log grows by far more than is read at once.
    stage.append(&events(1..200)).await;
    gate.add_permits(10_000);
    let end = stage.log.durable_end(PARTITION);
    while lake.position(&history()).expect("the table exists") < end {
        assert!(!running.is_finished(), "the lake stopped");
        stage.clock.advance(Duration::from_millis(10));
        tokio::task::yield_now().await;
    }
    stop.send(true).expect("it runs");
    running.await.expect("no panic").expect("it stops in order");
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(rows_of(&lake, &view).await.len(), 200);
    assert_eq!(view.position(PARTITION), end);
}

// Proves: R12
#[tokio::test]
async fn a_step_that_is_dropped_half_way_loses_no_rows() {
    let stage = Stage::new().await;
    let objects = GatedObjects::new(&stage, "/hot/", NOTHING);
    let lake = stage
        .open_on(Arc::clone(&objects) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    stage.append(&events(0..20)).await;
    tokio::select! {
        _ = lake.ingest() => panic!("the gate is shut"),
        () = objects.arrival() => {}
    }
    objects.gate.add_permits(100);
    stage.append(&events(20..30)).await;
    lake.ingest().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(rows_of(&lake, &view).await.len(), 30);
}

#[tokio::test]
async fn maintenance_that_reads_for_long_holds_up_nothing() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 1_000;
    stage.config.compaction_files_max = 1_000;
    // The test's clock runs as fast as the test asks: no event may grow old meanwhile.
    stage.config.history_retention_days = 36_500;
    let lake = stage.open().await;
    for n in 0..20 {
        stage.append(&events(n..n + 1)).await;
        lake.flush().await.expect("it works");
    }
    drop(lake);
    // Expiry reads the lists of all snapshots, and so does the search for orphans.
    let objects = GatedObjects::new(&stage, NOTHING, "/snap-");
    let lake = stage
        .open_on(Arc::clone(&objects) as _, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    stage.clock.advance(Duration::from_hours(25));
    objects.reading_held.store(true, Ordering::SeqCst);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let lake = Arc::clone(&lake);
        async move { lake.run(stopped).await }
    });
    while !objects.arrived.load(Ordering::SeqCst) {
        stage.clock.advance(Duration::from_mins(1));
        tokio::task::yield_now().await;
    }
    // What arrives becomes visible and is committed, by the writer that runs beside.
    for end in [25, 30] {
        stage.append(&events(end - 5..end)).await;
        let end = u64::from(end);
        while lake.status().tables[0].committed_end.0 < end {
            assert!(!running.is_finished(), "the lake stopped");
            stage.clock.advance(Duration::from_millis(500));
            tokio::task::yield_now().await;
        }
    }
    let lists = || {
        let folder = stage.lake_folder().join("event-history/metadata");
        let entries = std::fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("snap-"))
            .count()
    };
    assert!(lists() >= 22, "nothing was expired yet");
    objects.gate.add_permits(10_000);
    while lists() >= 20 {
        assert!(!running.is_finished(), "the lake stopped");
        stage.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    stop.send(true).expect("it runs");
    running.await.expect("no panic").expect("it stops in order");
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(rows_of(&lake, &view).await.len(), 30);
    let key = view.metadata_key.clone();
    drop((lake, view));
    check_public_state(&stage.lake_folder(), &key, 0..30);
    let lake = stage.open().await;
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(rows_of(&lake, &view).await.len(), 30);
}
