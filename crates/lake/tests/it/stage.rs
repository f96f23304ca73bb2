//! What every test stands on: a log, a catalog, a folder, a clock, and events with known content.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use cairn_catalog::Catalog;
use cairn_catalog::lake::{LakeCatalog, TableId};
use cairn_eventlog::{EventLog, MemoryLog, NewRecord, RecordKind};
use cairn_lake::{EVENT_HISTORY, Lake, LakeConfig, LakeError, LocalObjects, Objects, ReadView};
use cairn_model::{Completion, PartitionId, canonicalize};
use cairn_platform::{Clock, ManualClock, SeededEntropy};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub(crate) const PARTITION: PartitionId = PartitionId(0);
/// 2026-11-21T00:00:00Z
pub(crate) const NOW_MS: i64 = 1_795_219_200_000;

pub(crate) fn history() -> TableId {
    EVENT_HISTORY.parse().expect("a valid name")
}

/// Everything outside the lake. It survives a restart of the lake.
pub(crate) struct Stage {
    /// Kept for as long as the test runs.
    folder: tempfile::TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) config: LakeConfig,
    seed: std::sync::atomic::AtomicU64,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        // In memory where there is such a folder: these tests are about order, not about the disk.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory).expect("a folder")
        } else {
            tempfile::tempdir().expect("a folder")
        };
        let clock = ManualClock::at(NOW_MS);
        let path = folder.path().join("catalog.sqlite");
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let catalog = Catalog::open(&path, Arc::clone(&shared))
            .await
            .expect("it opens");
        let log = Arc::new(MemoryLog::new(shared, 256 << 20, 64 << 20));
        let config = LakeConfig {
            data_dir: folder.path().join("lake"),
            // The folder may lie in memory, where there is not much.
            compaction_free_bytes_min: 0,
            ..LakeConfig::default()
        };
        let seed = std::sync::atomic::AtomicU64::new(1);
        Self {
            folder,
            clock,
            log,
            catalog: Arc::new(catalog),
            config,
            seed,
        }
    }

    /// A catalog that has just been made takes the place of the one that there was.
    pub(crate) async fn lose_catalog(&mut self) {
        let path = self.folder.path().join("another.sqlite");
        let catalog = Catalog::open(&path, Arc::new(self.clock.clone())).await;
        self.catalog = Arc::new(catalog.expect("it opens"));
    }

    /// Everything that the node has on its disk.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn lake_folder(&self) -> PathBuf {
        self.config.data_dir.clone()
    }

    pub(crate) fn objects(&self) -> Arc<dyn Objects> {
        Arc::new(LocalObjects::open(self.lake_folder()).expect("the folder can be made"))
    }

    /// Opens the lake as a start of the process would.
    pub(crate) async fn open(&self) -> Arc<Lake> {
        self.open_on(self.objects(), Arc::clone(&self.catalog) as _)
            .await
            .expect("it opens")
    }

    pub(crate) async fn open_on(
        &self,
        objects: Arc<dyn Objects>,
        catalog: Arc<dyn LakeCatalog>,
    ) -> Result<Arc<Lake>, LakeError> {
        self.open_all(objects, catalog, Arc::clone(&self.log) as _)
            .await
    }

    pub(crate) async fn open_with_log(
        &self,
        log: Arc<dyn EventLog>,
    ) -> Result<Arc<Lake>, LakeError> {
        self.open_all(self.objects(), Arc::clone(&self.catalog) as _, log)
            .await
    }

    async fn open_all(
        &self,
        objects: Arc<dyn Objects>,
        catalog: Arc<dyn LakeCatalog>,
        log: Arc<dyn EventLog>,
    ) -> Result<Arc<Lake>, LakeError> {
        // Every start draws other names, as the real generator would.
        let seed = self.seed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let entropy = Arc::new(SeededEntropy::new(seed));
        let clock = Arc::new(self.clock.clone());
        Lake::open_on(self.config.clone(), objects, catalog, log, clock, entropy).await
    }

    /// Appends events to the log as a door would.
    pub(crate) async fn append(&self, events: &[String]) {
        let records = events.iter().map(|event| record(event)).collect();
        self.log
            .append_durable(PARTITION, records)
            .await
            .expect("the log takes it");
    }
}

