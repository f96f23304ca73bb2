//! Sending a trail's events to its log group (TRL-158): batches that keep PutLogEvents' rules, in the stream
//! `ACCOUNT_CloudTrail_REGION` (REC-179).

use std::io;
use std::sync::Arc;

use cairn_catalog::trails::{FeedProgress, Lane, Outlet, RecordedFeed};
use cairn_model::{Arn, EventClass};
use cairn_platform::{LogEvent, LogStream, ServiceFailure};

use crate::failpoints;
use crate::feed_file::{FeedFile, header_of};
use crate::feeding::{open_next, read, record};
use crate::outlets::{Step, Trouble};
use crate::trails::Shared;

/// Bytes of a batch, each event counted with [`EVENT_OVERHEAD`].
const BATCH_BYTES_MAX: usize = 1_048_576;
const EVENT_OVERHEAD: usize = 26;
const BATCH_EVENTS_MAX: usize = 10_000;
/// Times of one batch lie less than this apart.
const BATCH_SPAN_MS: i64 = 24 * 3_600_000;
/// Of one event with its overhead (REC-170).
const EVENT_BYTES_MAX: usize = 256 << 10;
/// Batches of one step: then other lanes have their turn.
const STEP_BATCHES_MAX: u32 = 32;

/// Events that were read together.
#[derive(Debug, Default)]
struct Group {
    /// In order of time, cut where they lie too far apart.
    batches: Vec<Vec<LogEvent>>,
    /// How many events of the file they are, those included that are not sent.
    taken: u64,
    /// Too large, or unreadable.
    left_out: u64,
    is_last: bool,
}

/// Sends the oldest file that waits.
pub(crate) async fn feed(shared: &Arc<Shared>, lane: &Lane) -> Result<Step, Trouble> {
    let Some(open) = open_next(shared, lane).await? else {
        return Ok(Step::Idle);
    };
    let (recorded, mut file) = (&open.recorded, open.file);
    let stream = stream_of(recorded)?;
    let (mut sent_events, mut sent_batches) = (recorded.sent_events, recorded.sent_batches);
    let mut step_batches = 0;
    loop {
        let (rest, group) = read(file, &recorded.feed.spooled, gather).await?;
        file = rest;
        let after = sent_events.saturating_add(group.taken);
        let count = group.batches.len() as u64;
        let ends = |batches: u64| {
            if batches >= count {
                (after, 0)
            } else {
                (sent_events, batches)
            }
        };
        let mut left_out = group.left_out;
        for (place, batch) in (1_u64..).zip(&group.batches) {
            if place <= sent_batches {
                continue;
            }
            if shared.outlets.is_stopping() || step_batches == STEP_BATCHES_MAX {
                return Ok(Step::Done);
            }
            step_batches += 1;
            let refused = put(shared, &stream, batch).await?;
            let lost = refused
                + if place == count {
                    std::mem::take(&mut left_out)
                } else {
                    0
                };
            failpoints::reach(failpoints::FEED_SENT);
            let (events, batches) = ends(place);
            let taken = (batch.len() as u64).saturating_sub(refused);
            let progress = FeedProgress {
                id: recorded.id,
                sent_events: events,
                sent_batches: batches,
                refused_events: lost,
                delivered_ms: (taken > 0).then(|| shared.clock.now_ms()),
                is_done: group.is_last && place == count,
            };
            record(shared, (lane, &recorded.feed.spooled), &progress).await?;
            count_events(shared, lane, taken, lost);
        }
        // All of the group is left out, or was sent before.
        if left_out > 0 || count <= sent_batches {
            let progress = FeedProgress {
                id: recorded.id,
                sent_events: after,
                sent_batches: 0,
                refused_events: left_out,
                delivered_ms: None,
                is_done: group.is_last,
            };
            record(shared, (lane, &recorded.feed.spooled), &progress).await?;
            count_events(shared, lane, 0, left_out);
        }
        if group.is_last {
            return Ok(Step::Done);
        }
        (sent_events, sent_batches) = (after, 0);
    }
}

