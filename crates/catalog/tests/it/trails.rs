//! Trails through the catalog's own interface: versions and their control records, names, tags, and what
//! others have written down of them.

use std::path::PathBuf;
use std::sync::Arc;

use cairn_catalog::identity::{NewAccount, Tag};
use cairn_catalog::trails::{ReadTrails, TrailStatus};
use cairn_catalog::{Catalog, CatalogError, OutboxEntry, WriteTransaction};
use cairn_model::selectors::EventSelectors;
use cairn_model::{AccountId, ControlRecord, Logging, Region, Trail, TrailId, TrailSettings};
use cairn_platform::ManualClock;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

fn account() -> AccountId {
    "012345678901".parse().expect("an account")
}

fn region(name: &str) -> Region {
    name.parse().expect("a Region")
}

fn trail(name: &str, home: &str) -> Trail {
    Trail {
        account: account(),
        home_region: region(home),
        name: name.to_owned(),
        id: TrailId(format!("id-of-{name}-{home}")),
        version: 1,
        created_ms: 5,
        settings: TrailSettings {
            bucket: "a-bucket".to_owned(),
            key_prefix: None,
            sns_topic: None,
            includes_global_service_events: true,
            is_multi_region: false,
            is_organization: false,
            validates_log_files: false,
            kms_key_arn: None,
            log_group: None,
            event_selectors: EventSelectors::default(),
            insight_selectors: Vec::new(),
        },
        logging: Logging::default(),
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    catalog: Catalog,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite"), clock)
            .await
            .expect("opens");
        let mut write = catalog.begin().await.expect("begins");
        let new = NewAccount {
            account: account(),
            name: "test".to_owned(),
        };
        write.create_account(new).await.expect("is new");
        write.commit().await.expect("commits");
        Self { folder, catalog }
    }

    /// Commits a change with its entry, and gives the control records of the entry.
    async fn change(
        &self,
        work: impl AsyncFnOnce(&mut WriteTransaction),
    ) -> Vec<Result<ControlRecord, cairn_model::ControlRecordError>> {
        let mut write = self.catalog.begin().await.expect("begins");
        work(&mut write).await;
        let (_, entry) = write
            .enqueue(OutboxEntry::default())
            .await
            .expect("enqueues");
        write.commit().await.expect("commits");
        let records = entry.records.iter();
        records
            .map(|record| ControlRecord::decode(&record.header, &record.body))
            .collect()
    }

    async fn put(&self, trail: &Trail) {
        let controls = self
            .change(async |write| write.put_trail(trail).await.expect("puts"))
            .await;
        assert_eq!(controls, [Ok(control(trail, trail.version))]);
    }

    async fn all(&self) -> Vec<Trail> {
        let mut read = self.catalog.read().await.expect("begins");
        read.trails().of_account(account()).await.expect("reads")
    }

    /// What the trails reader will write with statements of its own.
    async fn execute(&self, statement: &'static str) {
        let file: PathBuf = self.folder.path().join("catalog.sqlite");
        let options = SqliteConnectOptions::new().filename(file);
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .expect("connects");
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .expect("executes");
    }
}

fn control(trail: &Trail, version: u64) -> ControlRecord {
    let id = trail.id.clone();
    ControlRecord::Trail { id, version }
}

// Proves: TRL-025
#[tokio::test]
async fn trails_are_found_by_name_and_by_region() {
    let fixture = Fixture::new().await;
    let mut everywhere = trail("everywhere", "eu-west-1");
    everywhere.settings.is_multi_region = true;
    let (here, there) = (trail("one", "us-east-1"), trail("one", "us-west-2"));
    for trail in [&everywhere, &here, &there] {
        fixture.put(trail).await;
    }
    assert_eq!(
        fixture.all().await,
        [everywhere.clone(), here.clone(), there.clone()]
    );
    let mut read = fixture.catalog.read().await.expect("begins");
    let mut trails = read.trails();
    let found = trails.find(account(), &region("us-west-2"), "one").await;
    assert_eq!(found.expect("reads"), Some(there));
    let found = trails.find(account(), &region("eu-west-1"), "one").await;
    assert_eq!(found.expect("reads"), None);
    let other = "111122223333".parse().expect("an account");
    let found = trails.find(other, &region("us-east-1"), "one").await;
    assert_eq!(found.expect("reads"), None);
    let there = trails.in_region(account(), &region("us-east-1")).await;
    assert_eq!(there.expect("reads"), [everywhere.clone(), here]);
    let nowhere = trails.in_region(account(), &region("eu-north-1")).await;
    assert_eq!(nowhere.expect("reads"), [everywhere]);
}

