//! Putting events on the default bus of their account and Region (SEL-010): each once, however many trails take it, in
//! calls of ten. What of a call the bus refuses is put again alone.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cairn_catalog::trails::{FeedProgress, Lane, Outlet};
use cairn_model::{EventClass, RoutingHeader};
use cairn_platform::{BusEvent, ServiceFailure};

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

/// Events of one call, each with its place among the events read.
#[derive(Debug, Default)]
struct Group {
    events: Vec<(u64, BusEvent)>,
    /// How many events of the file they are, those included that are not put.
    taken: u64,
    /// Too large, or unreadable.
    left_out: u64,
    is_last: bool,
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
    let OpenFeed {
        recorded, mut file, ..
    } = open;
    let spooled = recorded.feed.spooled.as_str();
    // One bit for each event that follows the first `sent_events`: set if the bus has it.
    let (mut sent_events, mut sent) = (recorded.sent_events, recorded.sent_batches);
    loop {
        let prefix = parts.source_prefix.clone();
        let (rest, group) = read(file, spooled, move |file| gather(file, &prefix)).await?;
        file = rest;
        if let Some(refusal) = put_missing(&parts, lane, &group, &mut sent).await? {
            // What it has taken is not put again, whatever becomes of the rest.
            let progress = FeedProgress {
                id: recorded.id,
                sent_events,
                sent_batches: sent,
                refused_events: 0,
                delivered_ms: None,
                is_done: false,
            };
            record(shared, (lane, spooled), &progress).await?;
            return Err(refusal.into());
        }
        sent_events = sent_events.saturating_add(group.taken);
        sent = 0;
        let progress = FeedProgress {
            id: recorded.id,
            sent_events,
            sent_batches: 0,
            refused_events: group.left_out,
            delivered_ms: None,
            is_done: group.is_last,
        };
        record(shared, (lane, spooled), &progress).await?;
        let taken = group.events.len() as u64;
        let counters = &shared.outlets.counters;
        counters.add_events(Outlet::Bus, taken, group.left_out);
        if group.is_last || shared.outlets.is_stopping() {
            return Ok(Step::Done);
        }
    }
}

/// Puts what the bus does not have yet. Says why it has refused something, if it has.
async fn put_missing(
    parts: &BusParts,
    lane: &Lane,
    group: &Group,
    sent: &mut u64,
) -> Result<Option<ServiceFailure>, ServiceFailure> {
    let missing = group
        .events
        .iter()
        .filter(|(place, _)| *sent & bit(*place) == 0);
    let (places, events): (Vec<u64>, Vec<BusEvent>) = missing.cloned().unzip();
    if events.is_empty() {
        return Ok(None);
    }
    let told = parts.buses.put_events(&lane.target, &events).await?;
    let mut refusal = None;
    for (place, code) in places.into_iter().zip(told) {
        match code {
            None => *sent |= bit(place),
            Some(code) => refusal = Some(ServiceFailure::new(code, "an event was refused")),
        }
    }
    Ok(refusal)
}

fn bit(place: u64) -> u64 {
    1 << place.min(63)
}

/// Reads as many events as one call may have.
fn gather(file: &mut FeedFile, source_prefix: &str) -> io::Result<Group> {
    let mut group = Group::default();
    let mut bytes = 0;
    // Every event read has a bit.
    while group.taken < 64 {
        let Some(event) = file.next_event()? else {
            group.is_last = true;
            return Ok(group);
        };
        let header = header_of(&event);
        match header.and_then(|header| bus_event(&event, &header, source_prefix)) {
            Some(entry) if size(&entry) <= CALL_BYTES_MAX => {
                if group.events.len() >= CALL_EVENTS_MAX || bytes + size(&entry) > CALL_BYTES_MAX {
                    file.hold(event);
                    return Ok(group);
                }
                bytes += size(&entry);
                group.events.push((group.taken, entry));
            }
            _ => group.left_out += 1,
        }
        group.taken += 1;
    }
    Ok(group)
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
            let mut group = gather(&mut file(std::slice::from_ref(&text)), "aws.").expect("reads");
            let (place, made) = group.events.remove(0);
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
        let mut file = file(&events);
        let mut calls = Vec::new();
        loop {
            let group = gather(&mut file, "own.").expect("reads");
            let bytes: usize = group.events.iter().map(|(_, event)| size(event)).sum();
            assert!(bytes <= CALL_BYTES_MAX);
            let places: Vec<u64> = group.events.iter().map(|(place, _)| *place).collect();
            calls.push((places, group.taken, group.left_out));
            if group.is_last {
                break;
            }
        }
        let expected = [
            (vec![0, 2, 3], 4, 1),
            ((0..10).collect(), 10, 0),
            (vec![0], 1, 0),
        ];
        assert_eq!(calls, expected);
    }
}
