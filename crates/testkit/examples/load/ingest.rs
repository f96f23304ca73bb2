//! Durable ingest: each connection sends batches back to back, or at a rate, for a given time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use cairn_platform::Clock;
use serde_json::{Value, json};

use crate::connection::{Call, Target};
use crate::corpus::{Batch, batches};
use crate::{Options, latency};

pub(crate) const HEADERS: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];

/// Batches that are kept in memory: enough that none is in the processor's cache when it comes again.
const BATCHES_MAX: usize = 512;

/// What one connection saw.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    throttled: u64,
    failed: u64,
    durations: Vec<Duration>,
}

pub(crate) fn run(target: &Target, options: &Options) -> Result<Value> {
    let seconds = options.number("seconds", 60)?;
    let connections = usize::try_from(options.number("connections", 8)?)?;
    let rate = options.number("rate", u64::MAX)?;
    let events_per_batch = usize::try_from(options.number("batch", 500)?)?;
    let templates = batches(options.text("events")?, events_per_batch, BATCHES_MAX)?;
    let body_bytes: usize = templates.iter().map(|batch| batch.body.len()).sum();
    let event_bytes = body_bytes / (templates.len() * events_per_batch);
    let times_now = options.is("times", "now");
    let serial = AtomicU64::new(0);
    let shares = shares(templates, connections);
    let began = target.clock().monotonic();
    let end = began + Duration::from_secs(seconds);
    let tallies = std::thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let worker = Worker {
                    target,
                    serial: &serial,
                    began,
                    end,
                    rate,
                    times_now,
                };
                scope.spawn(move || worker.send(share))
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("workers do not panic"))
            .collect()
    });
    let tallies: Vec<Result<Tally>> = tallies;
    let mut total = Tally::default();
    for tally in tallies {
        let tally = tally?;
        total.accepted += tally.accepted;
        total.throttled += tally.throttled;
        total.failed += tally.failed;
        total.durations.extend(tally.durations);
    }
    let elapsed = target
        .clock()
        .monotonic()
        .saturating_sub(began)
        .as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = (total.accepted as f64 / elapsed).round();
    Ok(json!({
        "accepted_events": total.accepted,
        "events_per_second": rate,
        "event_bytes": event_bytes,
        "throttled_batches": total.throttled,
        "failed_batches": total.failed,
        "seconds": (elapsed * 10.0).round() / 10.0,
        "connections": connections,
        "batch_latency": latency::summary(total.durations),
    }))
}

/// Deals the batches out, so that each connection patches its own in place.
fn shares(templates: Vec<Batch>, connections: usize) -> Vec<Vec<Batch>> {
    let count = connections.clamp(1, templates.len());
    let mut shares: Vec<Vec<Batch>> = (0..count).map(|_| Vec::new()).collect();
    for (index, batch) in templates.into_iter().enumerate() {
        shares[index % count].push(batch);
    }
    shares
}

struct Worker<'a> {
    target: &'a Target,
    serial: &'a AtomicU64,
    began: Duration,
    end: Duration,
    /// Events per second over all connections.
    rate: u64,
    /// Events happen when they are sent; otherwise when the corpus says.
    times_now: bool,
}

impl Worker<'_> {
    fn send(&self, mut templates: Vec<Batch>) -> Result<Tally> {
        let clock = self.target.clock();
        let mut connection = self.target.connect()?;
        let mut tally = Tally::default();
        let run = u64::try_from(clock.now_ms()).context("the clock is before 1970")? & 0xffff_ffff;
        let count = templates.len();
        for index in (0..count).cycle() {
            if clock.monotonic() >= self.end {
                break;
            }
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            let batch = &mut templates[index];
            let events = u64::try_from(batch.events()).context("too many events")?;
            self.keep_rate(serial * events);
            let times = self.times_now.then(|| clock.now_ms());
            batch.renew(run, serial, times)?;
            let call = Call {
                path: "/events",
                service: "cloudtrail-data",
                headers: HEADERS,
                body: &batch.body,
            };
            let head = self.target.signed_head(&call)?;
            let sent = clock.monotonic();
            let (status, answer) = connection.exchange(&head, &batch.body)?;
            tally.durations.push(clock.monotonic().saturating_sub(sent));
            match status {
                200 => {
                    let answer: Value = serde_json::from_slice(&answer).context("answer")?;
                    tally.accepted += answer["accepted"].as_u64().unwrap_or(0);
                }
                429 | 503 => tally.throttled += 1,
                _ => tally.failed += 1,
            }
        }
        Ok(tally)
    }

    /// Waits until `sent_events` are due.
    fn keep_rate(&self, sent_events: u64) {
        if self.rate == u64::MAX {
            return;
        }
        let due =
            self.began + Duration::from_micros(sent_events.saturating_mul(1_000_000) / self.rate);
        let now = self.target.clock().monotonic();
        if due > now {
            std::thread::sleep(due.saturating_sub(now));
        }
    }
}
