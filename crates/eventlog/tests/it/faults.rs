//! What the log does when its disk fails, fills up or stops answering, and when it is killed at a named
//! point. The threads are the real ones; the disk is simulated.

use std::path::Path;
use std::sync::Arc;

use cairn_eventlog::conformance::{read_all, record};
use cairn_eventlog::{
    AppendError, EventLog, NewRecord, OpenError, SegmentedLog, SegmentedLogConfig, failpoints,
};
use cairn_model::Sequence;
use cairn_platform::{SimDisk, SimFaults};
use futures::FutureExt;

use crate::fixture::{PARTITION, clock, small_config};

fn open(disk: &SimDisk) -> Arc<SegmentedLog> {
    open_with(disk, small_config())
}

fn open_with(disk: &SimDisk, config: SegmentedLogConfig) -> Arc<SegmentedLog> {
    SegmentedLog::open(config, Arc::new(disk.clone()), clock()).expect("the log opens")
}

fn batch(number: u64) -> Vec<NewRecord> {
    (0..3).map(|n| record(number * 10 + n, 800)).collect()
}

/// Appends until an append fails; returns the records that were acknowledged and the failure.
async fn append_until_failure(log: &SegmentedLog, first: u64) -> (Vec<NewRecord>, AppendError) {
    let mut acknowledged = Vec::new();
    for number in first.. {
        match log.append_durable(PARTITION, batch(number)).await {
            Ok(_) => acknowledged.extend(batch(number)),
            Err(error) => return (acknowledged, error),
        }
    }
    unreachable!("some append fails")
}

async fn contents(log: &SegmentedLog) -> Vec<NewRecord> {
    let start = log.start(PARTITION);
    let records = read_all(log, start, 10_000)
        .await
        .expect("the log can be read");
    records.into_iter().map(|record| record.record).collect()
}

// Proves: C7, R1, R2
#[tokio::test]
async fn a_failed_sync_poisons_and_is_never_repeated() {
    for n in 1..=50 {
        let disk = SimDisk::new(n);
        let log = open(&disk);
        disk.set_faults(SimFaults {
            fdatasync_fails_at: Some(n),
            ..SimFaults::default()
        });
        let (acknowledged, error) = append_until_failure(&log, 0).await;
        assert!(
            matches!(error, AppendError::Poisoned { .. }),
            "n {n}: {error}"
        );
        assert!(log.poisoned().await.contains("injected"), "n {n}");
        let after = log.append_durable(PARTITION, batch(0)).await;
        assert!(
            matches!(after, Err(AppendError::Poisoned { .. })),
            "n {n}: {after:?}"
        );
        // What was acknowledged can still be read, until the process is gone.
        assert_eq!(contents(&log).await, acknowledged, "n {n}");
        drop(log);
        let log = open(&disk.crash());
        assert_eq!(
            contents(&log).await[..acknowledged.len()],
            acknowledged,
            "n {n}"
        );
        assert_eq!(log.status().damage, [], "n {n}");
        assert_eq!(disk.syncs().fdatasync_after_failure, 0, "n {n}");
    }
}

// Proves: R1, R2
#[tokio::test]
async fn a_failed_directory_sync_poisons() {
    for n in 1..=4 {
        let disk = SimDisk::new(n);
        let log = open(&disk);
        disk.set_faults(SimFaults {
            sync_dir_fails_at: Some(n),
            ..SimFaults::default()
        });
        let (acknowledged, error) = append_until_failure(&log, 0).await;
        assert!(
            matches!(error, AppendError::Poisoned { .. }),
            "n {n}: {error}"
        );
        drop(log);
        let log = open(&disk.crash());
        assert_eq!(
            contents(&log).await[..acknowledged.len()],
            acknowledged,
            "n {n}"
        );
    }
}

// Proves: C6, R2, R18
#[tokio::test]
async fn a_full_disk_refuses_and_the_log_resumes_when_there_is_room() {
    for room in (0..400_000).step_by(23_456) {
        let disk = SimDisk::new(room);
        let log = open(&disk);
        let mut all = Vec::new();
        for number in 0..5 {
            log.append_durable(PARTITION, batch(number))
                .await
                .expect("there is room");
            all.extend(batch(number));
        }
        let capacity_bytes = Some(disk.used_bytes() + room);
        disk.set_faults(SimFaults {
            capacity_bytes,
            ..SimFaults::default()
        });
        let (acknowledged, error) = append_until_failure(&log, 5).await;
        assert!(
            matches!(error, AppendError::RefusedNoSpace),
            "room {room}: {error}"
        );
        assert!(error.is_retryable(), "room {room}");
        assert!(log.status().no_space, "room {room}");
        let room_now = log.check_room(1);
        assert!(
            matches!(room_now, Err(AppendError::RefusedNoSpace)),
            "room {room}"
        );
        all.extend(acknowledged);
        // Still refused, not poisoned; reads go on.
        let again = log.append_durable(PARTITION, batch(0)).await;
        assert!(
            matches!(again, Err(AppendError::RefusedNoSpace)),
            "room {room}: {again:?}"
        );
        assert_eq!(contents(&log).await, all, "room {room}");
        disk.set_faults(SimFaults::default());
        log.append_durable(PARTITION, batch(0))
            .await
            .expect("there is room again");
        assert!(!log.status().no_space, "room {room}");
        assert!(log.check_room(1).is_ok(), "room {room}");
        all.extend(batch(0));
        drop(log);
        let log = open(&disk.crash());
        assert_eq!(contents(&log).await, all, "room {room}");
    }
}

