//! Putting events on the default bus of their account and Region (SEL-010): each once, however many trails take it.
//! Events are read by the window, and put in calls of ten that are in flight together. What of a window the bus
//! refuses is put again alone; it is not for ever that it holds up what comes behind.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cairn_catalog::trails::{FeedId, FeedProgress, Lane, Outlet, RecordedFeed};
use cairn_model::{EventClass, RoutingHeader};
use cairn_platform::{BusEvent, ServiceFailure};
use tokio::task::JoinSet;

use crate::failpoints;
use crate::feed_file::{FeedFile, header_of};
use crate::feeding::{OpenFeed, open_next, read, record};
use crate::outlets::{BusParts, Step, Trouble};
use crate::trails::Shared;

/// Events of one call.
const CALL_EVENTS_MAX: usize = 10;
/// Bytes of one call, counted as EventBridge counts them (REC-170).
const CALL_BYTES_MAX: usize = 256 << 10;
/// What EventBridge counts for an event's time.
const TIME_BYTES: usize = 14;
/// Events of a file that are read, and in flight, together. Each has a bit.
const WINDOW_EVENTS_MAX: u64 = 60;
const _: () = assert!(WINDOW_EVENTS_MAX <= 63, "the catalog keeps 63 bits");
/// Their bytes: with them, a window needs no more memory than is taken for it.
const WINDOW_BYTES_MAX: usize = 1 << 20;
const _: () = assert!(WINDOW_BYTES_MAX >= CALL_BYTES_MAX);
/// Windows after which it is recorded what the bus has: so many a crash may repeat.
const WINDOWS_RECORDED: u32 = 8;
/// Windows of one step: then other lanes have their turn.
const STEP_WINDOWS_MAX: u32 = 64;
/// How often an event is put that a bus refuses while it takes others of the same window.
const ENTRY_TRIES_MAX: u32 = 50;
/// Codes of single events that no later attempt would change.
const REFUSED_FOR_GOOD: [&str; 3] = ["InvalidArgument", "MalformedDetail", "RedactionFailure"];

/// Events that follow one another, each with its place among the events read.
#[derive(Debug, Default)]
struct Window {
    events: Vec<(u64, BusEvent)>,
    /// How many events of the file they are, those included that are not put.
    taken: u64,
    /// Too large, or unreadable.
    left_out: u64,
    is_last: bool,
}

/// How far a feed has come, and what of that is not recorded.
#[derive(Debug)]
struct Told {
    sent_events: u64,
    /// One bit for each event that follows the first `sent_events`: set if the bus has it, or will not get it.
    settled: u64,
    /// Events that the bus has taken since the last record, and those that it will not get.
    put: u64,
    refused: u64,
    windows: u32,
}

/// Puts the events of the oldest file that waits.
pub(crate) async fn feed(shared: &Arc<Shared>, lane: &Lane) -> Result<Step, Trouble> {
    let Some(parts) = shared.outlets.parts.buses.clone() else {
        let message = "endpoints.eventbridge is not set";
        return Err(ServiceFailure::new(ServiceFailure::NOT_CONFIGURED, message).into());
    };
    let Some(open) = open_next(shared, lane).await? else {
        return Ok(Step::Idle);
    };
    let OpenFeed { recorded, file, .. } = open;
    let feeding = Feeding {
        shared,
        lane,
        parts: &parts,
        recorded: &recorded,
    };
    let mut told = Told {
        sent_events: recorded.sent_events,
        settled: recorded.sent_batches,
        put: 0,
        refused: 0,
        windows: 0,
    };
    let ended = feeding.put_windows(file, &mut told).await;
    // What the bus has is not put again, whatever becomes of the rest.
    let is_done = matches!(ended, Ok(true));
    if is_done || told.windows > 0 || told.put + told.refused > 0 {
        feeding.record(&mut told, is_done).await?;
    }
    ended.map(|_| Step::Done)
}

/// A step.
#[derive(Debug)]
struct Feeding<'a> {
    shared: &'a Arc<Shared>,
    lane: &'a Lane,
    parts: &'a BusParts,
    recorded: &'a RecordedFeed,
}

