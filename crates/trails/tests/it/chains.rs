//! S3: a chain of digests through days of trouble: a crash each hour, hours without events, logging stopped and
//! started, keys that take turns, files that come late, two nodes that race for every cut and every digest.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cairn_catalog::CatalogError;
use cairn_catalog::trails::ReadTrails as _;
use cairn_eventlog::ReadError;
use cairn_integrity::{
    ChainWalk, DigestKind, DigestListing, FetchedDigest, Finding, KeyFolder, PublicKeys, Step,
    WalkRange,
};
use cairn_model::{EventTime, Trail};
use cairn_platform::{Clock as _, S3Failure};
use cairn_trails::{Trails, TrailsConfig, TrailsError};
use serde_json::json;

use crate::door::Door;
use crate::results::{amount, record};
use crate::stage::{ACCOUNT, BUCKET, Stage, next, region, validated};

const HOUR: Duration = Duration::from_hours(1);
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// What the walk of a validator tells of a chain.
#[derive(Debug, Default)]
struct Walked {
    valid: usize,
    /// Places where a chain begins anew.
    gaps: usize,
    faults: Vec<String>,
}

impl Stage {
    /// Walks along the digests of a Region as `validate-logs` does.
    async fn walk(&self, region_name: &str) -> Walked {
        let mut transaction = self.catalog.read().await.expect("reads");
        let keys = transaction
            .trails()
            .signing_keys(&region(region_name), 0, i64::MAX)
            .await
            .expect("reads");
        let keys: PublicKeys = keys
            .into_iter()
            .map(|key| (key.fingerprint, key.public_key))
            .collect();
        let start = EventTime::from_micros(0).expect("a time");
        let end = EventTime::from_micros((self.clock.now_ms() + 86_400_000) * 1000);
        let mut walk = ChainWalk::new(WalkRange {
            start,
            end: end.expect("a time"),
            kind: DigestKind::Standard,
            bucket: BUCKET.to_owned(),
            home_region: "us-east-1".to_owned(),
        });
        let mut walked = Walked::default();
        loop {
            match walk.step() {
                Step::List { end, .. } => walk.listed(self.listed(region_name, start, end)),
                Step::Keys { .. } => walk.take_keys(keys.clone()),
                Step::Fetch { bucket, key } => match self.fetched(&bucket, &key) {
                    Some(fetched) => walk.fetched(fetched),
                    None => walk.not_found(),
                },
                Step::Found(Finding::Valid(_)) => walked.valid += 1,
                Step::Found(Finding::Gap { .. }) => walked.gaps += 1,
                Step::Found(other) => walked.faults.push(format!("{other:?}")),
                Step::NoKeys { .. } => walked.faults.push("no keys".to_owned()),
                Step::End => return walked,
            }
            assert!(walked.faults.len() < 1_000, "{:?}", walked.faults[0]);
        }
    }

    fn listed(
        &self,
        region: &str,
        start: EventTime,
        end: EventTime,
    ) -> Vec<cairn_integrity::ListedDigest> {
        let listing = DigestListing {
            folder: KeyFolder {
                prefix: None,
                organization: None,
                account: ACCOUNT,
                region,
            },
            trail_name: "audit-trail",
            home_region: "us-east-1",
        };
        let keys = self.keys(BUCKET, "/CloudTrail-Digest/");
        let listed = keys.iter().filter_map(|key| listing.admit(key, start, end));
        listed.collect()
    }

    fn fetched(&self, bucket: &str, key: &str) -> Option<FetchedDigest> {
        let objects = self.puts.objects();
        let object = objects.get(&(bucket.to_owned(), key.to_owned()))?;
        let metadata: HashMap<_, _> = object.request.metadata.iter().cloned().collect();
        Some(FetchedDigest {
            packed: object.bytes.to_vec(),
            signature: metadata.get("signature").cloned(),
            signature_algorithm: metadata.get("signature-algorithm").cloned(),
            backfill_generation: None,
        })
    }

    /// Cuts, puts and signs a little of everything, and dies: each is dropped after so many polls.
    async fn die_after(&mut self, polls: u32) {
        let trails = Arc::clone(&self.trails);
        drop(cut_short(trails.cut_now(), polls).await);
        drop(cut_short(trails.deliver_now(), polls).await);
        drop(cut_short(trails.sign_now(), polls).await);
        // A commit that was under way ends as it would have: no process outlives its death.
        drop(self.catalog.begin().await.expect("begins"));
        self.restart().await;
    }
}