// Proves: R21
#[tokio::test]
async fn versions_follow_one_another_and_stay() {
    let fixture = Fixture::new().await;
    let first = trail("one", "us-east-1");
    fixture.put(&first).await;
    let mut second = first.clone();
    second.version = 2;
    second.settings.bucket = "another-bucket".to_owned();
    fixture.put(&second).await;
    let mut write = fixture.catalog.begin().await.expect("begins");
    for version in [2, 4] {
        let stale = Trail {
            version,
            ..second.clone()
        };
        let refused = write.put_trail(&stale).await;
        assert!(
            matches!(refused, Err(CatalogError::ChangedMeanwhile { .. })),
            "{version}: {refused:?}"
        );
    }
    let renamed = Trail {
        name: "two".to_owned(),
        version: 3,
        ..second.clone()
    };
    let refused = write.put_trail(&renamed).await;
    assert!(
        matches!(refused, Err(CatalogError::ChangedMeanwhile { .. })),
        "{refused:?}"
    );
    let again = trail("one", "us-east-1");
    let refused = write.put_trail(&again).await;
    assert!(
        matches!(refused, Err(CatalogError::EntityAlreadyExists(_))),
        "{refused:?}"
    );
    let refused = write.delete_trail(&first).await;
    assert!(
        matches!(refused, Err(CatalogError::ChangedMeanwhile { .. })),
        "{refused:?}"
    );
    drop(write);
    let ended = fixture
        .change(async |write| write.delete_trail(&second).await.expect("deletes"))
        .await;
    assert_eq!(ended, [Ok(control(&first, 3))]);
    assert_eq!(fixture.all().await, []);
    let mut read = fixture.catalog.read().await.expect("begins");
    let mut trails = read.trails();
    let version = trails.version(&first.id, 1).await;
    assert_eq!(version.expect("reads"), Some(first.clone()));
    let version = trails.version(&first.id, 2).await;
    assert_eq!(version.expect("reads"), Some(second));
    assert_eq!(trails.version(&first.id, 3).await.expect("reads"), None);
    let version = trails.version(&first.id, 4).await;
    assert!(
        matches!(version, Err(CatalogError::NoSuchEntity(_))),
        "{version:?}"
    );
}

#[tokio::test]
async fn a_name_is_free_again_for_another_trail() {
    let fixture = Fixture::new().await;
    let first = trail("one", "us-east-1");
    fixture.put(&first).await;
    fixture
        .change(async |write| write.delete_trail(&first).await.expect("deletes"))
        .await;
    let mut second = trail("one", "us-east-1");
    second.id = TrailId("another-id".to_owned());
    fixture.put(&second).await;
    assert_eq!(fixture.all().await, [second]);
}

#[tokio::test]
#[should_panic(expected = "readers of the log learn of a new configuration")]
async fn a_trail_cannot_change_without_its_control_record() {
    let fixture = Fixture::new().await;
    let mut write = fixture.catalog.begin().await.expect("begins");
    write
        .put_trail(&trail("one", "us-east-1"))
        .await
        .expect("puts");
    // Panics: no entry took the control record.
    let _ = write.commit().await;
}

