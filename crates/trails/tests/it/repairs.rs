//! Damage around delivery: a log with a hole, configuration and records that cannot be read, panics, objects of
//! strangers, and the limits that keep one trail from taking what others need.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_eventlog::{
    AppendError, EventLog, LogRecord, MemoryLog, NewRecord, ReadError, ReaderName, RecordKind,
};
use cairn_model::{PartitionId, Sequence};
use cairn_platform::{
    Clock as _, NewObject, ObjectBody, ObjectPuts as _, S3Failure, S3Purpose, ScriptedPut,
    SystemClock,
};
use cairn_trails::{TrailsConfig, TrailsError};
use tokio::sync::watch;

use crate::door::Door;
use crate::full_disk::FullDisk;
use crate::stage::{BUCKET, Stage, next, trail, validated};

const HOUR: Duration = Duration::from_hours(1);
/// More than the longest pause between two attempts.
const PAUSE: Duration = Duration::from_mins(6);

/// A log that has lost some of its records.
#[derive(Debug)]
struct TornLog {
    whole: Arc<MemoryLog>,
    hole: Mutex<Range<u64>>,
}

#[async_trait]
impl EventLog for TornLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError> {
        self.whole.append_durable(partition, records).await
    }

    fn durable_end(&self, partition: PartitionId) -> Sequence {
        self.whole.durable_end(partition)
    }

    fn start(&self, partition: PartitionId) -> Sequence {
        self.whole.start(partition)
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        let hole = self.hole.lock().expect("no panic").clone();
        if hole.contains(&from.0) {
            return Err(ReadError::Corrupt {
                segment: "torn".to_owned(),
                offset: 0,
                resume_at: Sequence(hole.end),
            });
        }
        let mut records = self.whole.read(partition, from, bytes_max).await?;
        records.retain(|record| record.sequence.0 < hole.start || record.sequence.0 >= hole.end);
        if from.0 < hole.start {
            records.retain(|record| record.sequence.0 < hole.start);
        }
        Ok(records)
    }

    async fn wait_beyond(&self, partition: PartitionId, position: Sequence) {
        self.whole.wait_beyond(partition, position).await;
    }

    fn advance_reader(&self, partition: PartitionId, reader: ReaderName, position: Sequence) {
        self.whole.advance_reader(partition, reader, position);
    }
}

// Proves: R4, R15
#[tokio::test]
async fn behind_a_hole_in_the_log_trails_are_what_they_are_now() {
    let mut stage = Stage::new().await;
    let whole = Arc::clone(&stage.log);
    let torn = Arc::new(TornLog {
        whole: Arc::clone(&whole),
        hole: Mutex::new(0..0),
    });
    stage.read_through(Arc::clone(&torn) as _);
    stage.restart().await;
    let (moved, gone) = (validated("moved"), validated("gone"));
    stage.create(&moved).await;
    stage.create(&gone).await;
    stage.deliver().await;
    let before = stage.event("us-east-1", "Before").await;
    // The hole takes two changes of each, the second of which deletes one, and an event.
    let start = whole.durable_end(PartitionId(0)).0;
    let first = next(&moved, |trail| {
        trail.settings.key_prefix = Some("p".to_owned());
    });
    let second = next(&first, |trail| trail.settings.bucket = "other".to_owned());
    let changed = next(&gone, |trail| {
        trail.settings.key_prefix = Some("q".to_owned());
    });
    stage.change(&first).await;
    stage.change(&second).await;
    stage.change(&changed).await;
    stage.delete(&changed).await;
    stage.event("us-east-1", "Lost").await;
    let end = whole.durable_end(PartitionId(0)).0;
    *torn.hole.lock().expect("no panic") = start..end;
    let after = stage.event("us-east-1", "After").await;
    stage.deliver().await;
    let ids = stage.delivered_ids(BUCKET);
    assert_eq!(ids, [before.clone(), before], "as the trails were then");
    assert_eq!(
        stage.delivered_ids("other"),
        std::slice::from_ref(&after),
        "as they are now"
    );
    assert_eq!(stage.trails.counts().lost_records, end - start);
    // The hole is behind, for a node that starts again too, and what is deleted stays so.
    stage.restart().await;
    let later = stage.event("us-east-1", "Later").await;
    stage.deliver().await;
    assert_eq!(stage.trails.counts().lost_records, 0);
    assert_eq!(stage.delivered_ids("other"), [after, later]);
    assert_eq!(stage.delivered_ids(BUCKET).len(), 2);
    for _ in 0..3 {
        stage.pass(HOUR).await;
    }
    stage.check_spool_use().await;
    assert!(
        stage.spooled().is_empty(),
        "the deleted trail's chain has ended"
    );
}

