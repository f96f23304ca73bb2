//! The writer when the log grows faster than a commit takes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_eventlog::EventLog;
use cairn_lake::{ObjectError, Objects};
use tokio::sync::{Semaphore, watch};

use crate::stage::{PARTITION, Stage, events, history, rows_of};

/// A store that holds the writing of data files back until the test lets them through.
#[derive(Debug)]
struct GatedObjects {
    inner: Arc<dyn Objects>,
    arrived: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl Objects for GatedObjects {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        if key.contains("/data/") {
            self.arrived.store(true, Ordering::SeqCst);
            self.gate
                .acquire()
                .await
                .expect("the gate is never closed")
                .forget();
        }
        self.inner.put_durable(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
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
    let (arrived, gate) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(Semaphore::new(0)),
    );
    let objects = Arc::new(GatedObjects {
        inner: stage.objects(),
        arrived: Arc::clone(&arrived),
        gate: Arc::clone(&gate),
    });
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
