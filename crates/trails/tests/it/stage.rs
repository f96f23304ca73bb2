//! Log, catalog, spool and buckets, with a clock that tests move.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_catalog::identity::NewAccount;
use cairn_catalog::trails::{
    OutletsCatalog, ReadTrails as _, SigningKey, TrailStatus, TrailsCatalog as _,
};
use cairn_catalog::{Catalog, OutboxEntry};
use cairn_eventlog::{EventLog, MemoryLog, NewRecord, RecordKind};
use cairn_model::selectors::EventSelectors;
use cairn_model::{
    AccountId, Completion, Logging, PartitionId, Region, Trail, TrailId, TrailSettings,
    canonicalize,
};
use cairn_platform::{
    Clock, Disk, Entropy, ManualClock, MasterKey, MemoryBuses, MemoryLogStreams, MemoryPuts,
    MemoryTopics, ObjectPuts, RealDisk, SeededEntropy,
};
use cairn_trails::{BusParts, OutletParts, RegionsOfAccount, Trails, TrailsConfig, TrailsParts};
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

pub(crate) const BUCKET: &str = "audit";
pub(crate) const ACCOUNT: &str = "111122223333";
/// 2026-11-21T10:02:30Z.
pub(crate) const START_MS: i64 = 1_795_255_350_000;

/// What a node is made of.
#[derive(Clone)]
struct Parts {
    config: TrailsConfig,
    catalog: Arc<Catalog>,
    log: Arc<dyn EventLog>,
    puts: Arc<dyn ObjectPuts>,
    clock: Arc<ManualClock>,
    entropy: Arc<dyn Entropy>,
    disk: Arc<dyn Disk>,
    master_key: MasterKey,
    told: Told,
}

impl Parts {
    async fn open(&self) -> Arc<Trails> {
        let parts = TrailsParts {
            config: self.config.clone(),
            catalog: Arc::clone(&self.catalog) as _,
            log: Arc::clone(&self.log),
            disk: Arc::clone(&self.disk),
            puts: Arc::clone(&self.puts),
            outlets: OutletParts {
                catalog: match &self.told.catalog {
                    Some(catalog) => Arc::clone(catalog),
                    None => Arc::clone(&self.catalog) as _,
                },
                topics: Arc::clone(&self.told.topics) as _,
                log_streams: Arc::clone(&self.told.logs) as _,
                buses: self.told.has_buses.then_some(BusParts {
                    buses: Arc::clone(&self.told.buses) as _,
                    source_prefix: "aws.".to_owned(),
                }),
            },
            master_key: self.master_key.clone(),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.entropy),
            enabled_regions: RegionsOfAccount::new(|_| {
                vec![region("us-east-1"), region("eu-west-1")]
            }),
        };
        Trails::open(parts).await.expect("opens")
    }
}

/// Everything around a `Trails`.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) puts: Arc<MemoryPuts>,
    pub(crate) told: Told,
    pub(crate) trails: Arc<Trails>,
    parts: Parts,
    events: u64,
}

