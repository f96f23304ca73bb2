//! What happens to rows when the store, the catalog, a writer or an event goes wrong: nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_catalog::lake::LakeCatalog;
use cairn_eventlog::{
    AppendError, EventLog, LogRecord, MemoryLog, NewRecord, ReadError, ReaderName, RecordKind,
};
use cairn_lake::{Lake, LakeError};
use cairn_model::{PartitionId, Sequence};

use crate::faulty::{Fault, FaultyCatalog, FaultyObjects, Wrong};
use crate::public_formats::check_public_state;
use crate::results;
use crate::stage::{PARTITION, Stage, check_rows, events, history, record, rows_of};

/// What the process does about an error.
#[derive(Clone, Copy, Debug)]
enum Recovery {
    /// The same step again.
    Retry,
    /// The process dies and starts again.
    Restart,
}

/// Every way of a row: hot, flushed from hot, flushed directly, compacted, expired snapshots, garbage.
async fn work(stage: &Stage, lake: &Lake, step: usize) -> Result<(), LakeError> {
    match step {
        0 | 1 | 4 => lake.ingest().await,
        2 | 5 => lake.flush().await,
        3 => {
            stage.clock.advance(Duration::from_mins(11));
            lake.maintain().await
        }
        _ => {
            stage.clock.advance(Duration::from_hours(25));
            lake.maintain().await
        }
    }
}

const STEPS: usize = 7;
/// Events that the log gets before a step.
const BATCHES: [std::ops::Range<u32>; STEPS] =
    [0..20, 20..40, 40..60, 60..60, 60..80, 80..90, 90..90];

async fn run(fault: &Arc<Fault>, recovery: Recovery) -> bool {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 2;
    let objects: Arc<dyn cairn_lake::Objects> = Arc::new(FaultyObjects {
        inner: stage.objects(),
        fault: Arc::clone(fault),
    });
    let inner = Arc::clone(&stage.catalog) as Arc<dyn LakeCatalog>;
    let catalog: Arc<dyn LakeCatalog> = Arc::new(FaultyCatalog {
        inner,
        fault: Arc::clone(fault),
    });
    let start = async || loop {
        match stage
            .open_on(Arc::clone(&objects), Arc::clone(&catalog))
            .await
        {
            Ok(lake) => return lake,
            Err(error) => assert!(error.is_retryable(), "open: {error}"),
        }
    };
    let mut lake = start().await;
    for (step, batch) in BATCHES.into_iter().enumerate() {
        stage.append(&events(batch)).await;
        while let Err(error) = work(&stage, &lake, step).await {
            assert!(error.is_retryable(), "step {step}: {error}");
            if matches!(recovery, Recovery::Restart) {
                lake = start().await;
            }
        }
    }
    let has_struck = fault.has_struck();
    fault.end();
    lake.flush().await.expect("the fault has passed");
    let sent = events(0..90);
    let view = lake.read_view(&history()).expect("the table exists");
    assert!(view.hot.is_empty());
    check_rows(&lake, &view, &sent).await;
    assert_eq!(stage.log.start(PARTITION), Sequence(90));
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..90);
    has_struck
}

/// SQLite's loop: the first call goes wrong, then the second, until a run meets no fault.
async fn every_call(wrong: Wrong, recovery: Recovery) {
    let mut at = 0;
    loop {
        let fault = Fault::at(at, wrong);
        if !run(&fault, recovery).await {
            break;
        }
        at += 1;
    }
    assert!(at > 40, "only {at} calls were tried");
    let test = format!("S7 {wrong:?}, then {recovery:?}");
    results::append(&test, at as u64, "\"violations\": 0");
}

// Proves: S7, R12
#[tokio::test]
async fn any_failed_call_may_be_tried_again() {
    every_call(Wrong::Fails, Recovery::Retry).await;
}

// Proves: S7, R12
#[tokio::test]
async fn any_failed_call_may_be_followed_by_a_crash() {
    every_call(Wrong::Fails, Recovery::Restart).await;
}

