//! Durations and sizes as people write them: `250ms`, `5s`, `1h`, `90d`; `4KiB`, `64MiB`, `1GiB`.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// `5s` and the like. A bare number has no unit and is refused, so that nobody guesses one.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATION_UNITS).map(Duration::from_millis)
}

/// `64MiB` and the like, in bytes. A bare number is bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| parse(text, &SIZE_UNITS))
}

/// The shortest way to write a duration of whole milliseconds.
pub(super) fn write_duration(millis: u64) -> String {
    write(millis, &DURATION_UNITS)
}

/// The shortest way to write a size in binary units.
pub(super) fn write_size(bytes: u64) -> String {
    let binary = [("B", 1), SIZE_UNITS[0], SIZE_UNITS[1], SIZE_UNITS[2]];
    write(bytes, &binary)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn write(value: u64, units: &[(&str, u64)]) -> String {
    let (name, factor) = units
        .iter()
        .rev()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor))
        .unwrap_or(&units[0]);
    format!("{}{name}", value / factor)
}