// Proves: R15, TRL-133
#[tokio::test]
async fn a_trail_that_cannot_be_read_loses_no_file_and_hinders_no_other() {
    let mut stage = Stage::new().await;
    stage.create(&trail("good")).await;
    let mut strange = trail("strange");
    strange.settings.bucket = "other".to_owned();
    stage.create(&strange).await;
    stage.puts.delete_bucket("other");
    let first = stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.puts.create_bucket("other");
    stage
        .execute(
            "UPDATE trail_versions SET document = replace(document, '\"form\":1', '\"form\":99') \
             WHERE trail_id = 'id-of-strange'",
        )
        .await;
    stage.restart().await;
    let second = stage.event("us-east-1", "B").await;
    for _ in 0..3 {
        stage.clock.advance(PAUSE);
        stage.deliver().await;
    }
    assert_eq!(stage.delivered_ids(BUCKET), [first.clone(), second]);
    let status = stage.status(&strange).await;
    assert_eq!(status.files_lost, 0, "not deleted, but not understood");
    assert_eq!(status.delivery_error.as_deref(), Some("SpoolUnreadable"));
    stage
        .execute(
            "UPDATE trail_versions SET document = replace(document, '\"form\":99', '\"form\":1') \
             WHERE trail_id = 'id-of-strange'",
        )
        .await;
    stage.clock.advance(PAUSE);
    stage.restart().await;
    stage.deliver().await;
    assert_eq!(stage.delivered_ids("other"), [first]);
}

// Proves: R18
#[tokio::test]
async fn the_bytes_of_puts_in_flight_are_bounded() {
    const BOUND: usize = 4 << 10;
    let mut stage = Stage::with(|config| TrailsConfig {
        puts_bytes_max: BOUND,
        ..config
    })
    .await;
    let door = Door::before(&stage.puts);
    stage.put_through(Arc::clone(&door) as _);
    stage.restart().await;
    for number in 0..8 {
        stage.create(&trail(&format!("trail-{number}"))).await;
    }
    for _ in 0..12 {
        stage.event("us-east-1", "A").await;
    }
    stage.trails.cut_now().await.expect("cuts");
    door.hold();
    let mut steps = stage.trails.put_steps();
    steps.start_due().await;
    assert_eq!(steps.in_flight(), 8, "each has a place");
    for left in (1..=8_usize).rev() {
        // Sizes count in whole KiB.
        let size = door.held(1).await[0].bytes.next_multiple_of(1 << 10);
        let room = (BOUND / size).min(left);
        assert!(room < 8, "the bound is one");
        let held = door.held(room).await;
        let bytes: usize = held.iter().map(|put| put.bytes).sum();
        assert!(
            held.len() <= room && bytes <= BOUND,
            "{bytes} bytes in flight"
        );
        door.release(&held[0].key);
        assert!(steps.end_one().await);
    }
    assert_eq!(stage.delivered(BUCKET).len(), 8);
}

// Proves: R15, S5
#[tokio::test]
async fn trails_take_turns_at_the_places() {
    let mut stage = Stage::with(|config| TrailsConfig {
        puts_max: 2,
        ..config
    })
    .await;
    let door = Door::before(&stage.puts);
    stage.put_through(Arc::clone(&door) as _);
    stage.restart().await;
    for number in 0..4 {
        let mut one = trail(&format!("trail-{number}"));
        one.settings.key_prefix = Some(format!("p{number}"));
        stage.create(&one).await;
    }
    for _ in 0..6 {
        stage.event("us-east-1", "A").await;
        stage.trails.cut_now().await.expect("cuts");
    }
    door.hold();
    let mut steps = stage.trails.put_steps();
    let mut turns = Vec::new();
    for _ in 0..24 {
        steps.start_due().await;
        let held = door.held(steps.in_flight()).await;
        assert!(held.len() <= 2);
        let key = held[0].key.clone();
        turns.push(key.split('/').next().expect("a prefix").to_owned());
        door.release(&key);
        assert!(steps.end_one().await);
    }
    let first: BTreeSet<&String> = turns[..10].iter().collect();
    assert_eq!(
        first.len(),
        4,
        "nobody waits for all files of another: {turns:?}"
    );
    assert_eq!(stage.delivered_ids(BUCKET).len(), 24);
}

// Proves: R18
#[tokio::test]
async fn room_that_must_stay_free_is_not_spooled_into() {
    let disk = FullDisk::new();
    let keep = |config| TrailsConfig {
        free_bytes_min: 1_000_000,
        ..config
    };
    let mut stage = Stage::on(Arc::new(disk.clone()), keep).await;
    let made = trail("all");
    stage.create(&made).await;
    disk.set_free(Some(1_000_000));
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("SpoolFull"));
    assert_eq!(status.events_lost, 1);
    assert!(stage.spooled().is_empty());
    disk.set_free(Some(1_100_000));
    let kept = stage.event("us-east-1", "B").await;
    stage.deliver().await;
    assert_eq!(stage.delivered_ids(BUCKET), [kept]);
}

/// Puts other bytes where a trail's file lies.
async fn replace(stage: &Stage, key: &str) {
    let body = b"somebody else's";
    let stranger = NewObject {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        body: ObjectBody::Bytes(Bytes::from_static(body)),
        sha256: aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body)
            .as_ref()
            .try_into()
            .expect("32 bytes"),
        metadata: Vec::new(),
        content_type: None,
        content_encoding: None,
        gives_owner_full_control: false,
        encryption: None,
        if_none_match: false,
    };
    let put = stage.puts.put_new(&stranger, &S3Purpose::Command).await;
    put.expect("stores");
}

