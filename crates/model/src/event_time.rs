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
#[serde(transparent)]
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
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| EventTimeError)?;
        Self::from_micros(time.with_timezone(&Utc).timestamp_micros())
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0)
            .expect("the constructor bounds the years");
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}