/// Topics, log groups and buses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) topics: Arc<MemoryTopics>,
    pub(crate) logs: Arc<MemoryLogStreams>,
    pub(crate) buses: Arc<MemoryBuses>,
    pub(crate) has_buses: bool,
    /// Instead of the catalog's own entry.
    pub(crate) catalog: Option<Arc<dyn OutletsCatalog>>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(TrailsConfig) -> TrailsConfig) -> Self {
        Self::on(Arc::new(RealDisk::new()), change).await
    }

    pub(crate) async fn on(
        disk: Arc<dyn Disk>,
        change: impl FnOnce(TrailsConfig) -> TrailsConfig,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::at(START_MS));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let shown = Arc::clone(&clock) as Arc<dyn Clock>;
        let log = Arc::new(MemoryLog::new(Arc::clone(&shown), 1 << 30, 1 << 26));
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite"), shown)
            .await
            .expect("a new catalog");
        let catalog = Arc::new(catalog);
        for account in [ACCOUNT, "444455556666"] {
            let mut transaction = catalog.begin().await.expect("begins");
            let new = NewAccount {
                account: account.parse().expect("an account"),
                name: "an account".to_owned(),
            };
            transaction
                .create_account(new)
                .await
                .expect("a new account");
            transaction.commit().await.expect("commits");
        }
        let config = change(TrailsConfig {
            spool_folder: folder.path().join("spool"),
            ..TrailsConfig::default()
        });
        let puts = Arc::new(MemoryPuts::new(&[BUCKET, "other"]));
        let told = Told::default();
        let parts = Parts {
            config,
            catalog: Arc::clone(&catalog),
            log: Arc::clone(&log) as _,
            puts: Arc::clone(&puts) as _,
            clock: Arc::clone(&clock),
            master_key: MasterKey::generate(&*entropy),
            entropy,
            disk,
            told: told.clone(),
        };
        Self {
            trails: parts.open().await,
            folder,
            clock,
            log,
            catalog,
            puts,
            told,
            parts,
            events: 0,
        }
    }

    /// As after a crash: nothing of what was in memory is there.
    pub(crate) async fn restart(&mut self) {
        self.parts.told = self.told.clone();
        self.trails = self.parts.open().await;
    }

    /// Another node with the same catalog, log, spool and buckets.
    pub(crate) async fn another_node(&self) -> Arc<Trails> {
        self.parts.open().await
    }

    /// Puts go this way from the next start on.
    pub(crate) fn put_through(&mut self, puts: Arc<dyn ObjectPuts>) {
        self.parts.puts = puts;
    }

    /// The log is read this way from the next start on.
    pub(crate) fn read_through(&mut self, log: Arc<dyn EventLog>) {
        self.parts.log = log;
    }

    /// A node that goes on from a copy of catalog and spool as they are now: it knows nothing of what the first
    /// one does from here on. The copy lives as long as the folder that comes with it.
    pub(crate) async fn fork(&self) -> (Arc<Trails>, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copied = std::process::Command::new("cp")
            .args(["-r", "-T"])
            .args([self.folder.path(), folder.path()])
            .status();
        assert!(copied.expect("cp is there").success());
        let shown = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite"), shown).await;
        let mut parts = self.parts.clone();
        parts.catalog = Arc::new(catalog.expect("opens"));
        parts.config.spool_folder = folder.path().join("spool");
        (parts.open().await, folder)
    }

    /// Runs a statement in the catalog, behind its back.
    pub(crate) async fn execute(&self, statement: &'static str) {
        let mut connection = self.connect().await;
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .expect("executes");
    }

    async fn connect(&self) -> SqliteConnection {
        let file = self.folder.path().join("catalog.sqlite");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options)
            .await
            .expect("connects")
    }

    /// What the catalog says that trails hold of the spool is what their files add up to.
    pub(crate) async fn check_spool_use(&self) {
        type Sums = Vec<(String, i64, i64, i64)>;
        let mut connection = self.connect().await;
        let kept: Sums = sqlx::query_as("SELECT * FROM trail_spool ORDER BY trail_id")
            .fetch_all(&mut connection)
            .await
            .expect("reads");
        let counted: Sums = sqlx::query_as(
            "SELECT trail_id, sum(delivered_ms IS NULL), \
                 sum(CASE WHEN delivered_ms IS NULL THEN event_count ELSE 0 END), sum(byte_count) \
             FROM trail_files GROUP BY trail_id ORDER BY trail_id",
        )
        .fetch_all(&mut connection)
        .await
        .expect("reads");
        assert_eq!(kept, counted);
    }

    /// A trail of the account that takes all management events, as put into catalog and log.
    pub(crate) async fn create(&self, trail: &Trail) {
        self.change(trail).await;
    }

    /// The next version of a trail.
    pub(crate) async fn change(&self, trail: &Trail) {
        let mut transaction = self.catalog.begin().await.expect("begins");
        transaction
            .put_trail(trail)
            .await
            .expect("the next version");
        self.commit(transaction).await;
    }

    pub(crate) async fn delete(&self, trail: &Trail) {
        let mut transaction = self.catalog.begin().await.expect("begins");
        transaction.delete_trail(trail).await.expect("the trail");
        self.commit(transaction).await;
    }

    async fn commit(&self, mut transaction: cairn_catalog::WriteTransaction) {
        let (_, entry) = transaction
            .enqueue(OutboxEntry::default())
            .await
            .expect("enqueues");
        transaction.commit().await.expect("commits");
        let records = entry.records.into_iter().map(|record| NewRecord {
            kind: RecordKind::Control,
            header: Bytes::from(record.header),
            body: Bytes::from(record.body),
            context: Bytes::new(),
        });
        self.append(records.collect()).await;
    }

    pub(crate) async fn append(&self, records: Vec<NewRecord>) {
        self.log
            .append_durable(PartitionId(0), records)
            .await
            .expect("the log has room");
    }

    /// A management event; its `eventID`.
    pub(crate) async fn event(&mut self, region: &str, name: &str) -> String {
        let json = self.event_json(region, name, "ec2.amazonaws.com");
        self.append_event(&json).await
    }

    pub(crate) fn event_json(&mut self, region: &str, name: &str, source: &str) -> String {
        self.events += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.events);
        let time = cairn_model::EventTime::from_micros(self.clock.now_ms() / 1000 * 1_000_000)
            .expect("a time");
        serde_json::json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "Root", "accountId": ACCOUNT},
            "eventTime": time.to_string(),
            "eventSource": source,
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": "192.0.2.1",
            "requestParameters": null,
            "responseElements": null,
            "eventID": id,
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        })
        .to_string()
    }

    /// Appends an event as it stands; its `eventID`.
    pub(crate) async fn append_event(&self, json: &str) -> String {
        let (record, id) = event_record(json);
        self.append(vec![record]).await;
        id
    }

    /// Cuts and delivers what there is.
    pub(crate) async fn deliver(&self) {
        self.trails.cut_now().await.expect("cuts");
        self.trails.deliver_now().await.expect("delivers");
    }

    /// Lets time pass, makes the digests that are due, and delivers them.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.sign().await;
    }

    /// Makes the digests that are due, and delivers them.
    pub(crate) async fn sign(&self) {
        self.trails.sign_now().await.expect("signs");
        self.trails.deliver_now().await.expect("delivers");
    }

    /// Keys of the objects in a bucket that hold `part`.
    pub(crate) fn keys(&self, bucket: &str, part: &str) -> Vec<String> {
        let objects = self.puts.objects();
        let keys = objects
            .keys()
            .filter(|(of, key)| of == bucket && key.contains(part));
        keys.map(|(_, key)| key.clone()).collect()
    }

    /// The unpacked contents of an object.
    pub(crate) fn content(&self, bucket: &str, key: &str) -> Vec<u8> {
        let objects = self.puts.objects();
        let object = &objects[&(bucket.to_owned(), key.to_owned())];
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&object.bytes[..])
            .read_to_end(&mut text)
            .expect("one gzip member");
        text
    }

    /// The events of a log file.
    pub(crate) fn records(&self, bucket: &str, key: &str) -> Vec<Value> {
        let text = self.content(bucket, key);
        let file: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(file.as_object().map(serde_json::Map::len), Some(1));
        file["Records"].as_array().expect("a list").clone()
    }

    /// `eventID`s by log file of a bucket.
    pub(crate) fn delivered(&self, bucket: &str) -> BTreeMap<String, Vec<String>> {
        let keys = self.keys(bucket, "/CloudTrail/");
        let ids = |key: &String| {
            let records = self.records(bucket, key);
            let ids = records.iter().map(|record| record["eventID"].as_str());
            ids.map(|id| id.expect("an ID").to_owned()).collect()
        };
        keys.into_iter()
            .map(|key| (key.clone(), ids(&key)))
            .collect()
    }

    /// All delivered `eventID`s of a bucket, sorted; an ID that was delivered twice stands there twice.
    pub(crate) fn delivered_ids(&self, bucket: &str) -> Vec<String> {
        let mut ids: Vec<String> = self.delivered(bucket).into_values().flatten().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) async fn status(&self, trail: &Trail) -> TrailStatus {
        let mut transaction = self.catalog.read().await.expect("reads");
        transaction.trails().status(&trail.id).await.expect("reads")
    }

    /// Digests of a Region cannot be signed from here on.
    pub(crate) async fn spoil_signing_key(&self, region_name: &str) {
        let key = SigningKey {
            region: region(region_name),
            fingerprint: "0".repeat(32),
            public_key: vec![1],
            private_sealed: b"spoilt".to_vec(),
            valid_ms: 0..i64::MAX,
        };
        self.catalog.put_signing_key(&key).await.expect("stores");
    }

    /// Files in the spool.
    pub(crate) fn spooled(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("spool");
        let entries = std::fs::read_dir(folder).expect("the spool");
        entries.map(|entry| entry.expect("a file").path()).collect()
    }
}

