//! Chains of digests, their windows and their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cairn_catalog::trails::ReadTrails as _;
use cairn_integrity::{Digest, sha256_hex, signing_string, verify};
use cairn_model::Trail;
use cairn_trails::TrailsConfig;

use crate::stage::{ACCOUNT, BUCKET, START_MS, Stage, next, region, validated};

const HOUR: Duration = Duration::from_hours(1);

/// A digest as it lies in its bucket.
pub(crate) struct Found {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) digest: Digest,
    hash: String,
    signature: String,
}

impl Stage {
    /// The digests of a Region, by the time of their keys.
    pub(crate) fn digests(&self, region: &str) -> Vec<Found> {
        let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail-Digest/{region}/");
        let mut found = Vec::new();
        for ((bucket, key), object) in self.puts.objects() {
            if !key.contains(&folder) {
                continue;
            }
            let content = self.content(&bucket, &key);
            let metadata: BTreeMap<String, String> =
                object.request.metadata.iter().cloned().collect();
            assert_eq!(metadata["signature-algorithm"], "SHA256withRSA");
            found.push(Found {
                digest: Digest::parse(&content).expect("a digest"),
                hash: sha256_hex(&content),
                signature: metadata["signature"].clone(),
                bucket,
                key,
            });
        }
        found.sort_by_key(|found| found.digest.end);
        found
    }

    /// Checks what the AWS CLI checks: places, signatures, links, hashes of listed files. Gives the listed keys.
    pub(crate) async fn check_chain(&self, region_name: &str) -> Vec<String> {
        let mut transaction = self.catalog.read().await.expect("reads");
        let keys = transaction
            .trails()
            .signing_keys(&region(region_name), 0, i64::MAX)
            .await
            .expect("reads");
        let digests = self.digests(region_name);
        let mut listed = Vec::new();
        let mut ends = BTreeSet::new();
        let mut before: Option<&Found> = None;
        for found in &digests {
            let Found { digest, .. } = found;
            assert_eq!(
                (&digest.bucket, &digest.object),
                (&found.bucket, &found.key)
            );
            assert!(digest.start < digest.end);
            assert!(ends.insert(digest.end), "a window is signed once");
            let previous = digest.previous.as_ref();
            let text = signing_string(
                digest.end,
                &found.bucket,
                &found.key,
                &found.hash,
                previous.map(|previous| previous.signature.as_str()),
            );
            let key = keys
                .iter()
                .find(|key| key.fingerprint == digest.public_key_fingerprint)
                .expect("the key is listed");
            let is_right = verify(&key.public_key, &text, &found.signature);
            assert!(is_right, "the signature is right");
            if let Some(previous) = previous {
                let before = before.expect("something came before");
                assert_eq!(digest.start, before.digest.end, "windows join");
                assert_eq!(previous.bucket, before.bucket);
                assert_eq!(previous.object, before.key);
                assert_eq!(previous.hash_value, before.hash);
                assert_eq!(previous.signature, before.signature);
            }
            for file in &digest.log_files {
                let content = self.content(&file.bucket, &file.object);
                assert_eq!(file.hash_value, sha256_hex(&content));
                listed.push(file.object.clone());
            }
            before = Some(found);
        }
        let distinct: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(distinct.len(), listed.len(), "a file stands in one digest");
        listed
    }

    /// How many chains have begun.
    pub(crate) fn starting_digests(&self, region: &str) -> usize {
        let digests = self.digests(region);
        let begins = |found: &&Found| found.digest.previous.is_none();
        digests.iter().filter(begins).count()
    }

    /// Every delivered log file of the Region stands in a digest.
    pub(crate) async fn check_all_listed(&self, region_name: &str) {
        self.check_listed(region_name, &[BUCKET, "other"]).await;
    }

    /// Every log file of the Region in these buckets stands in a digest, and no other.
    pub(crate) async fn check_listed(&self, region_name: &str, buckets: &[&str]) {
        let mut listed = self.check_chain(region_name).await;
        listed.sort_unstable();
        let mut delivered = Vec::new();
        for bucket in buckets {
            delivered.extend(self.keys(bucket, &format!("/CloudTrail/{region_name}/")));
        }
        delivered.sort_unstable();
        assert_eq!(listed, delivered);
    }
}

