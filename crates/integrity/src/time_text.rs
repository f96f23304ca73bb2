//! Times as validation reads and writes them: in keys, in metadata and on the command line.

use cairn_model::EventTime;
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// The time in a digest's key: `YYYYMMDDThhmmssZ` (REC-238).
pub(crate) const KEY_FORM: &str = "%Y%m%dT%H%M%SZ";

const FORMS: [&str; 8] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y%m%dT%H%M%S",
    "%Y%m%dT%H%M",
    "%Y-%m-%dT%H",
    "%Y-%m-%d %H",
];

/// Reads a time as `validate-logs` takes it: ISO 8601, extended or basic, a date alone included. A zone
/// is **replaced** by UTC, not converted, as the AWS CLI does. `None` for every other text.
pub fn read_time(text: &str) -> Option<EventTime> {
    let local = without_zone(text.trim());
    let found = FORMS
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(local, form).ok());
    let date = || {
        ["%Y-%m-%d", "%Y%m%d"]
            .iter()
            .find_map(|form| NaiveDate::parse_from_str(local, form).ok())
            .and_then(|date| date.and_hms_opt(0, 0, 0))
    };
    let time = found.or_else(date)?.and_utc();
    EventTime::from_micros(time.timestamp_micros()).ok()
}

/// The text without `Z`, `UTC` or an offset at its end.
fn without_zone(text: &str) -> &str {
    for suffix in ["Z", "z", "UTC", "utc"] {
        if let Some(rest) = text.strip_suffix(suffix) {
            return rest.trim_end();
        }
    }
    // A sign after the date, which itself has two hyphens or none, begins an offset.
    match text.rfind(['+', '-']) {
        Some(at) if at > 10 && is_offset(&text[at + 1..]) => text[..at].trim_end(),
        _ => text,
    }
}

fn is_offset(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    digits + colons == text.len() && matches!((digits, colons), (2 | 4, 0) | (4, 1))
}

/// `time` in a form of chrono's.
pub(crate) fn format(time: EventTime, form: &str) -> String {
    let time = DateTime::from_timestamp_micros(time.as_micros());
    let time = time.expect("an event time lies within the years that chrono knows");
    time.format(form).to_string()
}

/// The time in a key, or `None` if `text` is not exactly of that form.
pub(crate) fn read_key_time(text: &str) -> Option<EventTime> {
    if text.len() != 16 {
        return None;
    }
    let time = NaiveDateTime::parse_from_str(text, KEY_FORM)
        .ok()?
        .and_utc();
    EventTime::from_micros(time.timestamp_micros()).ok()
}

/// `time` moved by `seconds`, held within what a time can be.
pub(crate) fn shifted(time: EventTime, seconds: i64) -> EventTime {
    let moved = time.as_micros().saturating_add(seconds * 1_000_000).max(0);
    EventTime::from_micros(moved).unwrap_or(time)
}

/// `time` without its fraction of a second, as texts show it.
pub(crate) fn whole_second(time: EventTime) -> EventTime {
    EventTime::from_micros(time.as_seconds() * 1_000_000)
        .expect("earlier than a time, not negative")
}
