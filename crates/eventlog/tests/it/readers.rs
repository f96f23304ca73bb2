//! Readers: catching up from the disk, releasing segments, and what scrubbing finds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_eventlog::conformance::{read_all, record};
use cairn_eventlog::{
    EventLog, NewRecord, OpenError, ReadError, SegmentedLog, SegmentedLogConfig, inspect_segment,
};
use cairn_model::Sequence;
use cairn_platform::{Disk, SimDisk};

use crate::fixture::{PARTITION, clock, small_config};

fn open(disk: &SimDisk, config: SegmentedLogConfig) -> Arc<SegmentedLog> {
    SegmentedLog::open(config, Arc::new(disk.clone()), clock()).expect("the log opens")
}

async fn fill(log: &SegmentedLog, batches: u64) -> Vec<NewRecord> {
    let mut all = Vec::new();
    for number in 0..batches {
        let batch: Vec<_> = (0..4).map(|n| record(number * 10 + n, 900)).collect();
        log.append_durable(PARTITION, batch.clone())
            .await
            .expect("there is room");
        all.extend(batch);
    }
    all
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new("/log")).expect("the folder exists");
    let segments = names.into_iter().filter(|name| name.ends_with(".segment"));
    segments.map(|name| Path::new("/log").join(name)).collect()
}

#[tokio::test]
async fn a_reader_that_starts_late_catches_up_while_others_append() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    let mut all = fill(&log, 60).await;
    let appending = tokio::spawn({
        let log = Arc::clone(&log);
        async move { fill(&log, 60).await }
    });
    let mut next = Sequence(0);
    let mut found = Vec::new();
    while next < Sequence(480) {
        log.wait_beyond(PARTITION, next).await;
        let records = log
            .read(PARTITION, next, 7000)
            .await
            .expect("the log can be read");
        next = records.last().expect("there are more").sequence.plus(1);
        found.extend(records.into_iter().map(|record| record.record));
    }
    all.extend(appending.await.expect("it does not panic"));
    assert_eq!(found, all);
}

// Proves: R5
#[tokio::test]
async fn nothing_is_released_before_every_expected_reader_has_told_its_position() {
    let disk = SimDisk::new(1);
    let config = SegmentedLogConfig {
        expected_readers: vec!["lake", "trails"],
        ..small_config()
    };
    let log = open(&disk, config);
    fill(&log, 60).await;
    let end = log.durable_end(PARTITION);
    log.advance_reader(PARTITION, "lake", end);
    assert_eq!(log.start(PARTITION), Sequence(0));
    log.advance_reader(PARTITION, "trails", Sequence(100));
    let start = log.start(PARTITION);
    assert!(Sequence(0) < start && start <= Sequence(100), "{start}");
    let positions = [("lake", end), ("trails", Sequence(100))];
    assert_eq!(log.status().readers, positions);
}

// Proves: R5
#[tokio::test]
async fn the_files_of_released_segments_go_and_the_sequence_stays() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    fill(&log, 60).await;
    let before = segments(&disk).len();
    let end = log.durable_end(PARTITION);
    log.advance_reader(PARTITION, "lake", end);
    log.close().await;
    drop(log);
    // Whatever the thread that removes files had not come to is removed after the next opening.
    let log = open(&disk, small_config());
    log.advance_reader(PARTITION, "lake", end);
    assert_eq!(log.durable_end(PARTITION), end);
    assert!(before > 3, "{before} segments were written");
    assert!(log.status().segments <= 2, "{:?}", log.status());
    assert_eq!(log.status().damage, []);
}

// Proves: R4
#[tokio::test]
async fn a_reader_ahead_of_the_log_poisons_it() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    fill(&log, 1).await;
    log.advance_reader(PARTITION, "lake", Sequence(5));
    let reason = log.poisoned().await;
    assert!(
        reason.contains("lake is at 5") && reason.contains("ends at 4"),
        "{reason}"
    );
}

