//! The time of signing, in the forms that requests carry.

use chrono::{DateTime, NaiveDate, Utc};

use super::{AuthenticationError, RequestPart};

const MALFORMED: AuthenticationError = AuthenticationError::Malformed {
    part: RequestPart::Date,
};

/// A time of signing: whole seconds, years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AmzTime(DateTime<Utc>);

impl AmzTime {
    /// Reads `YYYYMMDDThhmmssZ`, nothing else.
    pub fn parse(text: &str) -> Result<Self, AuthenticationError> {
        let bytes: &[u8; 16] = text.as_bytes().try_into().map_err(|_| MALFORMED)?;
        if bytes[8] != b'T' || bytes[15] != b'Z' {
            return Err(MALFORMED);
        }
        let number = |range: std::ops::Range<usize>| -> Option<u32> {
            bytes[range].iter().try_fold(0, |sum, digit| {
                digit
                    .is_ascii_digit()
                    .then(|| sum * 10 + u32::from(digit - b'0'))
            })
        };
        let time = || {
            let year = i32::try_from(number(0..4)?)
                .ok()
                .filter(|year| *year >= 1970)?;
            let day = NaiveDate::from_ymd_opt(year, number(4..6)?, number(6..8)?)?;
            Some(
                day.and_hms_opt(number(9..11)?, number(11..13)?, number(13..15)?)?
                    .and_utc(),
            )
        };
        time().map(Self).ok_or(MALFORMED)
    }

    /// Reads the `Date` header, which may hold either form.
    pub fn parse_date_header(text: &str) -> Result<Self, AuthenticationError> {
        if let Ok(time) = Self::parse(text) {
            return Ok(time);
        }
        let time = DateTime::parse_from_rfc2822(text).map_err(|_| MALFORMED)?;
        Self::from_millis(time.timestamp_millis())
    }

    /// From milliseconds since the epoch; the milliseconds are dropped.
    pub fn from_millis(millis: i64) -> Result<Self, AuthenticationError> {
        const SECONDS_MAX: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
        let seconds = millis.div_euclid(1000);
        if !(0..=SECONDS_MAX).contains(&seconds) {
            return Err(MALFORMED);
        }
        DateTime::from_timestamp(seconds, 0)
            .map(Self)
            .ok_or(MALFORMED)
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// `YYYYMMDD`, as in the credential scope.
    pub fn date(self) -> String {
        self.0.format("%Y%m%d").to_string()
    }
}

impl std::fmt::Display for AmzTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.format("%Y%m%dT%H%M%SZ").fmt(f)
    }
}

/// A bound for an error message: the time if it can be written, else the number.
pub(super) fn bound_text(millis: i64) -> String {
    AmzTime::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}
