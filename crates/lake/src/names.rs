//! Names of the lake's objects. Each ends in a version 7 UUID, so that it is new, and so that its age by
//! our own clock can be read from it: the orphan search needs no file times.

use cairn_catalog::lake::TableId;
use cairn_platform::{Clock, Entropy};

/// A version 7 UUID: 48 bits of milliseconds, then randomness.
pub(crate) fn new_uuid(clock: &dyn Clock, entropy: &dyn Entropy) -> String {
    let now_ms = u64::try_from(clock.now_ms()).unwrap_or(0);
    let mut bytes = [0_u8; 16];
    entropy.fill(&mut bytes[6..]);
    bytes[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(UUID_LENGTH);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(digit), 16).expect("a nibble is a hex digit"));
        }
    }
    text
}

const UUID_LENGTH: usize = 36;

/// When an object of ours was named, milliseconds since the epoch; none if the name is not ours.
pub(crate) fn created_ms(key: &str) -> Option<i64> {
    let name = key.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let uuid = stem.get(stem.len().checked_sub(UUID_LENGTH)?..)?;
    let digits = format!("{}{}", uuid.get(..8)?, uuid.get(9..13)?);
    if uuid.as_bytes()[14] != b'7' {
        return None;
    }
    i64::from_str_radix(&digits, 16).ok()
}

/// Where the data files of one day lie. `day` counts from 1970-01-01.
pub(crate) fn data_key(table: &TableId, day: i32, uuid: &str) -> String {
    format!(
        "{table}/data/eventtime_day={}/{uuid}.parquet",
        day_text(day)
    )
}

pub(crate) fn hot_key(table: &TableId, start: u64, end: u64, uuid: &str) -> String {
    format!("{table}/hot/{start:020}-{end:020}-{uuid}.arrow")
}

pub(crate) fn manifest_key(table: &TableId, uuid: &str) -> String {
    format!("{table}/metadata/manifest-{uuid}.avro")
}

pub(crate) fn manifest_list_key(table: &TableId, snapshot: i64, uuid: &str) -> String {
    format!("{table}/metadata/snap-{snapshot}-{uuid}.avro")
}

pub(crate) fn metadata_key(table: &TableId, version: u64, uuid: &str) -> String {
    format!("{table}/metadata/{version:05}-{uuid}.metadata.json")
}

/// The version in the name of a metadata file; 0 if it has none.
pub(crate) fn metadata_version(key: &str) -> u64 {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.split('-')
        .next()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

/// `2026-11-21` for a count of days since 1970-01-01.
pub(crate) fn day_text(day: i32) -> String {
    match chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0) {
        Some(time) => time.format("%Y-%m-%d").to_string(),
        None => format!("day{day}"),
    }
}

#[cfg(test)]
mod tests {
    use cairn_platform::{ManualClock, SeededEntropy};

    use super::*;

    #[test]
    fn a_name_tells_its_age() {
        let clock = ManualClock::at(1_795_226_127_981);
        let uuid = new_uuid(&clock, &SeededEntropy::new(1));
        let table: TableId = "event-history".parse().expect("a valid name");
        for key in [
            data_key(&table, 20_778, &uuid),
            hot_key(&table, 1, 2, &uuid),
            manifest_list_key(&table, 7, &uuid),
            metadata_key(&table, 12, &uuid),
        ] {
            assert_eq!(created_ms(&key), Some(1_795_226_127_981), "{key}");
        }
        assert_eq!(metadata_version(&metadata_key(&table, 12, &uuid)), 12);
        assert_eq!(created_ms("event-history/data/stranger.parquet"), None);
        assert_eq!(day_text(20_778), "2026-11-21");
    }
}