/// Puts a batch; makes the stream if it is missing.
async fn put(
    shared: &Arc<Shared>,
    stream: &LogStream,
    batch: &[LogEvent],
) -> Result<u64, ServiceFailure> {
    let streams = &shared.outlets.parts.log_streams;
    match streams.put_events(stream, batch).await {
        Err(failure) if failure.is_not_found() => {
            streams.create_stream(stream).await?;
            streams.put_events(stream, batch).await
        }
        put => put,
    }
}

fn count_events(shared: &Shared, lane: &Lane, taken: u64, lost: u64) {
    if lost > 0 {
        tracing::warn!(
            trail = lane.owner,
            group = lane.target,
            events = lost,
            "events are too large or too old for a log group"
        );
    }
    shared
        .outlets
        .counters
        .add_events(Outlet::Logs, taken, lost);
}

/// The stream of the account's events, which is named by the trail's Region, that of its group (REC-172).
fn stream_of(recorded: &RecordedFeed) -> Result<LogStream, ServiceFailure> {
    let unusable = || ServiceFailure::new("InvalidParameterException", "not a log group's ARN");
    let arn: Arn = recorded.feed.lane.target.parse().map_err(|_| unusable())?;
    let group = arn
        .resource()
        .strip_prefix("log-group:")
        .ok_or_else(unusable)?;
    Ok(LogStream {
        region: arn.region().to_owned(),
        group: group.strip_suffix(":*").unwrap_or(group).to_owned(),
        stream: format!("{}_CloudTrail_{}", recorded.feed.account, arn.region()),
    })
}

/// Reads as many events as one batch may have, which needs no more than the file to be the same each time.
fn gather(file: &mut FeedFile) -> io::Result<Group> {
    let mut group = Group::default();
    let (mut events, mut bytes) = (Vec::new(), 0);
    loop {
        let Some(event) = file.next_event()? else {
            group.is_last = true;
            break;
        };
        let size = event.len() + EVENT_OVERHEAD;
        if size > EVENT_BYTES_MAX {
            group.left_out += 1;
        } else if events.len() >= BATCH_EVENTS_MAX || bytes + size > BATCH_BYTES_MAX {
            file.hold(event);
            break;
        } else {
            let header = header_of(&event);
            let message = String::from_utf8(event.into());
            match (header, message) {
                // Not among what log groups get (REC-168).
                (Some(header), _) if header.class == EventClass::NetworkActivity => {}
                (Some(header), Ok(message)) => {
                    bytes += size;
                    events.push(LogEvent {
                        time_ms: header.event_time.as_micros().div_euclid(1000),
                        message,
                    });
                }
                _ => group.left_out += 1,
            }
        }
        group.taken += 1;
    }
    group.batches = batches(events);
    Ok(group)
}

/// In order of time, as PutLogEvents wants them; events of one moment stay in the file's order.
fn batches(mut events: Vec<LogEvent>) -> Vec<Vec<LogEvent>> {
    events.sort_by_key(|event| event.time_ms);
    let mut batches: Vec<Vec<LogEvent>> = Vec::new();
    for event in events {
        match batches.last_mut() {
            Some(batch)
                if batch
                    .first()
                    .is_some_and(|first| event.time_ms - first.time_ms < BATCH_SPAN_MS) =>
            {
                batch.push(event);
            }
            _ => batches.push(vec![event]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_in_order_and_span_less_than_a_day() {
        let event = |time_ms: i64| LogEvent {
            time_ms,
            message: time_ms.to_string(),
        };
        let day = BATCH_SPAN_MS;
        let times = [5, day + 4, 0, day, 3 * day, 5];
        let made = batches(times.into_iter().map(event).collect());
        let made: Vec<Vec<i64>> = made
            .iter()
            .map(|batch| batch.iter().map(|event| event.time_ms).collect())
            .collect();
        assert_eq!(made, [vec![0, 5, 5], vec![day, day + 4], vec![3 * day]]);
    }
}