/// Polls a future so often and then drops it.
async fn cut_short<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Both nodes do everything at once; of a cut, one may come too late.
async fn race(one: &Trails, other: &Trails) {
    let (cut, other_cut) = tokio::join!(one.cut_now(), other.cut_now());
    for done in [cut, other_cut] {
        match done {
            Ok(())
            | Err(
                TrailsError::Catalog(CatalogError::OutOfStep { .. })
                | TrailsError::Log(ReadError::Released { .. }),
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let (put, other_put) = tokio::join!(one.deliver_now(), other.deliver_now());
    put.and(other_put).expect("puts");
    let (signed, other_signed) = tokio::join!(one.sign_now(), other.sign_now());
    signed.and(other_signed).expect("signs");
}

/// What becomes of the trail and its bucket in an hour of the plan.
async fn plan(stage: &Stage, door: &Door, trail: &mut Trail, hour: u32) -> bool {
    let is_on = hour % 12 != 8;
    match hour % 12 {
        4 => door.close(BUCKET, S3Failure::new("SlowDown", "scripted")),
        6 => door.open(BUCKET),
        8 | 9 => {
            *trail = next(trail, |trail| trail.logging.is_on = is_on);
            stage.change(trail).await;
        }
        _ => {}
    }
    is_on
}

/// Every chain is whole, begins anew only where logging did, and lists each delivered file; how many digests.
async fn check_regions(stage: &Stage, stops: usize) -> usize {
    let mut digests = 0;
    for name in REGIONS {
        stage.check_all_listed(name).await;
        let walked = stage.walk(name).await;
        assert_eq!(walked.faults, Vec::<String>::new());
        assert_eq!(walked.valid, stage.digests(name).len());
        assert_eq!(walked.gaps + 1, stage.starting_digests(name));
        assert_eq!(walked.gaps, stops, "where logging stopped");
        digests += walked.valid;
    }
    digests
}

// Proves: S3, R16, R17, I3, I6, C2, REC-241, REC-245, REC-246, REC-264
#[tokio::test]
async fn chains_hold_through_days_of_trouble() {
    let hours: u32 = amount(24, 72);
    let mut stage = Stage::with(|config| TrailsConfig {
        key_period: 10 * HOUR,
        key_overlap: 5 * HOUR,
        ..config
    })
    .await;
    let door = Door::before(&stage.puts);
    stage.put_through(Arc::clone(&door) as _);
    stage.restart().await;
    let other = stage.another_node().await;
    let mut trail = validated("audit-trail");
    trail.settings.is_multi_region = true;
    stage.create(&trail).await;
    let mut expected = Vec::new();
    for hour in 0..hours {
        let is_on = plan(&stage, &door, &mut trail, hour).await;
        for _ in 0..3 {
            if hour % 3 != 1 {
                for name in REGIONS {
                    let id = stage.event(name, "A").await;
                    expected.extend(is_on.then_some(id));
                }
            }
            race(&stage.trails, &other).await;
            stage.clock.advance(HOUR / 3);
        }
        stage.die_after(hour * 7 % 31).await;
    }
    door.open(BUCKET);
    for _ in 0..4 {
        stage.clock.advance(HOUR);
        race(&stage.trails, &other).await;
    }
    stage.sign().await;
    stage.restart().await;
    expected.sort_unstable();
    assert_eq!(stage.delivered_ids(BUCKET), expected);
    assert!(
        stage.puts.conflicts().is_empty(),
        "no window has two digests"
    );
    assert!(stage.spooled().is_empty(), "{:?}", stage.spooled());
    stage.check_spool_use().await;
    let stops = usize::try_from(hours.div_ceil(12)).expect("few");
    let digests = check_regions(&stage, stops).await;
    let keys = stage.digests("us-east-1");
    let keys: std::collections::BTreeSet<_> = keys
        .iter()
        .map(|one| one.digest.public_key_fingerprint.clone())
        .collect();
    assert!(keys.len() > 1, "keys took turns");
    record(
        "S3",
        json!({
            "runs": hours,
            "acks": expected.len(),
            "lost": 0,
            "duplicates": 0,
            "figures": {
                "virtual hours": hours,
                "digests": digests,
                "new chains after stops": stops * REGIONS.len(),
                "keys": keys.len(),
                "breaks": 0,
                "forks": 0,
            },
        }),
    );
}

/// Controls: a catalog that was set back signs a window twice, and a digest that is gone breaks its chain.
#[tokio::test]
async fn the_chain_harness_sees_a_fork_and_a_break() {
    let mut stage = Stage::new().await;
    stage.create(&validated("audit-trail")).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    let (set_back, _folder) = stage.fork().await;
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    assert!(stage.puts.conflicts().is_empty());
    set_back.sign_now().await.expect("signs");
    set_back.deliver_now().await.expect("delivers");
    let conflicts = stage.puts.conflicts();
    assert_eq!(
        conflicts.len(),
        1,
        "the planted fork is seen: {conflicts:?}"
    );
    stage.pass(HOUR).await;
    stage.pass(HOUR).await;
    assert_eq!(stage.walk("us-east-1").await.faults.len(), 0);
    let middle = stage.digests("us-east-1").remove(1);
    stage.puts.remove_object(BUCKET, &middle.key);
    let walked = stage.walk("us-east-1").await;
    assert_eq!(walked.faults.len(), 1, "the planted break is seen");
    record("S3", json!({"controls": 2, "controls_caught": 2}));
}
