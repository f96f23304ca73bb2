//! Times on the wire: seconds since 1970 as a JSON number with fraction, in requests and in answers.

use cairn_model::EventTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, to the microsecond. Times before 1970 are allowed: clients send them as "from the beginning".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    micros: i64,
}

/// 9999-12-31T23:59:59Z. What lies further from 1970 on either side is no time that AWS's clients can say.
pub(crate) const SECONDS_MAX: f64 = 253_402_300_799.0;

impl Timestamp {
    /// From seconds as they stand on the wire; nothing for what is not a time.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        if !seconds.is_finite() || seconds.abs() > SECONDS_MAX {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the bound above keeps it in range"
        )]
        let micros = (seconds * 1_000_000.0).round() as i64;
        Some(Self { micros })
    }

    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Microseconds since 1970, negative before.
    pub const fn as_micros(self) -> i64 {
        self.micros
    }

    /// The nearest time that an event can have: 1970 for what lies before.
    pub fn to_event_time(self) -> EventTime {
        EventTime::from_micros(self.micros.max(0)).unwrap_or_default()
    }
}

impl From<EventTime> for Timestamp {
    fn from(time: EventTime) -> Self {
        Self {
            micros: time.as_micros(),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "times to year 9999 are exact to 32 µs"
        )]
        let seconds = self.micros as f64 / 1_000_000.0;
        serializer.serialize_f64(seconds)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Self::from_seconds(seconds).ok_or_else(|| D::Error::custom("no time"))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    // Proves: OVR-086
    #[test]
    fn times_are_numbers_with_fraction() {
        let time: Timestamp = serde_json::from_str("1424476529").expect("a time");
        assert_eq!(
            serde_json::to_string(&time).expect("writes"),
            "1424476529.0"
        );
        let time: Timestamp = serde_json::from_str("1795226127.981").expect("a time");
        assert_eq!(time.as_micros(), 1_795_226_127_981_000);
        assert_eq!(
            serde_json::to_string(&time).expect("writes"),
            "1795226127.981"
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["1e300", "-1e300", "253402300800", "\"2023-11-01\"", "null"] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_before_1970_are_the_beginning_for_events() {
        let time: Timestamp = serde_json::from_str("-62135596800").expect("year 1");
        assert_eq!(time.to_event_time().as_micros(), 0);
    }
}
