//! Names of the lake's objects. Each ends in a version 7 UUID, so that it is new, and so that its age by
//! our own clock can be read from it: the orphan search needs no file times. Before the UUID stands the
//! checksum of the object's bytes, so that whoever reads the whole object can tell damage, and one object
//! in the place of another (C5).

use cairn_catalog::lake::TableId;
use cairn_platform::{Entropy, UnixMillis};

/// A version 7 UUID: 48 bits of milliseconds, then randomness.
pub(crate) fn new_uuid(now_ms: UnixMillis, entropy: &dyn Entropy) -> String {
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
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

/// The end of an object's name: `c`, a CRC32C in eight hexadecimal digits, `-` and the UUID.
pub(crate) fn stamp(checksum: u32, uuid: &str) -> String {
    format!("c{checksum:08x}-{uuid}")
}

/// The checksum in an object's name; none in names of hot objects, which the catalog vouches for, and of
/// objects that were written before names had one.
pub(crate) fn stamped_checksum(key: &str) -> Option<u32> {
    let stem = key.rsplit('/').next()?.split('.').next()?;
    let before_uuid = stem.get(..stem.len().checked_sub(UUID_LENGTH + 1)?)?;
    let digits = before_uuid.rsplit('-').next()?.strip_prefix('c')?;
    (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The end of a data file's name.
pub(crate) const DATA_SUFFIX: &str = ".parquet";

/// Where the data files of one day lie. `day` counts from 1970-01-01.
pub(crate) fn data_key(table: &TableId, day: i32, stamp: &str) -> String {
    format!(
        "{table}/data/eventtime_day={}/{stamp}{DATA_SUFFIX}",
        day_text(day)
    )
}

pub(crate) fn hot_key(table: &TableId, start: u64, end: u64, uuid: &str) -> String {
    format!("{table}/hot/{start:020}-{end:020}-{uuid}.arrow")
}

pub(crate) fn manifest_key(table: &TableId, stamp: &str) -> String {
    format!("{table}/metadata/manifest-{stamp}.avro")
}

pub(crate) fn manifest_list_key(table: &TableId, snapshot: i64, stamp: &str) -> String {
    format!("{table}/metadata/snap-{snapshot}-{stamp}.avro")
}

pub(crate) fn metadata_key(table: &TableId, version: u64, stamp: &str) -> String {
    format!("{table}/metadata/{version:05}-{stamp}.metadata.json")
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
    use cairn_platform::SeededEntropy;

    use super::*;

    #[test]
    fn a_name_tells_its_age() {
        let uuid = new_uuid(1_795_226_127_981, &SeededEntropy::new(1));
        let table: TableId = "event-history".parse().expect("a valid name");
        let stamp = stamp(0xc0ff_ee12, &uuid);
        for key in [
            data_key(&table, 20_778, &stamp),
            manifest_key(&table, &stamp),
            manifest_list_key(&table, 12_345_678, &stamp),
            metadata_key(&table, 12, &stamp),
        ] {
            assert_eq!(created_ms(&key), Some(1_795_226_127_981), "{key}");
            assert_eq!(stamped_checksum(&key), Some(0xc0ff_ee12), "{key}");
        }
        let unstamped = [
            hot_key(&table, 1, 2, &uuid),
            manifest_list_key(&table, 12_345_678, &uuid),
        ];
        for key in unstamped {
            assert_eq!(created_ms(&key), Some(1_795_226_127_981), "{key}");
            assert_eq!(stamped_checksum(&key), None, "{key}");
        }
        assert_eq!(metadata_version(&metadata_key(&table, 12, &stamp)), 12);
        assert_eq!(created_ms("event-history/data/stranger.parquet"), None);
        assert_eq!(day_text(20_778), "2026-11-21");
    }
}
