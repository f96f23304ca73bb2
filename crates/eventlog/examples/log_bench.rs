//! Measures the event log on a real folder: durable append throughput by batch size and number of producers, a
//! reader that keeps up and one that lags, and how long a crashed log of one gigabyte takes to open.
//!
//! `log_bench [FOLDER]`; prints one JSON line per measurement.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cairn_eventlog::{EventLog, NewRecord, RecordKind, SegmentedLog, SegmentedLogConfig};
use cairn_model::{PartitionId, Sequence};
use cairn_platform::{Clock, RealDisk, SystemClock};

const PARTITION: PartitionId = PartitionId(0);
const BODY_BYTES: usize = 1150;
const HEADER_BYTES: usize = 150;
const RUN: Duration = Duration::from_secs(3);

fn main() {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("log-bench"), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    for (producers, batch) in [
        (1, 1),
        (16, 1),
        (64, 1),
        (1, 500),
        (4, 500),
        (16, 500),
        (4, 5000),
    ] {
        let directory = folder.join(format!("append-{producers}-{batch}"));
        runtime.block_on(measure_append(&directory, &clock, producers, batch));
        remove(&directory);
    }
    runtime.block_on(measure_recovery(&folder.join("recovery"), &clock));
}

fn open(directory: &Path, clock: &Arc<dyn Clock>, segment_bytes_max: u64) -> Arc<SegmentedLog> {
    let config = SegmentedLogConfig {
        directory: directory.to_owned(),
        segment_bytes_max,
        ..SegmentedLogConfig::default()
    };
    SegmentedLog::open(config, Arc::new(RealDisk::new()), Arc::clone(clock)).expect("it opens")
}

fn batch_of(count: usize) -> Vec<NewRecord> {
    // Pieces of one buffer, as a door slices a request's body.
    let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(BODY_BYTES * count).collect();
    let body = Bytes::from(bytes);
    let header = Bytes::from(vec![b'h'; HEADER_BYTES]);
    (0..count)
        .map(|index| NewRecord {
            kind: RecordKind::Event,
            header: header.clone(),
            body: body.slice(index * BODY_BYTES..(index + 1) * BODY_BYTES),
            context: Bytes::new(),
        })
        .collect()
}

async fn measure_append(directory: &Path, clock: &Arc<dyn Clock>, producers: usize, batch: usize) {
    let log = open(
        directory,
        clock,
        SegmentedLogConfig::default().segment_bytes_max,
    );
    let reader = tokio::spawn(follow(Arc::clone(&log)));
    let started = clock.monotonic();
    let busy = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..producers {
        let (log, clock, busy) = (Arc::clone(&log), Arc::clone(clock), Arc::clone(&busy));
        let records = batch_of(batch);
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while clock.monotonic().abs_diff(started) < RUN {
                let before = clock.monotonic();
                match log.append_durable(PARTITION, records.clone()).await {
                    Ok(_) => latencies.push(clock.monotonic().abs_diff(before)),
                    Err(error) if error.is_retryable() => {
                        busy.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            latencies
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.expect("producers do not panic"));
    }
    let seconds = clock.monotonic().abs_diff(started).as_secs_f64();
    latencies.sort_unstable();
    let events = (latencies.len() * batch) as f64;
    let bytes = events * (BODY_BYTES + HEADER_BYTES) as f64;
    let percentile = |p: usize| latencies[(latencies.len() - 1) * p / 100].as_secs_f64() * 1e3;
    log.close().await;
    reader.abort();
    println!(
        "{{\"measure\":\"append\",\"producers\":{producers},\"batch\":{batch},\
         \"events_per_second\":{:.0},\"megabytes_per_second\":{:.0},\
         \"p50_ms\":{:.2},\"p99_ms\":{:.2},\"refused_busy\":{}}}",
        events / seconds,
        bytes / seconds / 1e6,
        percentile(50),
        percentile(99),
        busy.load(Ordering::Relaxed),
    );
}

// A reader that keeps up, and lets segments go as a real one does.
async fn follow(log: Arc<SegmentedLog>) {
    let mut next = Sequence(0);
    loop {
        log.wait_beyond(PARTITION, next).await;
        let records = log
            .read(PARTITION, next, 4 << 20)
            .await
            .expect("the log can be read");
        if let Some(last) = records.last() {
            next = last.sequence.plus(1);
        }
        log.advance_reader(PARTITION, "bench", next);
    }
}

async fn measure_recovery(directory: &Path, clock: &Arc<dyn Clock>) {
    // One segment of a gigabyte is the worst case: all of it must be checked and copied. The default of 64 MiB
    // bounds the same work to that.
    for segment_bytes_max in [64 << 20, 2 << 30] {
        let log = open(directory, clock, segment_bytes_max);
        let records = batch_of(1600);
        while log.status().bytes < 1 << 30 {
            log.append_durable(PARTITION, records.clone())
                .await
                .expect("there is room");
        }
        let end = log.durable_end(PARTITION);
        // Dropped without a close, as a crash leaves it.
        drop(log);
        let started = clock.monotonic();
        let log = open(directory, clock, segment_bytes_max);
        let opened = clock.monotonic().abs_diff(started);
        assert_eq!(log.durable_end(PARTITION), end);
        let started = clock.monotonic();
        let mut next = Sequence(0);
        while next < end {
            let records = log
                .read(PARTITION, next, 1 << 20)
                .await
                .expect("the log can be read");
            next = records.last().expect("there are more").sequence.plus(1);
        }
        let read = clock.monotonic().abs_diff(started);
        let bytes = log.status().bytes as f64;
        println!(
            "{{\"measure\":\"recovery\",\"segment_bytes_max\":{segment_bytes_max},\
             \"log_bytes\":{bytes:.0},\"open_seconds\":{:.3},\"read_all_megabytes_per_second\":{:.0}}}",
            opened.as_secs_f64(),
            bytes / read.as_secs_f64() / 1e6,
        );
        log.close().await;
        drop(log);
        remove(directory);
    }
}

fn remove(directory: &Path) {
    std::fs::remove_dir_all(directory).expect("the bench's own folder can be removed");
}