// Proves: REC-234, REC-235, REC-238, REC-239, REC-241, REC-243, REC-250, REC-254, REC-256, REC-257, REC-259
#[tokio::test]
async fn each_hour_has_a_digest_that_is_chained_to_the_one_before() {
    let mut stage = Stage::new().await;
    let mut trail = validated("audit-trail");
    trail.settings.is_multi_region = true;
    stage.create(&trail).await;
    stage.event("eu-west-1", "RunInstances").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage.pass(HOUR).await;
    stage.event("eu-west-1", "StopInstances").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage.check_all_listed("eu-west-1").await;
    stage.check_all_listed("us-east-1").await;
    let digests = stage.digests("eu-west-1");
    let counts: Vec<usize> = digests
        .iter()
        .map(|one| one.digest.log_files.len())
        .collect();
    assert_eq!(counts, [1, 0, 1]);
    assert_eq!(stage.starting_digests("eu-west-1"), 1);
    assert_eq!(
        digests[0].key,
        format!(
            "AWSLogs/{ACCOUNT}/CloudTrail-Digest/eu-west-1/2026/11/21/\
             {ACCOUNT}_CloudTrail-Digest_eu-west-1_audit-trail_us-east-1_20261121T110230Z.json.gz"
        )
    );
    assert!(digests[0].digest.previous.is_none(), "a starting digest");
    assert_eq!(digests[0].digest.start.to_string(), "2026-11-21T10:02:30Z");
    assert_eq!(digests[1].digest.newest_event, None, "an empty hour");
    assert_eq!(
        stage.digests("us-east-1").len(),
        3,
        "a Region without events has digests too"
    );
    assert!(stage.spooled().is_empty(), "nothing is left in the spool");
    let status = stage.status(&trail).await;
    assert_eq!(status.digest_delivery_ms, Some(START_MS + 3 * 3_600_000));
}

// Proves: REC-246, REC-247, REC-256
#[tokio::test]
async fn stopping_ends_a_chain_with_a_last_digest_and_starting_begins_another() {
    let mut stage = Stage::new().await;
    let trail = validated("audit-trail");
    stage.create(&trail).await;
    stage.event("us-east-1", "A").await;
    let stopped = next(&trail, |trail| trail.logging.is_on = false);
    stage.clock.advance(Duration::from_mins(10));
    stage.change(&stopped).await;
    stage.deliver().await;
    stage.sign().await;
    let digests = stage.digests("us-east-1");
    assert_eq!(
        digests.len(),
        1,
        "the last digest does not wait for the hour"
    );
    assert_eq!(digests[0].digest.log_files.len(), 1);
    stage.event("us-east-1", "Unseen").await;
    stage.pass(3 * HOUR).await;
    assert_eq!(
        stage.digests("us-east-1").len(),
        1,
        "no digest while it is stopped"
    );
    let again = next(&stopped, |trail| trail.logging.is_on = true);
    stage.change(&again).await;
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage.check_all_listed("us-east-1").await;
    let digests = stage.digests("us-east-1");
    assert_eq!(digests.len(), 2);
    assert!(
        digests[1].digest.previous.is_none(),
        "a new starting digest"
    );
    // Validation off and the trail deleted: each ends its chain.
    let plain = next(&again, |trail| trail.settings.validates_log_files = false);
    stage.change(&plain).await;
    stage.event("us-east-1", "C").await;
    stage.deliver().await;
    stage.sign().await;
    stage.pass(2 * HOUR).await;
    assert_eq!(stage.digests("us-east-1").len(), 3);
    let listed = stage.check_chain("us-east-1").await;
    assert_eq!(
        listed.len(),
        2,
        "the file of the time without validation is in no digest"
    );
    stage.delete(&plain).await;
    stage.deliver().await;
    stage.pass(2 * HOUR).await;
    assert_eq!(stage.digests("us-east-1").len(), 3);
}