// Proves: R6
#[tokio::test]
async fn scrubbing_finds_a_flipped_bit_before_any_reader_does() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    fill(&log, 60).await;
    log.close().await;
    let clean = log.scrub().await;
    assert_eq!(
        (clean.segments, clean.damage),
        (segments(&disk).len(), Vec::new())
    );
    // The second frame of the second segment: 4 records of about 930 bytes, one batch.
    let segment = &segments(&disk)[1];
    disk.flip(segment, 4096 + 4096 + 2000, 0x10);
    let damage = log.scrub().await.damage;
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert_eq!(Path::new("/log").join(&damage[0].segment), *segment);
    assert_eq!(damage[0].offset, 8192);
    assert_eq!(damage[0].sequences.end.0 - damage[0].sequences.start.0, 4);
    assert_eq!(log.status().damage, damage, "the operator sees it too");
    let read = read_all(log.as_ref(), damage[0].sequences.start, 1000).await;
    let Err(ReadError::Corrupt {
        resume_at,
        offset: 8192,
        ..
    }) = read
    else {
        panic!("{read:?}");
    };
    assert_eq!(resume_at, damage[0].sequences.end);
}

// Proves: R4
#[tokio::test]
async fn a_damaged_segment_is_kept_when_it_is_released() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    fill(&log, 60).await;
    drop(log);
    let segment = segments(&disk)[0].clone();
    disk.flip(&segment, 4096 + 100, 1);
    let damaged = disk.contents(&segment);
    let (log, stepper) =
        SegmentedLog::open_stepped(small_config(), Arc::new(disk.clone()), clock())
            .expect("the log opens");
    log.read(PARTITION, Sequence(0), 1)
        .await
        .expect_err("the first batch is damaged");
    log.advance_reader(PARTITION, "lake", log.durable_end(PARTITION));
    stepper.release();
    assert_eq!(disk.contents(&segment), None);
    let name = segment.file_name().expect("it has a name");
    assert_eq!(
        disk.contents(&Path::new("/log/quarantine").join(name)),
        damaged
    );
}

#[tokio::test]
async fn files_of_a_newer_version_are_not_touched() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    fill(&log, 1).await;
    log.close().await;
    drop(log);
    let segment = segments(&disk)[0].clone();
    let mut contents = disk.contents(&segment).expect("it was listed");
    contents[8] = 2;
    // The header's checksum, by the documented layout.
    let crc = crc32c::crc32c_append(crc32c::crc32c(&contents[..12]), &contents[16..64]);
    contents[12..16].copy_from_slice(&crc.to_le_bytes());
    disk.plant(&segment, &contents);
    let opened = SegmentedLog::open(small_config(), Arc::new(disk.clone()), clock());
    assert!(
        matches!(opened, Err(OpenError::UnknownVersion { version: 2, .. })),
        "{opened:?}"
    );
    assert_eq!(disk.contents(&segment), Some(contents));
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let config = SegmentedLogConfig {
        batch_bytes_max: 64 << 10,
        ..small_config()
    };
    let opened = SegmentedLog::open(config, Arc::new(SimDisk::new(1)), clock());
    assert!(
        matches!(opened, Err(OpenError::Config { .. })),
        "{opened:?}"
    );
}

#[tokio::test]
async fn a_single_segment_can_be_inspected() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_config());
    fill(&log, 5).await;
    log.close().await;
    let segment = segments(&disk)[0].clone();
    disk.flip(&segment, 4096 + 100, 1);
    let name = segment
        .file_name()
        .and_then(|name| name.to_str())
        .expect("it has a name");
    let file = disk.open(&segment).expect("it exists");
    let found = inspect_segment(file.as_ref(), name).expect("it can be read");
    let found = found.expect("it is a segment");
    assert_eq!(
        (found.sealed, found.frames, found.damaged_frames),
        (true, 4, 1)
    );
    assert_eq!(found.end, Sequence(20));
    assert_eq!(
        inspect_segment(file.as_ref(), "watermark").expect("it can be read"),
        None
    );
}