// Proves: R14, S2
#[tokio::test]
async fn other_bytes_under_a_files_key_are_told_and_never_overwritten() {
    let lost_answer = || {
        let lost = S3Failure {
            is_timeout: true,
            ..S3Failure::new(S3Failure::TIMEOUT, "scripted")
        };
        [ScriptedPut::StoreThenFail(lost)]
    };
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    stage.puts.allow_reading();
    // Our own bytes: delivered before.
    stage.puts.script(BUCKET, lost_answer());
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.clock.advance(PAUSE);
    stage.deliver().await;
    let counts = stage.trails.counts();
    assert_eq!((counts.already_there, counts.conflicts), (1, 0));
    assert!(stage.spooled().is_empty());
    // Somebody else's.
    stage.puts.script(BUCKET, lost_answer());
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    let key = door_key(&stage, 1);
    replace(&stage, &key).await;
    stage.clock.advance(PAUSE);
    stage.deliver().await;
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("OtherBytesUnderKey"));
    assert_eq!(stage.trails.counts().conflicts, 1);
    let found = stage.puts.objects()[&(BUCKET.to_owned(), key.clone())].clone();
    assert_eq!(&found.bytes[..], b"somebody else's");
    // Once the stranger's object is gone, ours takes its place.
    stage.puts.remove_object(BUCKET, &key);
    stage.clock.advance(PAUSE);
    stage.deliver().await;
    assert_eq!(stage.delivered_ids(BUCKET).len(), 2);
    assert_eq!(stage.status(&made).await.delivery_error, None);
}

/// The key of the newest object whose file still waits.
fn door_key(stage: &Stage, waiting: usize) -> String {
    assert_eq!(stage.spooled().len(), waiting);
    let objects = stage.puts.objects();
    let newest = objects.iter().find(|(_, object)| {
        let spooled = std::fs::read(&stage.spooled()[0]).expect("a file");
        object.bytes == spooled
    });
    newest.expect("it was stored").0.1.clone()
}

// Proves: P8
#[tokio::test]
async fn a_record_that_cannot_be_read_is_kept_and_those_behind_it_go_on() {
    let mut stage = Stage::new().await;
    stage.create(&trail("all")).await;
    let poison = NewRecord {
        kind: RecordKind::Event,
        header: Bytes::from_static(b"no header"),
        body: Bytes::from_static(b"{no event"),
        context: Bytes::new(),
    };
    stage.append(vec![poison]).await;
    let behind = stage.event("us-east-1", "A").await;
    stage.deliver().await;
    assert_eq!(stage.delivered_ids(BUCKET), [behind]);
    let counts = stage.trails.counts();
    assert_eq!((counts.quarantined, counts.lost_records), (1, 0));
    stage.restart().await;
    let kept = stage.spooled();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = kept[0].file_name().expect("a name").to_string_lossy();
    assert!(name.starts_with("unreadable-00000-"), "{name}");
    let bytes = std::fs::read(&kept[0]).expect("a file");
    assert!(bytes.ends_with(b"\nno header{no event"));
    let line = bytes.split(|byte| *byte == b'\n').next().expect("a line");
    let line: serde_json::Value = serde_json::from_slice(line).expect("JSON");
    assert_eq!(line["format"], "cairn.quarantine.1");
    assert_eq!(line["reason"], "neither header nor event can be read");
}

// Proves: P8, R15
#[tokio::test]
async fn a_panic_in_cutting_or_signing_ends_no_more_than_that_step() {
    let disk = FullDisk::new();
    let mut stage = Stage::on(Arc::new(disk.clone()), |config| config).await;
    stage.create(&validated("all")).await;
    let id = stage.event("us-east-1", "A").await;
    disk.panic_next_sync();
    let met = stage.trails.cut_now().await;
    assert!(matches!(met, Err(TrailsError::Panicked { .. })), "{met:?}");
    // As the node runs it.
    disk.panic_next_sync();
    let (stop, stopped) = watch::channel(false);
    let trails = Arc::clone(&stage.trails);
    let running = tokio::spawn(async move { trails.run(stopped).await });
    let real = SystemClock::new();
    for round in 0.. {
        assert!(round < 2_000, "{:?}", stage.trails.counts());
        if round == 50 {
            disk.panic_next_sync();
        }
        stage.clock.advance(Duration::from_secs(30));
        real.sleep(Duration::from_millis(5)).await;
        let counts = stage.trails.counts();
        if disk.panics() == 3 && counts.digests > 1 && counts.delivered > 2 {
            break;
        }
    }
    stop.send(true).expect("it runs");
    running.await.expect("no panic").expect("no trouble");
    assert!(stage.trails.counts().failures >= 2);
    stage.pass(2 * HOUR).await;
    assert_eq!(stage.delivered_ids(BUCKET), [id]);
    stage.check_all_listed("us-east-1").await;
}