// Proves: S7, P7, R12
#[tokio::test]
async fn any_answer_may_be_lost() {
    every_call(Wrong::AnswerLost, Recovery::Retry).await;
}

// Proves: S7, P7, R12
#[tokio::test]
async fn any_answer_may_be_lost_before_a_crash() {
    every_call(Wrong::AnswerLost, Recovery::Restart).await;
}

// Proves: S7, R12
#[tokio::test]
async fn any_commit_may_be_left_open_and_not_made() {
    every_call(Wrong::Unclear, Recovery::Retry).await;
}

// Proves: P6, R7, R12
#[tokio::test]
async fn a_superseded_writer_adds_nothing() {
    let stage = Stage::new().await;
    let old = stage.open().await;
    stage.append(&events(0..30)).await;
    old.ingest().await.expect("it works");
    let new = stage.open().await;
    stage.append(&events(30..60)).await;
    for attempt in [old.ingest().await, old.flush().await] {
        let error = attempt.expect_err("the role is taken");
        assert!(error.is_fenced(), "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
    new.ingest().await.expect("it works");
    new.flush().await.expect("it works");
    stage.append(&events(60..61)).await;
    let late = old.flush().await.expect_err("the role is taken");
    assert!(late.is_fenced(), "{late}");
    let view = new.read_view(&history()).expect("the table exists");
    check_rows(&new, &view, &events(0..60)).await;
    check_public_state(&stage.lake_folder(), &view.metadata_key, 0..60);
}

// Proves: P8
#[tokio::test]
async fn poison_is_set_aside_whole_and_the_rest_goes_on() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let good = events(0..3);
    let unrouted = NewRecord {
        kind: RecordKind::Event,
        header: Bytes::from_static(b"\xffnot a header"),
        body: Bytes::from_static(b"{\"any\":\"thing\"}"),
        context: Bytes::new(),
    };
    let unmapped = NewRecord {
        body: Bytes::from_static(b"{\"cut\":"),
        ..record(&good[1])
    };
    let records = vec![
        record(&good[0]),
        unrouted.clone(),
        unmapped.clone(),
        record(&good[2]),
    ];
    stage
        .log
        .append_durable(PARTITION, records)
        .await
        .expect("the log takes it");
    lake.ingest().await.expect("it works");
    lake.flush().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    let stored: Vec<_> = rows_of(&lake, &view).await.into_iter().collect();
    assert_eq!(stored, [(0, good[0].clone()), (3, good[2].clone())]);
    assert_eq!(lake.status().counts.quarantined, 2);
    assert_eq!(stage.log.start(PARTITION), Sequence(4), "the log goes on");
    let mut kept = lake
        .objects()
        .list("quarantine/")
        .await
        .expect("it can be listed");
    kept.sort();
    assert_eq!(kept.len(), 2, "{kept:?}");
    for (key, poison) in kept.iter().zip([&unmapped, &unrouted]) {
        let bytes = lake.objects().get(key).await.expect("it is there");
        let line_end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .expect("a first line");
        let line: serde_json::Value =
            serde_json::from_slice(&bytes[..line_end]).expect("the first line is JSON");
        assert!(
            line["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{line}"
        );
        assert_eq!(
            bytes[line_end + 1..],
            [&poison.header[..], &poison.body[..]].concat()
        );
    }
}

// Proves: C5, R4
#[tokio::test]
async fn a_damaged_or_lost_hot_object_is_made_again_from_the_log() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    for start in [0, 20, 40] {
        stage.append(&events(start..start + 20)).await;
        lake.ingest().await.expect("it works");
    }
    let view = lake.read_view(&history()).expect("the table exists");
    let files: Vec<_> = view
        .hot
        .iter()
        .map(|hot| stage.lake_folder().join(&hot.object.object))
        .collect();
    let mut bytes = std::fs::read(&files[0]).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&files[0], bytes).expect("it can be written");
    std::fs::remove_file(&files[1]).expect("it is there");
    drop(lake);
    let lake = stage.open().await;
    assert_eq!(lake.status().counts.rebuilt_hot_objects, 2);
    let view = lake.read_view(&history()).expect("the table exists");
    check_rows(&lake, &view, &events(0..60)).await;
    drop(lake);
    let lake = stage.open().await;
    assert_eq!(
        lake.status().counts.rebuilt_hot_objects,
        0,
        "the new ones are whole"
    );
    lake.flush().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!(view.rows(), 60);
}

