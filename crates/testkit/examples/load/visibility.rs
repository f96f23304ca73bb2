//! How long an acknowledged event takes to show in LookupEvents while others are being ingested.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_platform::Clock;
use serde_json::{Value, json};

use crate::connection::{Call, Connection, Target};
use crate::corpus::{Batch, batches};
use crate::{Options, ingest, latency, lookup};

/// Pause between two looks for the event.
const LOOK: Duration = Duration::from_millis(5);
/// Pause before the next event after one was refused.
const PAUSE: Duration = Duration::from_millis(50);
/// An event that is not visible by then counts as that late, and ends the measurement.
const PATIENCE: Duration = Duration::from_mins(1);
/// Lines of the corpus among which one of the right Region is sought.
const LINES: usize = 1_000;
/// Serial numbers of the probes begin here, far above those of the load.
const FIRST_SERIAL: u64 = 1 << 40;

pub(crate) fn run(target: &Target, options: &Options) -> Result<Value> {
    let seconds = Duration::from_secs(options.number("seconds", 60)?);
    let candidates = batches(options.text("events")?, 1, LINES)?;
    let region = |batch: &Batch| {
        String::from_utf8_lossy(&batch.body).contains("\"awsRegion\":\"us-east-1\"")
    };
    let event = candidates.into_iter().find(region);
    let mut event = event.context("the corpus begins without events of us-east-1")?;
    let (mut figures, probes) = std::thread::scope(|scope| {
        let load = scope.spawn(|| ingest::run(target, options));
        let probed = probe(target, &mut event, seconds);
        let load = load.join().expect("the load does not panic");
        Ok::<_, anyhow::Error>((load?, probed?))
    })?;
    figures["probes"] = json!(probes.latencies.len());
    figures["probes_refused"] = json!(probes.refused);
    figures["visible_after"] = latency::summary(probes.latencies);
    Ok(figures)
}

/// How long events took to show, and how many were not taken at all.
#[derive(Debug, Default)]
struct Probes {
    latencies: Vec<Duration>,
    refused: u64,
}

fn probe(target: &Target, event: &mut Batch, seconds: Duration) -> Result<Probes> {
    let clock = target.clock();
    let mut reader = target.connect()?;
    let run = u64::try_from(clock.now_ms()).context("the clock is before 1970")? & 0xffff_ffff;
    let end = clock.monotonic() + seconds;
    let mut probes = Probes::default();
    for serial in FIRST_SERIAL.. {
        if clock.monotonic() >= end {
            break;
        }
        let id = event.renew(run, serial, Some(clock.now_ms()))?;
        let call = Call {
            path: "/events",
            service: "cloudtrail-data",
            headers: ingest::HEADERS,
            body: &event.body,
        };
        let head = target.signed_head(&call)?;
        // One for each event: the last one may have been shown so late that the server has closed it.
        let (status, _) = target.connect()?.exchange(&head, &event.body)?;
        if status != 200 {
            probes.refused += 1;
            std::thread::sleep(PAUSE);
            continue;
        }
        let acknowledged = clock.monotonic();
        let mut is_late = false;
        while !is_late && !is_visible(target, &mut reader, &id)? {
            std::thread::sleep(LOOK);
            is_late = clock.monotonic() >= acknowledged + PATIENCE;
        }
        let took = clock.monotonic().saturating_sub(acknowledged);
        probes.latencies.push(took);
        if is_late {
            break;
        }
    }
    Ok(probes)
}

fn is_visible(target: &Target, reader: &mut Connection, id: &str) -> Result<bool> {
    let parameters = json!({
        "LookupAttributes": [{"AttributeKey": "EventId", "AttributeValue": id}],
    });
    let body = parameters.to_string().into_bytes();
    let call = Call {
        path: "/",
        service: "cloudtrail",
        headers: lookup::HEADERS,
        body: &body,
    };
    let head = target.signed_head(&call)?;
    let (status, answer) = reader.exchange(&head, &body)?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(status == 200, "{status} {text}");
    Ok(text.contains(id))
}