impl Feeding<'_> {
    /// Goes on through the file. True if it came to its end.
    async fn put_windows(&self, mut file: FeedFile, told: &mut Told) -> Result<bool, Trouble> {
        for _ in 0..STEP_WINDOWS_MAX {
            let prefix = self.parts.source_prefix.clone();
            let name = &self.recorded.feed.spooled;
            let (rest, window) = read(file, name, move |file| gather(file, &prefix)).await?;
            file = rest;
            self.put_missing(window.events, told).await?;
            told.sent_events = told.sent_events.saturating_add(window.taken);
            told.settled = 0;
            told.refused += window.left_out;
            told.windows += 1;
            if window.is_last {
                return Ok(true);
            }
            if self.shared.outlets.is_stopping() {
                return Ok(false);
            }
            if told.windows == WINDOWS_RECORDED {
                self.record(told, false).await?;
            }
        }
        Ok(false)
    }

    /// Puts what of a window is not settled. An error if something still is not.
    async fn put_missing(
        &self,
        mut events: Vec<(u64, BusEvent)>,
        told: &mut Told,
    ) -> Result<(), ServiceFailure> {
        events.retain(|(place, _)| told.settled & bit(*place) == 0);
        let mut calls = JoinSet::new();
        for call in calls_of(events) {
            let (buses, region) = (Arc::clone(&self.parts.buses), self.lane.target.clone());
            calls.spawn(async move {
                let (places, events): (Vec<u64>, Vec<BusEvent>) = call.into_iter().unzip();
                (places, buses.put_events(&region, &events).await)
            });
        }
        let (mut refused, mut failure, mut put) = (Vec::new(), None, 0);
        while let Some(ended) = calls.join_next().await {
            let (places, answer) = match ended {
                Ok((places, Ok(answer))) => (places, answer),
                Ok((_, Err(failed))) => {
                    failure = Some(failed);
                    continue;
                }
                Err(error) => {
                    let message = error.to_string();
                    failure = Some(ServiceFailure::new("InternalFailure", message));
                    continue;
                }
            };
            for (place, code) in places.into_iter().zip(answer) {
                match code {
                    None => {
                        told.settled |= bit(place);
                        put += 1;
                    }
                    Some(code) if REFUSED_FOR_GOOD.contains(&code.as_str()) => {
                        self.give_up(told, place, &code);
                    }
                    Some(code) => refused.push((place, code)),
                }
            }
        }
        told.put += put;
        if put > 0 {
            failpoints::reach(failpoints::FEED_SENT);
        }
        let Some((_, code)) = refused.first() else {
            self.shared.outlets.refusals.forget(self.lane);
            return failure.map_or(Ok(()), Err);
        };
        let refusal = ServiceFailure::new(code.clone(), "an event was refused");
        let place = (self.recorded.id, told.sent_events);
        let refusals = &self.shared.outlets.refusals;
        let may_try = failure.is_some() || refusals.may_try(self.lane, place, put > 0);
        if may_try {
            return Err(failure.unwrap_or(refusal));
        }
        for (place, code) in refused {
            self.give_up(told, place, &code);
        }
        Ok(())
    }

    /// The bus will not get this event.
    fn give_up(&self, told: &mut Told, place: u64, code: &str) {
        tracing::error!(
            account = self.lane.owner,
            region = self.lane.target,
            code,
            "a bus refuses an event and will not get it"
        );
        told.settled |= bit(place);
        told.refused += 1;
    }

    async fn record(&self, told: &mut Told, is_done: bool) -> Result<(), Trouble> {
        let progress = FeedProgress {
            id: self.recorded.id,
            sent_events: told.sent_events,
            sent_batches: told.settled,
            refused_events: told.refused,
            delivered_ms: None,
            is_done,
        };
        let spooled = self.recorded.feed.spooled.as_str();
        record(self.shared, (self.lane, spooled), &progress).await?;
        let counters = &self.shared.outlets.counters;
        counters.add_events(Outlet::Bus, told.put, told.refused);
        (told.put, told.refused, told.windows) = (0, 0, 0);
        Ok(())
    }
}