#[tokio::test]
async fn a_log_that_ends_before_the_tables_is_refused() {
    let mut stage = Stage::new().await;
    let lake = stage.open().await;
    stage.append(&events(0..10)).await;
    lake.ingest().await.expect("it works");
    drop(lake);
    stage.log = Arc::new(MemoryLog::new(
        Arc::new(stage.clock.clone()),
        1 << 20,
        1 << 20,
    ));
    let refused = stage
        .open_on(stage.objects(), Arc::clone(&stage.catalog) as _)
        .await;
    let error = refused.expect_err("following another log would lose events");
    assert!(matches!(error, LakeError::LogBehind { .. }), "{error}");
    assert!(!error.is_retryable());
}

// Proves: C5, R5
#[tokio::test]
async fn a_catalog_that_ends_before_the_log_begins_is_refused() {
    let mut stage = Stage::new().await;
    let lake = stage.open().await;
    stage.append(&events(0..10)).await;
    lake.flush().await.expect("it works");
    assert_eq!(stage.log.start(PARTITION), Sequence(10), "it was released");
    drop(lake);
    stage.lose_catalog().await;
    let refused = stage
        .open_on(stage.objects(), Arc::clone(&stage.catalog) as _)
        .await;
    let error = refused.expect_err("a new catalog knows nothing of the stored events");
    assert!(matches!(error, LakeError::LogAhead { .. }), "{error}");
    assert!(!error.is_retryable());
}

// Proves: L4
#[tokio::test]
async fn a_long_backlog_is_taken_in_bounded_steps() {
    let mut stage = Stage::new().await;
    stage.config.read_bytes_max = 64 * 1024;
    let sent = events(0..3_000);
    for chunk in sent.chunks(500) {
        stage.append(chunk).await;
    }
    let lake = stage.open().await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn({
        let lake = Arc::clone(&lake);
        async move { lake.run(stopped).await }
    });
    let mut hot_rows_max = 0;
    let mut turns = 0;
    while lake.position(&history()).expect("the table exists") < Sequence(3_000) {
        let status = lake.status();
        hot_rows_max = hot_rows_max.max(status.tables[0].hot_rows);
        stage.clock.advance(Duration::from_millis(10));
        tokio::task::yield_now().await;
        turns += 1;
        assert!(turns < 10_000_000, "never there: {status:?}");
    }
    stop.send(true).expect("it runs");
    running.await.expect("it ends").expect("it ends well");
    assert!(hot_rows_max < 200, "{hot_rows_max} rows were hot at once");
    let view = lake.read_view(&history()).expect("the table exists");
    check_rows(&lake, &view, &sent).await;
}

/// The checks above are worth what they catch: each planted fault must fail one.
#[tokio::test]
async fn the_checks_catch_planted_faults() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    for start in [0, 20, 40] {
        stage.append(&events(start..start + 20)).await;
        lake.flush().await.expect("it works");
    }
    let view = lake.read_view(&history()).expect("the table exists");
    let folder = stage.lake_folder();
    let metadata = folder.join(&view.metadata_key);
    let whole = std::fs::read_to_string(&metadata).expect("it exists");
    let ranges_join = || {
        let check = || check_public_state(&folder, &view.metadata_key, 0..60);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_ok()
    };
    assert!(ranges_join());
    let mut caught = 0;
    for (name, planted) in [
        (
            "a gap",
            whole.replace("position.0.start\":\"20\"", "position.0.start\":\"21\""),
        ),
        (
            "an overlap",
            whole.replace("position.0.start\":\"20\"", "position.0.start\":\"19\""),
        ),
        (
            "a lost end",
            whole.replace("position.0.end\":\"60\"", "position.0.end\":\"59\""),
        ),
    ] {
        assert_ne!(planted, whole, "{name} was not planted");
        std::fs::write(&metadata, planted).expect("it can be written");
        assert!(!ranges_join(), "{name} was not caught");
        caught += 1;
    }
    std::fs::write(&metadata, &whole).expect("it can be written");
    let data = folder.join(&view.files[0].key);
    std::fs::rename(&data, data.with_extension("gone")).expect("it exists");
    assert!(!ranges_join(), "a missing file was not caught");
    std::fs::rename(data.with_extension("gone"), &data).expect("it exists");
    let rows = rows_of(&lake, &view).await;
    for (name, sent) in [
        ("a lost row", events(0..61)),
        ("a foreign row", events(0..59)),
    ] {
        assert!(!rows.values().eq(&sent), "{name} was not caught");
        caught += 1;
    }
    println!("controls caught {}/6", caught + 1);
}

