//! The time of an event, as written in records: UTC, `YYYY-MM-DDThh:mm:ssZ` (REC-008, SEC-015).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct EventTime(i64);

/// A text that is not a time with a zone, or lies outside the years 1970 to 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written YYYY-MM-DDThh:mm:ssZ, years 1970 to 9999")]
pub struct EventTimeError;

/// 9999-12-31T23:59:59.999999Z, the last time that the text form can say.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

impl EventTime {
    /// From microseconds since the epoch.
    pub fn from_micros(micros: i64) -> Result<Self, EventTimeError> {
        if (0..=MICROS_MAX).contains(&micros) {
            Ok(Self(micros))
        } else {
            Err(EventTimeError)
        }
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

impl FromStr for EventTime {
    type Err = EventTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(time) = usual_form(text) {
            return Ok(time);
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| EventTimeError)?;
        Self::from_micros(time.with_timezone(&Utc).timestamp_micros())
    }
}

impl TryFrom<i64> for EventTime {
    type Error = EventTimeError;

    fn try_from(micros: i64) -> Result<Self, Self::Error> {
        Self::from_micros(micros)
    }
}

impl From<EventTime> for i64 {
    fn from(time: EventTime) -> Self {
        time.0
    }
}

/// `YYYY-MM-DDThh:mm:ssZ` and nothing else, which is how nearly every record writes its time; years from 1970 on.
/// `None` leaves the verdict to the full parser.
fn usual_form(text: &str) -> Option<EventTime> {
    const DAYS_BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const DAYS_OF_MONTH: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    for (place, separator) in [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ] {
        if bytes[place] != separator {
            return None;
        }
    }
    let digit = |place: usize| {
        bytes[place]
            .is_ascii_digit()
            .then(|| i64::from(bytes[place] - b'0'))
    };
    let pair = |place: usize| Some(digit(place)? * 10 + digit(place + 1)?);
    let (year, month, day) = (pair(0)? * 100 + pair(2)?, pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    let month_index = usize::try_from(month - 1)
        .ok()
        .filter(|index| *index < 12)?;
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let leap_day = i64::from(is_leap && month == 2);
    let day_is_valid = (1..=DAYS_OF_MONTH[month_index] + leap_day).contains(&day);
    // A leap second (60) is left to the full parser.
    if year < 1970 || !day_is_valid || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let past = year - 1;
    let leap_days = (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let in_year = DAYS_BEFORE_MONTH[month_index] + i64::from(is_leap && month > 2) + day - 1;
    let days = (year - 1970) * 365 + leap_days + in_year;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    EventTime::from_micros(seconds * 1_000_000).ok()
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0)
            .expect("the constructor bounds the years");
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{EventTime, MICROS_MAX, usual_form};

    #[test]
    fn every_day_from_1970_to_9999_reads_as_the_full_parser_reads_it() {
        for day in 0..=(MICROS_MAX / 86_400_000_000) {
            let time = EventTime::from_micros((day * 86_400 + day * 7 % 86_400) * 1_000_000);
            let time = time.expect("in range");
            let text = time.to_string();
            assert_eq!(usual_form(&text), Some(time), "{text}");
            assert_eq!(text.parse(), Ok(time));
        }
    }

    // Proves: REC-008
    #[test]
    fn other_forms_are_read_and_wrong_ones_refused() {
        let micros = |text: &str| text.parse::<EventTime>().ok().map(EventTime::as_micros);
        assert_eq!(micros("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(micros("1970-01-01T00:00:00.000001Z"), Some(1));
        assert_eq!(micros("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(
            micros("9999-12-31T23:59:59Z"),
            Some(MICROS_MAX / 1_000_000 * 1_000_000)
        );
        for text in [
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-00-01T00:00:00Z",
            "2023-01-00T00:00:00Z",
            "2023-01-32T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:60:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01 00:00:00",
            "1969-12-31T23:59:59Z",
            "20230101T000000Z",
            "2023-01-01T00:00:0xZ",
            "",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_outside_the_range_does_not_deserialize() {
        assert!(serde_json::from_str::<EventTime>("-1").is_err());
        let last =
            serde_json::from_str::<EventTime>(&MICROS_MAX.to_string()).expect("the last one");
        assert_eq!(
            serde_json::to_string(&last).expect("a number"),
            MICROS_MAX.to_string()
        );
        let text = DateTime::from_timestamp_micros(last.as_micros()).expect("chrono knows it");
        assert_eq!(text.to_rfc3339(), "9999-12-31T23:59:59.999999+00:00");
    }
}
