//! Keys of log files and digests, and which keys of a listing belong to a trail.

use cairn_integrity::{DigestKind, DigestListing, KeyFolder, LogKind, read_time};
use cairn_model::EventTime;
use proptest::prelude::*;

use crate::stand::FOLDER;

fn time(text: &str) -> EventTime {
    text.parse().expect("a time")
}

// Proves: REC-238, REC-239, REC-240
#[test]
fn the_key_of_a_digest_has_its_end_and_both_regions() {
    let end = time("2015-09-01T20:17:28Z");
    let folder = KeyFolder {
        prefix: Some("audit/cloud"),
        organization: Some("o-exampleorgid"),
        account: "111111111111",
        region: "us-east-2",
    };
    assert_eq!(
        folder.digest_key("myTrail", "eu-west-1", end, DigestKind::Standard),
        "audit/cloud/AWSLogs/o-exampleorgid/111111111111/CloudTrail-Digest/us-east-2/2015/09/01/\
         111111111111_CloudTrail-Digest_us-east-2_myTrail_eu-west-1_20150901T201728Z.json.gz"
    );
    assert_eq!(
        FOLDER.digest_key("myTrail", "us-east-1", end, DigestKind::Backfill),
        "AWSLogs/111111111111/CloudTrail-Digest/us-east-1/2015/09/01/\
         111111111111_CloudTrail-Digest_us-east-1_myTrail_us-east-1_20150901T201728Z_backfill.json.gz"
    );
}

// Proves: TRL-135, TRL-136, TRL-137, TRL-138, SEC-009
#[test]
fn the_key_of_a_log_file_has_its_minute_and_16_characters() {
    let created = time("2014-03-31T01:00:59Z");
    let name = "111111111111_CloudTrail_us-east-1_20140331T0100Z_Mkpj4gfcQfsL6xTd.json.gz";
    assert_eq!(
        FOLDER.log_file_key(LogKind::Activity, created, "Mkpj4gfcQfsL6xTd"),
        format!("AWSLogs/111111111111/CloudTrail/us-east-1/2014/03/31/{name}")
    );
    let member = KeyFolder {
        prefix: Some("p"),
        organization: Some("o-1"),
        ..FOLDER
    };
    assert_eq!(
        member.log_file_key(LogKind::Activity, created, "Mkpj4gfcQfsL6xTd"),
        format!("p/AWSLogs/o-1/111111111111/CloudTrail/us-east-1/2014/03/31/{name}")
    );
    assert!(
        FOLDER
            .log_file_key(LogKind::Activity, created, "x")
            .starts_with(&FOLDER.log_files_of_day(LogKind::Activity, created))
    );
    let insights = FOLDER.log_file_key(LogKind::Insights, created, "x");
    assert_eq!(
        insights,
        "AWSLogs/111111111111/CloudTrail-Insight/us-east-1/2014/03/31/\
         111111111111_CloudTrail-Insight_us-east-1_20140331T0100Z_x.json.gz"
    );
    assert!(insights.starts_with(&FOLDER.log_files_of_day(LogKind::Insights, created)));
}

// Proves: REC-287
#[test]
fn a_listing_admits_the_digests_of_one_trail_up_to_an_hour_after_the_end() {
    let listing = DigestListing {
        folder: FOLDER,
        trail_name: "my.Trail",
        home_region: "eu-west-1",
    };
    let (start, end) = (time("2026-01-02T10:00:00Z"), time("2026-01-02T12:00:00Z"));
    let admits = |trail: &str, at: &str, kind| {
        let key = FOLDER.digest_key(trail, "eu-west-1", time(at), kind);
        listing
            .admit(&key, start, end)
            .map(|found| (found.end, found.kind))
    };
    for (at, is_admitted) in [
        ("2026-01-02T09:59:59Z", false),
        ("2026-01-02T10:00:00Z", true),
        ("2026-01-02T13:00:00Z", true),
        ("2026-01-02T13:00:01Z", false),
    ] {
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            let expected = is_admitted.then(|| (time(at), kind));
            assert_eq!(admits("my.Trail", at, kind), expected, "{at}");
        }
    }
    let other = admits("myxTrail", "2026-01-02T10:00:00Z", DigestKind::Standard);
    assert_eq!(other, None, "another trail's digest");
    let key = FOLDER.digest_key("my.Trail", "eu-west-1", start, DigestKind::Standard);
    for changed in [
        key.replace(".json.gz", ".json"),
        key.replace("2026/01/02", "2026/xx/02"),
        key.replace("T100000Z", "T100000"),
        format!("x/{key}"),
        key.replace("us-east-1/", "us-east-11/"),
    ] {
        assert_eq!(listing.admit(&changed, start, end), None, "{changed}");
    }
    assert!(
        listing.marker(start) < key,
        "the marker comes before the first digest"
    );
    assert!(!listing.is_beyond(&key, end));
    let late = FOLDER.digest_key("a", "b", time("2026-01-03T00:00:00Z"), DigestKind::Standard);
    assert!(listing.is_beyond(&late, end));
}

#[test]
fn a_zone_is_replaced_and_not_converted() {
    let at = |text: &str| read_time(text).map(|time| time.to_string());
    let expected = Some("2015-01-08T05:21:42Z".to_owned());
    for text in [
        "2015-01-08T05:21:42Z",
        "2015-01-08T05:21:42",
        "2015-01-08 05:21:42 UTC",
        "2015-01-08T05:21:42+09:00",
        "2015-01-08T05:21:42.25-0700",
        "20150108T052142Z",
    ] {
        assert_eq!(at(text), expected, "{text}");
    }
    assert_eq!(at("2015-01-08"), Some("2015-01-08T00:00:00Z".to_owned()));
    assert_eq!(
        at("2015-01-08T05:21"),
        Some("2015-01-08T05:21:00Z".to_owned())
    );
    for text in [
        "",
        "yesterday",
        "2015-13-01",
        "2015-01-08T25:00:00Z",
        "1969-01-01",
        "é",
    ] {
        assert_eq!(at(text), None, "{text}");
    }
}

proptest! {
    // Proves: REC-238
    #[test]
    fn every_key_that_is_made_is_found_again(
        seconds in 0_i64..4_000_000_000,
        trail in "[A-Za-z0-9][A-Za-z0-9._-]{2,20}",
        prefix in proptest::option::of("[a-z0-9/_]{1,8}"),
    ) {
        let folder = KeyFolder { prefix: prefix.as_deref(), ..FOLDER };
        let listing = DigestListing { folder, trail_name: &trail, home_region: "sa-east-1" };
        let end = EventTime::from_micros(seconds * 1_000_000).expect("a time");
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            let key = folder.digest_key(&trail, "sa-east-1", end, kind);
            let found = listing.admit(&key, end, end).expect("its own time");
            prop_assert_eq!((found.end, found.kind), (end, kind));
            prop_assert!(key.starts_with(&listing.prefix()));
            prop_assert!(!listing.is_beyond(&key, end));
        }
    }

    #[test]
    fn no_text_breaks_the_reading_of_times(text in "\\PC{0,30}") {
        read_time(&text);
    }
}