// Proves: REC-242, REC-244, REC-245, R16
#[tokio::test]
async fn a_file_that_comes_late_stands_in_a_later_digest() {
    let mut stage = Stage::new().await;
    let trail = validated("audit-trail");
    stage.create(&trail).await;
    stage.trails.cut_now().await.expect("cuts");
    stage.event("us-east-1", "Late").await;
    stage.puts.delete_bucket(BUCKET);
    stage.deliver().await;
    assert_eq!(
        stage.status(&trail).await.delivery_error.as_deref(),
        Some("NoSuchBucket")
    );
    stage.pass(HOUR).await;
    assert_eq!(
        stage.status(&trail).await.digest_delivery_error.as_deref(),
        Some("NoSuchBucket")
    );
    stage.puts.create_bucket(BUCKET);
    stage.pass(HOUR).await;
    stage.pass(HOUR).await;
    stage.check_all_listed("us-east-1").await;
    let digests = stage.digests("us-east-1");
    let counts: Vec<usize> = digests
        .iter()
        .map(|one| one.digest.log_files.len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 1);
    assert_eq!(
        counts[0], 0,
        "the digest of its own hour was signed before it came: {counts:?}"
    );
    let late = digests.iter().find(|one| !one.digest.log_files.is_empty());
    let late = &late.expect("it is listed").digest;
    assert!(late.oldest_event.expect("an event") < late.start, "REC-244");
    assert_eq!(stage.status(&trail).await.delivery_error, None);
}

// Proves: REC-246
#[tokio::test]
async fn a_chain_ends_only_when_all_its_files_are_delivered() {
    let mut stage = Stage::new().await;
    let trail = validated("audit-trail");
    stage.create(&trail).await;
    stage.event("us-east-1", "A").await;
    stage.puts.delete_bucket(BUCKET);
    let stopped = next(&trail, |trail| trail.logging.is_on = false);
    stage.change(&stopped).await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage.puts.create_bucket(BUCKET);
    stage.pass(HOUR).await;
    stage.pass(HOUR).await;
    stage.check_all_listed("us-east-1").await;
    let digests = stage.digests("us-east-1");
    let last = digests.last().expect("a digest");
    assert_eq!(last.digest.log_files.len(), 1);
    let count = digests.len();
    stage.pass(5 * HOUR).await;
    assert_eq!(
        stage.digests("us-east-1").len(),
        count,
        "that was the last one"
    );
}

// Proves: REC-264, REC-266, REC-267, REC-270
#[tokio::test]
async fn keys_take_turns_overlap_and_stay_listed() {
    let day = Duration::from_hours(24);
    let stage = Stage::with(|config| TrailsConfig {
        digest_interval: day,
        ..config
    })
    .await;
    let mut trail = validated("audit-trail");
    trail.settings.is_multi_region = true;
    stage.create(&trail).await;
    stage.deliver().await;
    for _ in 0..70 {
        stage.pass(day).await;
    }
    stage.check_chain("us-east-1").await;
    let mut transaction = stage.catalog.read().await.expect("reads");
    let mut view = transaction.trails();
    let us = view
        .signing_keys(&region("us-east-1"), 0, i64::MAX)
        .await
        .expect("reads");
    let eu = view
        .signing_keys(&region("eu-west-1"), 0, i64::MAX)
        .await
        .expect("reads");
    assert_eq!(us.len(), 3, "a key signs for thirty days");
    assert_ne!(
        us[0].fingerprint, eu[0].fingerprint,
        "each Region has keys of its own"
    );
    for pair in us.windows(2) {
        assert!(
            pair[0].valid_to_ms > pair[1].valid_from_ms,
            "validity overlaps"
        );
    }
    let fingerprints: BTreeSet<String> = stage
        .digests("us-east-1")
        .into_iter()
        .map(|found| found.digest.public_key_fingerprint)
        .collect();
    assert_eq!(fingerprints.len(), 3);
}

/// The bucket of a trail may change: the chain goes on in the other.
#[tokio::test]
async fn a_chain_goes_on_in_another_bucket() {
    let mut stage = Stage::new().await;
    let trail: Trail = validated("audit-trail");
    stage.create(&trail).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    let moved = next(&trail, |trail| {
        trail.settings.bucket = "other".to_owned();
        trail.settings.key_prefix = Some("p".to_owned());
    });
    stage.change(&moved).await;
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage.check_all_listed("us-east-1").await;
    let digests = stage.digests("us-east-1");
    assert_eq!(digests[1].bucket, "other");
    let previous = digests[1].digest.previous.as_ref().expect("chained");
    assert_eq!(previous.bucket, BUCKET);
}