// Proves: R18
#[tokio::test]
async fn new_batches_are_refused_below_the_low_water_mark() {
    let disk = SimDisk::new(1);
    let config = SegmentedLogConfig {
        free_bytes_min: 100_000,
        ..small_config()
    };
    let log = open_with(&disk, config);
    log.append_durable(PARTITION, batch(0))
        .await
        .expect("there is room");
    let used = disk.used_bytes();
    let with_room = |room| SimFaults {
        capacity_bytes: Some(used + room),
        ..SimFaults::default()
    };
    disk.set_faults(with_room(100_000));
    let told = log.check_room(1);
    assert!(
        matches!(told, Err(AppendError::RefusedNoSpace)),
        "before anything was refused"
    );
    let refused = log.append_durable(PARTITION, batch(1)).await;
    assert!(
        matches!(refused, Err(AppendError::RefusedNoSpace)),
        "{refused:?}"
    );
    disk.set_faults(with_room(120_000));
    log.append_durable(PARTITION, batch(1))
        .await
        .expect("above the mark");
}

// Proves: R18
#[tokio::test]
async fn the_reserve_makes_recovery_possible_on_a_full_disk() {
    let disk = SimDisk::new(1);
    let config = SegmentedLogConfig {
        reserve_bytes: 100_000,
        ..small_config()
    };
    let log = open_with(&disk, config.clone());
    assert!(
        disk.contents(Path::new("/log/reserve")).is_some(),
        "the reserve is kept"
    );
    log.append_durable(PARTITION, batch(0))
        .await
        .expect("there is room");
    drop(log);
    let disk = disk.crash();
    let full = SimFaults {
        capacity_bytes: Some(disk.used_bytes()),
        ..SimFaults::default()
    };
    disk.set_faults(full.clone());
    let log = open_with(&disk, config.clone());
    assert_eq!(contents(&log).await, batch(0));
    drop(log);
    // The same disk, full of something else where the reserve was: it says so, and loses nothing.
    let disk = disk.kill();
    let reserve = disk
        .contents(Path::new("/log/reserve"))
        .map_or(0, |reserve| reserve.len());
    disk.lose(Path::new("/log/reserve"));
    disk.plant(Path::new("/other"), &vec![0; reserve]);
    disk.set_faults(SimFaults {
        capacity_bytes: Some(disk.used_bytes()),
        ..full
    });
    let opened = SegmentedLog::open(config.clone(), Arc::new(disk.clone()), clock());
    assert!(matches!(opened, Err(OpenError::NoSpace)), "{opened:?}");
    disk.set_faults(SimFaults::default());
    assert_eq!(contents(&open_with(&disk, config)).await, batch(0));
}

// Proves: C8, R1, R18
#[tokio::test]
async fn a_disk_that_does_not_answer_bounds_the_queue_and_acknowledges_nothing() {
    let disk = SimDisk::new(1);
    let config = SegmentedLogConfig {
        cache_bytes_max: 8 << 10,
        ..small_config()
    };
    let log = open_with(&disk, config.clone());
    log.append_durable(PARTITION, batch(0))
        .await
        .expect("the disk answers");
    disk.pause_syncs();
    let mut waiting = Vec::new();
    let refused = loop {
        let mut append = log.append_durable(PARTITION, batch(1));
        match append.as_mut().now_or_never() {
            None => waiting.push(append),
            Some(answer) => break answer,
        }
    };
    assert!(
        matches!(refused, Err(AppendError::RefusedBusy)),
        "{refused:?}"
    );
    assert!(log.status().queue_bytes <= config.queue_bytes_max);
    assert_eq!(
        log.durable_end(PARTITION),
        Sequence(3),
        "nothing is durable without a sync"
    );
    assert_eq!(contents(&log).await, batch(0), "reads go on");
    disk.resume_syncs();
    let answers = futures::future::join_all(waiting).await;
    assert!(
        answers.iter().all(Result::is_ok),
        "what was admitted is written"
    );
    assert_eq!(log.durable_end(PARTITION).0, 3 + 3 * answers.len() as u64);
    assert_eq!(log.status().queue_bytes, 0);
    assert!(log.status().cache_bytes <= config.cache_bytes_max);
}

