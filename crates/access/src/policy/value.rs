//! The values that condition operators compare, read once when the policy is.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Whether something matches. `Unresolved` is a variable without a value: it matches nothing, and it
/// must not make a negated test of an Allow statement true either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    Unresolved,
}

impl Match {
    pub(super) fn of(matched: bool) -> Self {
        if matched { Self::Yes } else { Self::No }
    }

    /// One match suffices; failing that, what is unresolved stays so.
    pub(super) fn any(matches: impl IntoIterator<Item = Self>) -> Self {
        let mut found = Self::No;
        for one in matches {
            match one {
                Self::Yes => return Self::Yes,
                Self::Unresolved => found = Self::Unresolved,
                Self::No => {}
            }
        }
        found
    }
}

/// A number: whole ones compare exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        let real = text
            .bytes()
            .all(plain)
            .then(|| text.parse::<f64>().ok())??;
        real.is_finite().then_some(Self::Real(real))
    }

    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            _ => self.real().partial_cmp(&other.real()),
        }
    }

    fn real(self) -> f64 {
        match self {
            #[expect(
                clippy::cast_precision_loss,
                reason = "the other side is no whole number"
            )]
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

/// Microseconds since the epoch from any of the W3C profiles of ISO 8601, or from epoch seconds.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && text.len() != 4 {
        return text.parse::<i64>().ok()?.checked_mul(1_000_000);
    }
    let day = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let start = match text.len() {
        4 => day(&format!("{text}-01-01")),
        7 => day(&format!("{text}-01")),
        10 => day(text),
        _ => None,
    };
    if let Some(start) = start {
        return Some(start.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z") {
        return Some(time.timestamp_micros());
    }
    let zoneless = text.strip_suffix('Z').unwrap_or(text);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|form| NaiveDateTime::parse_from_str(zoneless, form).ok())
        .map(|time| time.and_utc().timestamp_micros())
}

/// `true` or `false`, in any case.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Base64.
pub(super) fn parse_binary(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A network in CIDR form, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    bits: u128,
    /// The length of the prefix, in the 128 bits of an IPv6 address.
    prefix: u32,
    v4: bool,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (bits, v4) = address_bits(address);
        let width = if v4 { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse::<u32>()
                .ok()
                .filter(|prefix| *prefix <= width)?,
            Some(_) => return None,
        };
        Some(Self {
            bits,
            prefix: prefix + (128 - width),
            v4,
        })
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        let (bits, v4) = address_bits(address.to_canonical());
        let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
        v4 == self.v4 && (bits & mask) == (self.bits & mask)
    }
}

fn address_bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    }
}