/// What buses refuse while they take other events, by lane. A restart begins to count anew.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    // Held for one look-up, never across an await.
    lanes: Mutex<HashMap<Lane, Refused>>,
}

/// Refusals of one window.
#[derive(Debug)]
struct Refused {
    window: (FeedId, u64),
    tries: u32,
    /// The bus took others of the window: it does answer.
    has_taken: bool,
}

impl Refusals {
    /// Counts a refusal in a window. False if it was tried often enough. A bus that takes nothing of a window is in
    /// trouble itself, and is waited for like any other target.
    fn may_try(&self, lane: &Lane, window: (FeedId, u64), has_taken: bool) -> bool {
        let mut lanes = self.lanes.lock().expect("no holder of this lock panics");
        let refused = lanes.entry(lane.clone()).or_insert(Refused {
            window,
            tries: 0,
            has_taken: false,
        });
        if refused.window != window {
            *refused = Refused {
                window,
                tries: 0,
                has_taken: false,
            };
        }
        refused.tries = refused.tries.saturating_add(1);
        refused.has_taken |= has_taken;
        refused.tries < ENTRY_TRIES_MAX || !refused.has_taken
    }

    fn forget(&self, lane: &Lane) {
        let mut lanes = self.lanes.lock().expect("no holder of this lock panics");
        lanes.remove(lane);
    }

    /// Forgets lanes that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&Lane) -> bool) {
        let mut lanes = self.lanes.lock().expect("no holder of this lock panics");
        lanes.retain(|lane, _| is_there(lane));
    }
}

fn bit(place: u64) -> u64 {
    1 << place.min(63)
}

/// Reads the events of a window, which needs no more than the file to be the same each time.
fn gather(file: &mut FeedFile, source_prefix: &str) -> io::Result<Window> {
    let mut window = Window::default();
    let mut bytes = 0;
    while window.taken < WINDOW_EVENTS_MAX {
        let Some(event) = file.next_event()? else {
            window.is_last = true;
            return Ok(window);
        };
        let header = header_of(&event);
        match header.and_then(|header| bus_event(&event, &header, source_prefix)) {
            Some(entry) if size(&entry) <= CALL_BYTES_MAX => {
                if bytes + size(&entry) > WINDOW_BYTES_MAX {
                    file.hold(event);
                    return Ok(window);
                }
                bytes += size(&entry);
                window.events.push((window.taken, entry));
            }
            _ => window.left_out += 1,
        }
        window.taken += 1;
    }
    Ok(window)
}

/// Calls of as many events as each may have.
fn calls_of(events: Vec<(u64, BusEvent)>) -> Vec<Vec<(u64, BusEvent)>> {
    let mut calls: Vec<Vec<(u64, BusEvent)>> = Vec::new();
    let mut bytes = 0;
    for (place, event) in events {
        let more = size(&event);
        match calls.last_mut() {
            Some(call) if call.len() < CALL_EVENTS_MAX && bytes + more <= CALL_BYTES_MAX => {
                bytes += more;
                call.push((place, event));
            }
            _ => {
                bytes = more;
                calls.push(vec![(place, event)]);
            }
        }
    }
    calls
}

fn size(event: &BusEvent) -> usize {
    let resources: usize = event.resources.iter().map(String::len).sum();
    TIME_BYTES + event.source.len() + event.detail_type.len() + event.detail.len() + resources
}

fn bus_event(event: &Bytes, header: &RoutingHeader<'_>, source_prefix: &str) -> Option<BusEvent> {
    // An Insights event is told by CloudTrail, whatever service it is about.
    let service = match header.class {
        EventClass::Insight => "cloudtrail",
        EventClass::Management | EventClass::Data | EventClass::NetworkActivity => {
            let source = &*header.event_source;
            source.strip_suffix(".amazonaws.com").unwrap_or(source)
        }
    };
    let named = header.resources.iter();
    let arns = named.filter(|one| one.in_record && one.name.starts_with("arn:"));
    Some(BusEvent {
        time_ms: header.event_time.as_micros().div_euclid(1000),
        source: format!("{source_prefix}{service}"),
        detail_type: detail_type(header).to_owned(),
        detail: String::from_utf8(event.to_vec()).ok()?,
        resources: arns.map(|one| one.name.clone().into_owned()).collect(),
    })
}