// Proves: R1
#[tokio::test]
async fn closing_writes_what_waits_and_takes_no_more() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    disk.pause_syncs();
    let mut waiting: Vec<_> = (0..10)
        .map(|number| log.append_durable(PARTITION, batch(number)))
        .collect();
    for append in &mut waiting {
        assert!(
            append.as_mut().now_or_never().is_none(),
            "the disk does not answer"
        );
    }
    let mut closing = Box::pin(log.close());
    assert!(closing.as_mut().now_or_never().is_none(), "batches wait");
    let refused = log.append_durable(PARTITION, batch(1)).await;
    assert!(matches!(refused, Err(AppendError::Closed)), "{refused:?}");
    disk.resume_syncs();
    closing.await;
    for append in waiting {
        append
            .now_or_never()
            .expect("all are answered")
            .expect("all are written");
    }
    let all: Vec<_> = (0..10).flat_map(batch).collect();
    assert_eq!(contents(&open(&disk.crash())).await, all);
}

// A caller that gives up leaves its batch in the log: it may be in, and nothing else suffers.
#[tokio::test]
async fn an_abandoned_append_does_not_disturb_the_others() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    disk.pause_syncs();
    let mut abandoned = log.append_durable(PARTITION, batch(1));
    assert!(
        abandoned.as_mut().now_or_never().is_none(),
        "the disk does not answer"
    );
    drop(abandoned);
    let mut second = log.append_durable(PARTITION, batch(2));
    assert!(
        second.as_mut().now_or_never().is_none(),
        "the disk does not answer"
    );
    disk.resume_syncs();
    second.await.expect("it is written");
    assert_eq!(contents(&log).await, [batch(1), batch(2)].concat());
    assert_eq!(log.status().queue_bytes, 0, "its room is given back");
}

// Proves: R2
#[tokio::test]
async fn a_writer_that_panics_poisons_the_log_and_answers_everybody() {
    let scenario = fail::FailScenario::setup();
    let log = open(&SimDisk::new(1));
    fail::cfg(failpoints::SYNC, "panic").expect("the feature is on");
    let appends = (0..5).map(|number| log.append_durable(PARTITION, batch(number)));
    let answers = futures::future::join_all(appends).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    assert!(log.poisoned().await.contains("panicked"));
    assert_eq!(log.durable_end(PARTITION), Sequence(0));
    scenario.teardown();
}

// Proves: C2, R1, R5
#[tokio::test]
async fn a_stop_at_each_named_point_loses_nothing() {
    for point in failpoints::ALL {
        for run in 0..20 {
            stop_at(point, run).await;
        }
    }
}

async fn stop_at(point: &'static str, run: u64) {
    let scenario = fail::FailScenario::setup();
    let disk = SimDisk::new(run);
    // Something to recover and something to release, so that every point is met.
    let log = open(&disk);
    let mut all = Vec::new();
    for number in 0..40 {
        log.append_durable(PARTITION, batch(number))
            .await
            .expect("there is room");
        all.extend(batch(number));
    }
    drop(log);
    let disk = disk.kill();
    let stopping = disk.clone();
    let skipped = std::sync::atomic::AtomicU64::new(run % 5);
    fail::cfg_callback(point, move || {
        let skip = |left: u64| left.checked_sub(1);
        let order = std::sync::atomic::Ordering::SeqCst;
        if skipped.fetch_update(order, order, skip).is_err() {
            stopping.stop();
        }
    })
    .expect("the feature is on");
    let opened = SegmentedLog::open(small_config(), Arc::new(disk.clone()), clock());
    let mut maybe = Vec::new();
    if let Ok(log) = opened {
        for number in 100..140 {
            log.advance_reader(PARTITION, "reader", Sequence(60));
            if log.append_durable(PARTITION, batch(number)).await.is_err() {
                maybe = batch(number);
                break;
            }
            all.extend(batch(number));
        }
    }
    scenario.teardown();
    let disk = if run.is_multiple_of(2) {
        disk.crash()
    } else {
        disk.kill()
    };
    let log = open(&disk);
    let start = log.start(PARTITION);
    assert!(
        start <= Sequence(60),
        "{point}, run {run}: starts at {start}"
    );
    let found = contents(&log).await;
    let certain = all[usize::try_from(start.0).expect("small")..].to_vec();
    let with_maybe = [certain.clone(), maybe].concat();
    assert!(
        found == certain || found == with_maybe,
        "{point}, run {run}: {}",
        found.len()
    );
    assert_eq!(log.status().damage, [], "{point}, run {run}");
}