/// An event as the door appends it, and its `eventID`.
fn event_record(json: &str) -> (NewRecord, String) {
    let mut completion = Completion {
        account: account(ACCOUNT),
        new_event_id: &mut || "unused".to_owned(),
    };
    let bytes = Bytes::from(json.to_owned());
    let event = canonicalize(&bytes, &mut completion).expect("a valid event");
    let id = event.header.event_id.clone().into_owned();
    let mut header = Vec::new();
    event.header.encode(&mut header);
    let record = NewRecord {
        kind: RecordKind::Event,
        header: Bytes::from(header),
        body: event.json,
        context: Bytes::new(),
    };
    (record, id)
}

pub(crate) fn account(text: &str) -> AccountId {
    text.parse().expect("an account")
}

pub(crate) fn region(text: &str) -> Region {
    text.parse().expect("a Region")
}

/// A single-Region trail in us-east-1 that logs all management events.
pub(crate) fn trail(name: &str) -> Trail {
    Trail {
        account: account(ACCOUNT),
        home_region: region("us-east-1"),
        name: name.to_owned(),
        id: TrailId(format!("id-of-{name}")),
        version: 1,
        created_ms: START_MS,
        settings: TrailSettings {
            bucket: BUCKET.to_owned(),
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
        logging: Logging {
            is_on: true,
            started_ms: Some(START_MS),
            stopped_ms: None,
        },
    }
}

/// The same, validated.
pub(crate) fn validated(name: &str) -> Trail {
    let mut trail = trail(name);
    trail.settings.validates_log_files = true;
    trail
}

/// The next version, changed.
pub(crate) fn next(trail: &Trail, change: impl FnOnce(&mut Trail)) -> Trail {
    let mut trail = trail.clone();
    trail.version += 1;
    change(&mut trail);
    trail
}