pub(crate) fn record(event: &str) -> NewRecord {
    let account = "999999999999".parse().expect("a valid account");
    let mut new_event_id = || panic!("the tests' events are complete");
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    let source = Bytes::copy_from_slice(event.as_bytes());
    let canonical = canonicalize(&source, &mut completion).expect("a valid event");
    let mut header = Vec::new();
    canonical.header.encode(&mut header);
    NewRecord {
        kind: RecordKind::Event,
        header: Bytes::from(header),
        body: canonical.json,
        context: Bytes::new(),
    }
}

/// A management event. `number` decides its ID; `minutes` is how long before [`NOW_MS`] it happened.
pub(crate) fn event(number: u32, minutes: i64) -> String {
    event_of(number, minutes, "Management")
}

pub(crate) fn event_of(number: u32, minutes: i64, category: &str) -> String {
    let micros = (NOW_MS - minutes * 60_000) * 1_000;
    let time = cairn_model::EventTime::from_micros(micros).expect("a valid time");
    let account = ["111111111111", "222222222222"][number as usize % 2];
    let region = ["us-east-1", "eu-west-1", "ap-south-1"][number as usize % 3];
    let user = format!("user{}", number % 7);
    format!(
        "{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"IAMUser\",\"principalId\":\"AIDA{number:016}\",\
         \"arn\":\"arn:aws:iam::{account}:user/{user}\",\"accountId\":\"{account}\",\
         \"accessKeyId\":\"AKIA{:016}\",\"userName\":\"{user}\"}},\"eventTime\":\"{time}\",\
         \"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetBucketAcl\",\"awsRegion\":\"{region}\",\
         \"sourceIPAddress\":\"192.0.2.1\",\"userAgent\":\"test\",\
         \"requestParameters\":{{\"bucketName\":\"bucket{}\",\"list\":[1, 2.50, {{\"a\" : null}}]}},\
         \"responseElements\":null,\"requestID\":\"R{number}\",\"eventID\":\"{}\",\"readOnly\":true,\
         \"eventType\":\"AwsApiCall\",\"managementEvent\":{},\"recipientAccountId\":\"{account}\",\
         \"eventCategory\":\"{category}\"}}",
        number % 5,
        number % 11,
        event_id(number),
        category == "Management",
    )
}

pub(crate) fn event_id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

pub(crate) fn events(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers
        .map(|number| event(number, i64::from(number) + 1))
        .collect()
}

/// All rows of a view: sequence and canonical JSON, read from hot batches and from Parquet files directly.
pub(crate) async fn rows_of(lake: &Lake, view: &ReadView) -> BTreeMap<i64, String> {
    let mut rows = BTreeMap::new();
    for batch in batches_of(lake, view).await {
        let sequences = column(&batch, "_sequence")
            .as_primitive::<Int64Type>()
            .clone();
        let texts = column(&batch, "eventjson").as_string::<i32>().clone();
        for row in 0..batch.num_rows() {
            let text = texts.value(row).to_owned();
            let twice = rows.insert(sequences.value(row), text);
            assert_eq!(
                twice,
                None,
                "sequence {} is there twice",
                sequences.value(row)
            );
        }
    }
    rows
}

/// I1 and I2: the view holds exactly the events that were sent, in the order of the log.
pub(crate) async fn check_rows(lake: &Lake, view: &ReadView, sent: &[String]) {
    let rows: Vec<String> = rows_of(lake, view).await.into_values().collect();
    let differs = rows
        .iter()
        .zip(sent)
        .position(|(stored, sent)| stored != sent);
    assert_eq!(
        (rows.len(), differs),
        (sent.len(), None),
        "rows, and the first that differs"
    );
}

pub(crate) async fn batches_of(lake: &Lake, view: &ReadView) -> Vec<RecordBatch> {
    let mut batches: Vec<RecordBatch> = view.hot.iter().map(|hot| hot.rows.clone()).collect();
    for file in view.files.iter() {
        let bytes = lake
            .objects()
            .get(&file.key)
            .await
            .expect("a referenced file exists");
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.key);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a Parquet file");
        let reader = reader.build().expect("a Parquet file");
        let mut rows = 0;
        for batch in reader {
            let batch = batch.expect("readable rows");
            rows += batch.num_rows() as u64;
            batches.push(batch);
        }
        assert_eq!(rows, file.rows, "{}", file.key);
    }
    batches
}

pub(crate) fn column<'b>(batch: &'b RecordBatch, name: &str) -> &'b arrow::array::ArrayRef {
    batch.column_by_name(name).expect("the column exists")
}

/// The texts of a column, in row order.
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let texts = column(batch, name).as_string::<i32>();
    (0..texts.len())
        .map(|row| texts.is_valid(row).then(|| texts.value(row).to_owned()))
        .collect()
}