fn detail_type(header: &RoutingHeader<'_>) -> &'static str {
    match &*header.event_type {
        "AwsServiceEvent" => "AWS Service Event via CloudTrail",
        "AwsConsoleSignIn" => "AWS Console Sign In via CloudTrail",
        "AwsConsoleAction" => "AWS Console Action via CloudTrail",
        _ if header.class == EventClass::Insight => "AWS Insight via CloudTrail",
        _ => "AWS API Call via CloudTrail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_file::gzip;

    fn event(kind: &str, filler: usize) -> String {
        let filler = "x".repeat(filler);
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{{"type":"Root","accountId":"111122223333"}},"eventTime":"2026-11-21T10:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"A","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","requestParameters":null,"responseElements":null,"eventID":"00000000-0000-4000-8000-000000000001","eventType":"{kind}","readOnly":false,"managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","resources":[{{"ARN":"arn:aws:ec2:us-east-1:111122223333:instance/i-1"}}],"additionalEventData":{{"a":"{filler}"}}}}"#
        )
    }

    fn file(events: &[String]) -> FeedFile {
        let content = format!("{{\"Records\":[{}]}}", events.join(","));
        FeedFile::new(gzip(content.as_bytes())).expect("a file")
    }

    // Proves: SEL-010
    #[test]
    fn events_look_as_eventbridge_s_rules_expect_them() {
        for (kind, expected) in [
            ("AwsApiCall", "AWS API Call via CloudTrail"),
            ("AwsServiceEvent", "AWS Service Event via CloudTrail"),
            ("AwsConsoleSignIn", "AWS Console Sign In via CloudTrail"),
            ("AwsConsoleAction", "AWS Console Action via CloudTrail"),
        ] {
            let text = event(kind, 0);
            let mut window = gather(&mut file(std::slice::from_ref(&text)), "aws.").expect("reads");
            let (place, made) = window.events.remove(0);
            assert_eq!((place, made.detail_type.as_str()), (0, expected));
            assert_eq!(made.source, "aws.ec2");
            assert_eq!(made.detail, text);
            assert_eq!(made.time_ms, 1_795_255_200_000);
            let arn = "arn:aws:ec2:us-east-1:111122223333:instance/i-1";
            assert_eq!(made.resources, [arn]);
        }
    }

    // Proves: REC-170
    #[test]
    fn calls_have_ten_events_and_256_kib_and_larger_events_are_left_out() {
        let sizes = [
            0, 300_000, 100_000, 100_000, 100_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let events: Vec<String> = sizes
            .iter()
            .map(|size| event("AwsApiCall", *size))
            .collect();
        let window = gather(&mut file(&events), "own.").expect("reads");
        assert_eq!(
            (window.taken, window.left_out, window.is_last),
            (15, 1, true)
        );
        let calls = calls_of(window.events);
        let bytes = |call: &[(u64, BusEvent)]| call.iter().map(|(_, one)| size(one)).sum::<usize>();
        assert!(calls.iter().all(|call| bytes(call) <= CALL_BYTES_MAX));
        let places = |call: &Vec<(u64, BusEvent)>| call.iter().map(|(place, _)| *place).collect();
        let calls: Vec<Vec<u64>> = calls.iter().map(places).collect();
        let expected = [vec![0, 2, 3], (4..14).collect(), vec![14]];
        assert_eq!(calls, expected);
    }

    // Proves: REC-170, R18
    #[test]
    fn windows_have_bits_for_all_their_events_and_bounded_bytes() {
        let small: Vec<String> = (0..130).map(|_| event("AwsApiCall", 0)).collect();
        let mut small = file(&small);
        let large: Vec<String> = (0..9).map(|_| event("AwsApiCall", 200_000)).collect();
        let mut large = file(&large);
        let taken = |file: &mut FeedFile| gather(file, "own.").expect("reads").taken;
        assert_eq!([0; 3].map(|_| taken(&mut small)), [60, 60, 10]);
        assert_eq!([0; 2].map(|_| taken(&mut large)), [5, 4]);
    }
}