/// A log whose records from 10 to 15 are damaged on its disk.
#[derive(Debug)]
struct DamagedLog {
    inner: Arc<MemoryLog>,
}

#[async_trait::async_trait]
impl EventLog for DamagedLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<std::ops::Range<Sequence>, AppendError> {
        self.inner.append_durable(partition, records).await
    }

    fn durable_end(&self, partition: PartitionId) -> Sequence {
        self.inner.durable_end(partition)
    }

    fn start(&self, partition: PartitionId) -> Sequence {
        self.inner.start(partition)
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        if (10..15).contains(&from.0) {
            let (segment, offset) = ("a.segment".to_owned(), 4096);
            return Err(ReadError::Corrupt {
                segment,
                offset,
                resume_at: Sequence(15),
            });
        }
        let mut records = self.inner.read(partition, from, bytes_max).await?;
        records.retain(|record| from.0 >= 15 || record.sequence.0 < 10);
        Ok(records)
    }

    async fn wait_beyond(&self, partition: PartitionId, position: Sequence) {
        self.inner.wait_beyond(partition, position).await;
    }

    fn advance_reader(&self, partition: PartitionId, reader: ReaderName, position: Sequence) {
        self.inner.advance_reader(partition, reader, position);
    }
}

// Proves: R4
#[tokio::test]
async fn records_that_the_log_has_lost_are_noted_and_the_tables_go_on() {
    let stage = Stage::new().await;
    let sent = events(0..20);
    stage.append(&sent).await;
    let log = Arc::new(DamagedLog {
        inner: Arc::clone(&stage.log),
    });
    let lake = stage.open_with_log(log).await.expect("it opens");
    lake.ingest().await.expect("it goes on");
    lake.flush().await.expect("it goes on");
    assert_eq!(lake.status().counts.lost, 5);
    assert_eq!(
        lake.position(&history()).expect("the table exists"),
        Sequence(20)
    );
    let kept = [&sent[..10], &sent[15..]].concat();
    let view = lake.read_view(&history()).expect("the table exists");
    check_rows(&lake, &view, &kept).await;
    let notes = stage
        .objects()
        .list("quarantine/log/")
        .await
        .expect("it can be listed");
    assert_eq!(notes, ["quarantine/log/00000-10-15-a.segment-4096.lost"]);
}

// Proves: C5, R4
#[tokio::test]
async fn a_hot_object_damaged_together_with_its_log_keeps_what_the_log_has() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let sent = events(0..20);
    stage.append(&sent).await;
    lake.ingest().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    let file = stage.lake_folder().join(&view.hot[0].object.object);
    std::fs::write(file, b"nothing of it").expect("it can be written");
    drop((lake, view));
    let inner = Arc::clone(&stage.log);
    let log = Arc::new(DamagedLog { inner });
    let lake = stage
        .open_with_log(log)
        .await
        .expect("it opens all the same");
    let counts = lake.status().counts;
    assert_eq!((counts.rebuilt_hot_objects, counts.lost), (1, 5));
    let kept = [&sent[..10], &sent[15..]].concat();
    let view = lake.read_view(&history()).expect("the table exists");
    check_rows(&lake, &view, &kept).await;
}