// Proves: TRL-019
#[tokio::test]
async fn a_resource_has_fifty_tags_at_most() {
    let fixture = Fixture::new().await;
    let one = trail("one", "us-east-1");
    let tag = |key: &str, value: &str| Tag {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let fifty: Vec<Tag> = (0..50).map(|n| tag(&format!("key-{n:02}"), "a")).collect();
    fixture
        .change(async |write| {
            write.put_trail(&one).await.expect("puts");
            let put = write.put_resource_tags(account(), &one.arn(), &fifty).await;
            put.expect("fifty fit");
            let again = [tag("key-00", "b")];
            let put = write.put_resource_tags(account(), &one.arn(), &again).await;
            put.expect("the same key takes no more room");
        })
        .await;
    let mut write = fixture.catalog.begin().await.expect("begins");
    // Another key, though it differs in case only.
    let more = [tag("KEY-00", "c")];
    let refused = write.put_resource_tags(account(), &one.arn(), &more).await;
    assert!(
        matches!(refused, Err(CatalogError::LimitExceeded { limit: 50, .. })),
        "{refused:?}"
    );
    drop(write);
    let keys: Vec<String> = fifty[1..].iter().map(|tag| tag.key.clone()).collect();
    fixture
        .change(async |write| {
            let arn = one.arn();
            let deleted = write.delete_resource_tags(account(), &arn, &keys).await;
            deleted.expect("deletes");
        })
        .await;
    let mut read = fixture.catalog.read().await.expect("begins");
    let left = read.trails().tags(account(), &one.arn()).await;
    assert_eq!(left.expect("reads"), [tag("key-00", "b")]);
    drop(read);
    fixture
        .change(async |write| write.delete_trail(&one).await.expect("deletes"))
        .await;
    let mut read = fixture.catalog.read().await.expect("begins");
    let left = read.trails().tags(account(), &one.arn()).await;
    assert_eq!(left.expect("reads"), []);
}

#[tokio::test]
async fn what_delivery_wrote_down_is_read() {
    let fixture = Fixture::new().await;
    let one = trail("one", "us-east-1");
    fixture.put(&one).await;
    let mut read = fixture.catalog.read().await.expect("begins");
    let status = read.trails().status(&one.id).await.expect("reads");
    assert_eq!(status, TrailStatus::default());
    drop(read);
    fixture
        .execute(
            "INSERT INTO trail_status (trail_id, delivery_attempt_ms, delivery_ms, delivery_error, \
             digest_delivery_ms, digest_delivery_error, notification_attempt_ms, notification_ms, \
             notification_error, logs_delivery_ms, logs_delivery_error, files_lost, events_lost, \
             notifications_lost, logs_events_lost) VALUES ('id-of-one-us-east-1', 1, 2, 'three', \
             4, 'five', 6, 7, 'eight', 9, 'ten', 11, 12, 13, 14)",
        )
        .await;
    let mut read = fixture.catalog.read().await.expect("begins");
    let status = read.trails().status(&one.id).await.expect("reads");
    let expected = TrailStatus {
        delivery_attempt_ms: Some(1),
        delivery_ms: Some(2),
        delivery_error: Some("three".to_owned()),
        digest_delivery_ms: Some(4),
        digest_delivery_error: Some("five".to_owned()),
        notification_attempt_ms: Some(6),
        notification_ms: Some(7),
        notification_error: Some("eight".to_owned()),
        logs_delivery_ms: Some(9),
        logs_delivery_error: Some("ten".to_owned()),
        files_lost: 11,
        events_lost: 12,
        notifications_lost: 13,
        logs_events_lost: 14,
    };
    assert_eq!(status, expected);
}

// Proves: REC-266, REC-267, REC-270
#[tokio::test]
async fn signing_keys_are_found_by_the_time_in_which_they_sign() {
    let fixture = Fixture::new().await;
    fixture
        .execute(
            "INSERT INTO signing_keys VALUES \
             ('us-east-1', 'old', x'01', NULL, 100, 200), \
             ('us-east-1', 'new', x'02', x'ff', 150, 300), \
             ('eu-west-1', 'elsewhere', x'03', NULL, 100, 300)",
        )
        .await;
    let mut read = fixture.catalog.read().await.expect("begins");
    for (from, to, expected) in [
        (0, 99, &[][..]),
        (0, 100, &["old"]),
        (120, 149, &["old"]),
        (160, 160, &["old", "new"]),
        (201, 400, &["new"]),
        (301, 400, &[]),
        (0, 1000, &["old", "new"]),
    ] {
        let mut trails = read.trails();
        let keys = trails.signing_keys(&region("us-east-1"), from, to).await;
        let keys = keys.expect("reads");
        let names: Vec<&str> = keys.iter().map(|key| key.fingerprint.as_str()).collect();
        assert_eq!(names, expected, "{from} to {to}");
    }
}
