//! A table at one metadata file, and how the next metadata file is made from it. Nothing here decides what
//! is current: that is the catalog's pointer, moved by `commit`.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use bytes::Bytes;
use cairn_catalog::lake::TableId;
use cairn_model::Sequence;
use cairn_platform::{Clock, Entropy};
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, Operation, Snapshot, Summary, TableMetadata,
    TableMetadataBuilder,
};

use crate::contained::contained;
use crate::error::LakeError;
use crate::failpoints;
use crate::live_file::LiveFile;
use crate::manifests::{
    LoadedManifest, ManifestContent, ManifestFrame, decode_manifest, decode_manifest_list,
    encode_manifest, encode_manifest_list,
};
use crate::names;
use crate::objects::{ObjectError, Objects, key_of, location_of};
use crate::schema;
use crate::steady::SteadyClock;
use crate::sums;

/// More manifests than this, and the next commit joins the small ones.
const MANIFESTS_MAX: usize = 32;
/// A manifest with this many files is not joined any more.
const MANIFEST_FILES_MAX: usize = 1_024;
/// Old metadata files that the metadata log names.
const METADATA_LOG_MAX: usize = 20;
/// Summary keys that tell which log range a snapshot covers (I4).
pub(crate) const POSITION_START: &str = "cairn.position.0.start";
pub(crate) const POSITION_END: &str = "cairn.position.0.end";

/// Clock, randomness and store: what making an object needs.
#[derive(Clone, Debug)]
pub(crate) struct Workshop {
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The time of names and snapshots: a transient jump of the wall clock must not stamp the future on
    /// what stays.
    pub(crate) steady: Arc<SteadyClock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Workshop {
    pub(crate) fn uuid(&self) -> String {
        names::new_uuid(self.steady.now_ms(), self.entropy.as_ref())
    }

    pub(crate) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), LakeError> {
        self.objects
            .put_durable(key, bytes)
            .await
            .map_err(LakeError::Objects)
    }

    /// The whole object, as it was written. One that is missing is damage: only what something refers to
    /// is asked for.
    pub(crate) async fn get(&self, key: &str) -> Result<Bytes, LakeError> {
        let bytes = match self.objects.get(key).await {
            Ok(bytes) => bytes,
            Err(error @ ObjectError::NotFound { .. }) => {
                return Err(LakeError::Damaged {
                    key: key.to_owned(),
                    reason: error.to_string(),
                });
            }
            Err(error) => return Err(LakeError::Objects(error)),
        };
        sums::verify(key, &bytes)?;
        Ok(bytes)
    }

    /// The end of the name of a new object that holds these bytes.
    pub(crate) fn stamp(&self, bytes: &[u8]) -> String {
        names::stamp(crc32c::crc32c(bytes), &self.uuid())
    }

    /// A snapshot ID: random and positive.
    fn snapshot_id(&self) -> i64 {
        let mut bytes = [0_u8; 8];
        self.entropy.fill(&mut bytes);
        (i64::from_be_bytes(bytes) & i64::MAX).max(1)
    }
}

/// A table as one metadata file describes it.
#[derive(Clone, Debug)]
pub(crate) struct TableVersion {
    pub(crate) table: TableId,
    /// Object key of the metadata file.
    pub(crate) key: String,
    pub(crate) metadata: Arc<TableMetadata>,
    pub(crate) arrow: ArrowSchemaRef,
    pub(crate) manifests: Vec<LoadedManifest>,
}

/// What the next snapshot changes.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) operation: Operation,
    pub(crate) added: Vec<DataFile>,
    /// Object keys of files that go.
    pub(crate) removed: HashSet<String>,
    /// The log range whose rows come in; none for a change that brings no new rows.
    pub(crate) range: Option<Range<Sequence>>,
}

/// The next version, its objects durable, and the metadata files that fell out of the log.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) version: TableVersion,
    pub(crate) garbage: Vec<String>,
}

impl TableVersion {
    /// The first version of a new table, written but not current yet.
    pub(crate) async fn create(workshop: &Workshop, table: &TableId) -> Result<Self, LakeError> {
        let doing = "creating a table";
        let schema = schema::iceberg_schema()?;
        let spec = schema::partition_spec(&schema)?;
        let order = schema::sort_order(&schema)?;
        let properties = HashMap::from([
            (
                "write.metadata.previous-versions-max".to_owned(),
                METADATA_LOG_MAX.to_string(),
            ),
            (
                "write.parquet.compression-codec".to_owned(),
                "zstd".to_owned(),
            ),
        ]);
        let location = location_of(table.as_str());
        let version = FormatVersion::V2;
        let built = TableMetadataBuilder::new(schema, spec, order, location, version, properties)
            .and_then(TableMetadataBuilder::build)
            .map_err(LakeError::iceberg(doing))?;
        let mut document = to_document(&built.metadata)?;
        document["last-updated-ms"] = workshop.steady.now_ms().into();
        let (key, metadata) = write_metadata(workshop, table, 0, move || Ok(document)).await?;
        let arrow = schema::arrow_schema(metadata.current_schema())?;
        let metadata = Arc::new(metadata);
        Ok(Self {
            table: table.clone(),
            key,
            metadata,
            arrow,
            manifests: Vec::new(),
        })
    }

    /// Reads a version back.
    pub(crate) async fn load(
        workshop: &Workshop,
        table: &TableId,
        key: &str,
    ) -> Result<Self, LakeError> {
        let metadata = parse_metadata(key, &workshop.get(key).await?)?;
        let mut manifests = Vec::new();
        if let Some(snapshot) = metadata.current_snapshot() {
            let list = workshop.get(stored_key(snapshot.manifest_list())?).await?;
            for file in decode_manifest_list(&list)? {
                let bytes = workshop.get(stored_key(&file.manifest_path)?).await?;
                manifests.push(decode_manifest(file, metadata.current_schema(), &bytes)?);
            }
        }
        let arrow = schema::arrow_schema(metadata.current_schema())?;
        let (table, key) = (table.clone(), key.to_owned());
        Ok(Self {
            table,
            key,
            metadata: Arc::new(metadata),
            arrow,
            manifests,
        })
    }

    /// All data files of the current snapshot.
    pub(crate) fn live_files(&self) -> impl Iterator<Item = &Arc<LiveFile>> {
        self.manifests
            .iter()
            .flat_map(|manifest| manifest.live.iter())
    }

    /// Where the range of the next snapshot begins: where the one before ended. What lies between that and
    /// the committed position held no rows for the table.
    fn range_end(&self) -> Option<u64> {
        let snapshot = self.metadata.current_snapshot()?;
        snapshot
            .summary()
            .additional_properties
            .get(POSITION_END)?
            .parse()
            .ok()
    }

    /// Makes the next version: manifests, manifest list and metadata file, each durable on return (R12).
    pub(crate) async fn next(
        &self,
        workshop: &Workshop,
        change: Change,
    ) -> Result<Prepared, LakeError> {
        let snapshot = workshop.snapshot_id();
        let number = self.metadata.next_sequence_number();
        let parent = self.metadata.current_snapshot_id();
        let summary = self.summary(&change);
        let operation = change.operation.clone();
        let manifests = self.next_manifests(workshop, snapshot, change).await?;

        let files = manifests
            .iter()
            .map(|manifest| manifest.file.clone())
            .collect();
        let (files, bytes) = encode_manifest_list(snapshot, parent, number, files).await?;
        let list = names::manifest_list_key(&self.table, snapshot, &workshop.stamp(&bytes));
        workshop.put(&list, bytes).await?;
        failpoints::reach(failpoints::COMMIT_LIST);

        let manifests = number_manifests(self, manifests, files)?;
        let timestamp_ms = workshop
            .steady
            .now_ms()
            .max(self.metadata.last_updated_ms());
        let built = self
            .builder()
            .set_branch_snapshot(
                Snapshot::builder()
                    .with_snapshot_id(snapshot)
                    .with_parent_snapshot_id(parent)
                    .with_sequence_number(number)
                    .with_timestamp_ms(timestamp_ms)
                    .with_manifest_list(location_of(&list))
                    .with_summary(Summary {
                        operation,
                        additional_properties: summary,
                    })
                    .with_schema_id(self.metadata.current_schema_id())
                    .build(),
                MAIN_BRANCH,
            )
            .and_then(TableMetadataBuilder::build)
            .map_err(LakeError::iceberg("adding a snapshot"))?;
        let fallen = &built.expired_metadata_logs;
        let garbage = fallen
            .iter()
            .filter_map(|old| key_of(&old.metadata_file))
            .map(str::to_owned)
            .collect();
        let next = built.metadata;
        let document = move || to_document(&next);
        let (key, metadata) = self.write_next(workshop, document).await?;
        failpoints::reach(failpoints::COMMIT_METADATA);
        let version = Self {
            table: self.table.clone(),
            key,
            metadata: Arc::new(metadata),
            arrow: Arc::clone(&self.arrow),
            manifests,
        };
        Ok(Prepared { version, garbage })
    }

    /// The same table without the snapshots in `expired`. The metadata file before stays in the metadata
    /// log, as at any commit: an outside reader may just have found it.
    pub(crate) async fn without_snapshots(
        &self,
        workshop: &Workshop,
        expired: &HashSet<i64>,
    ) -> Result<Prepared, LakeError> {
        let mut document = to_document(&self.metadata)?;
        let garbage = self.log_own_file(&mut document);
        // The library's builder would stamp the machine's time here; all time comes from our clock (R17).
        for list in ["snapshots", "snapshot-log"] {
            if let Some(entries) = document[list].as_array_mut() {
                let of = |entry: &serde_json::Value| entry["snapshot-id"].as_i64();
                entries.retain(|entry| of(entry).is_none_or(|id| !expired.contains(&id)));
            }
        }
        let now_ms = workshop
            .steady
            .now_ms()
            .max(self.metadata.last_updated_ms());
        document["last-updated-ms"] = now_ms.into();
        let (key, metadata) = self.write_next(workshop, move || Ok(document)).await?;
        let version = Self {
            key,
            metadata: Arc::new(metadata),
            ..self.clone()
        };
        Ok(Prepared { version, garbage })
    }

    /// Adds this version's file to the metadata log of the next. Returns the files that fall out of it.
    fn log_own_file(&self, document: &mut serde_json::Value) -> Vec<String> {
        let entry = serde_json::json!({
            "metadata-file": location_of(&self.key),
            "timestamp-ms": self.metadata.last_updated_ms(),
        });
        let log = &mut document["metadata-log"];
        if !log.is_array() {
            *log = serde_json::json!([]);
        }
        let Some(log) = log.as_array_mut() else {
            return Vec::new();
        };
        log.push(entry);
        let excess = log.len().saturating_sub(METADATA_LOG_MAX);
        let fallen = log.drain(..excess);
        let keys =
            fallen.filter_map(|old| Some(key_of(old["metadata-file"].as_str()?)?.to_owned()));
        keys.collect()
    }

    async fn write_next(
        &self,
        workshop: &Workshop,
        document: impl FnOnce() -> Result<serde_json::Value, LakeError> + Send + 'static,
    ) -> Result<(String, TableMetadata), LakeError> {
        let version = names::metadata_version(&self.key) + 1;
        write_metadata(workshop, &self.table, version, document).await
    }

    fn builder(&self) -> TableMetadataBuilder {
        TableMetadata::clone(&self.metadata).into_builder(Some(location_of(&self.key)))
    }

    async fn next_manifests(
        &self,
        workshop: &Workshop,
        snapshot: i64,
        change: Change,
    ) -> Result<Vec<LoadedManifest>, LakeError> {
        let join_small = self.manifests.len() >= MANIFESTS_MAX;
        let mut next = Vec::new();
        let mut joined = ManifestContent::default();
        for manifest in &self.manifests {
            let is_hit = manifest
                .live
                .iter()
                .any(|file| change.removed.contains(&file.key));
            let is_small = manifest.live.len() < MANIFEST_FILES_MAX;
            if !(is_hit || join_small && is_small) {
                next.push(manifest.clone());
                continue;
            }
            for file in manifest.live.iter() {
                let gone = change.removed.contains(&file.key);
                let list = if gone {
                    &mut joined.removed
                } else {
                    &mut joined.existing
                };
                list.push(Arc::clone(file));
            }
        }
        if !joined.existing.is_empty() || !joined.removed.is_empty() {
            next.push(self.write_manifest(workshop, snapshot, joined).await?);
        }
        if !change.added.is_empty() {
            let added = ManifestContent {
                added: change.added,
                ..ManifestContent::default()
            };
            next.push(self.write_manifest(workshop, snapshot, added).await?);
        }
        Ok(next)
    }

    async fn write_manifest(
        &self,
        workshop: &Workshop,
        snapshot: i64,
        content: ManifestContent,
    ) -> Result<LoadedManifest, LakeError> {
        let schema = self.metadata.current_schema();
        let frame = ManifestFrame {
            snapshot,
            schema,
            spec: self.metadata.default_partition_spec(),
        };
        let (mut file, bytes) = encode_manifest(&frame, content).await?;
        let key = names::manifest_key(&self.table, &workshop.stamp(&bytes));
        file.manifest_path = location_of(&key);
        let loaded = decode_manifest(file, schema, &bytes)?;
        workshop.put(&key, bytes).await?;
        failpoints::reach(failpoints::COMMIT_MANIFEST);
        Ok(loaded)
    }

    /// The counts that Iceberg's summary wants, and the log range (I4).
    fn summary(&self, change: &Change) -> HashMap<String, String> {
        let mut counts = Counts::default();
        let mut total = Counts::default();
        let mut gone = Counts::default();
        for file in self.live_files() {
            if change.removed.contains(&file.key) {
                gone.add(file.rows, file.bytes);
            } else {
                total.add(file.rows, file.bytes);
            }
        }
        for file in &change.added {
            counts.add(file.record_count(), file.file_size_in_bytes());
            total.add(file.record_count(), file.file_size_in_bytes());
        }
        let end = change.range.as_ref().map(|range| range.end.0);
        let start = self
            .range_end()
            .or(change.range.as_ref().map(|range| range.start.0));
        let mut summary = HashMap::new();
        for (name, value) in [
            ("added-data-files", counts.files),
            ("added-records", counts.rows),
            ("added-files-size", counts.bytes),
            ("deleted-data-files", gone.files),
            ("deleted-records", gone.rows),
            ("removed-files-size", gone.bytes),
            ("total-data-files", total.files),
            ("total-records", total.rows),
            ("total-files-size", total.bytes),
            ("total-delete-files", 0),
            ("total-position-deletes", 0),
            ("total-equality-deletes", 0),
            (POSITION_START, start.unwrap_or(0)),
            (POSITION_END, end.or(start).unwrap_or(0)),
        ] {
            summary.insert(name.to_owned(), value.to_string());
        }
        summary
    }
}

#[derive(Default)]
struct Counts {
    files: u64,
    rows: u64,
    bytes: u64,
}

impl Counts {
    fn add(&mut self, rows: u64, bytes: u64) {
        self.files += 1;
        self.rows += rows;
        self.bytes += bytes;
    }
}

/// Gives new manifests the numbers that the list assigned, and their files with them.
fn number_manifests(
    version: &TableVersion,
    manifests: Vec<LoadedManifest>,
    files: Vec<iceberg::spec::ManifestFile>,
) -> Result<Vec<LoadedManifest>, LakeError> {
    let mut numbered = Vec::with_capacity(manifests.len());
    for (manifest, file) in manifests.into_iter().zip(files) {
        let mut live = Vec::with_capacity(manifest.live.len());
        for known in manifest.live.iter() {
            if known.sequence_number >= 0 {
                live.push(Arc::clone(known));
            } else {
                let schema = version.metadata.current_schema();
                let (data_file, number) = (known.data_file.clone(), file.sequence_number);
                live.push(Arc::new(LiveFile::new(
                    schema,
                    data_file,
                    known.snapshot,
                    number,
                )?));
            }
        }
        numbered.push(LoadedManifest {
            file,
            live: Arc::new(live),
        });
    }
    Ok(numbered)
}

/// The object key behind a location in metadata.
pub(crate) fn stored_key(location: &str) -> Result<&str, LakeError> {
    key_of(location).ok_or_else(|| LakeError::Metadata {
        doing: "following a location",
        reason: format!("{location} does not lie in the lake"),
    })
}

pub(crate) fn parse_metadata(key: &str, bytes: &[u8]) -> Result<TableMetadata, LakeError> {
    contained(key, || {
        serde_json::from_slice(bytes).map_err(|error| LakeError::Damaged {
            key: key.to_owned(),
            reason: error.to_string(),
        })
    })
}

fn to_document(metadata: &TableMetadata) -> Result<serde_json::Value, LakeError> {
    serde_json::to_value(metadata).map_err(|error| LakeError::Metadata {
        doing: "encoding metadata",
        reason: error.to_string(),
    })
}

/// Writes a metadata file and reads back what a later start will read. With many snapshots that is work
/// for a thread of its own.
async fn write_metadata(
    workshop: &Workshop,
    table: &TableId,
    version: u64,
    document: impl FnOnce() -> Result<serde_json::Value, LakeError> + Send + 'static,
) -> Result<(String, TableMetadata), LakeError> {
    let encoded = tokio::task::spawn_blocking(move || {
        let bytes = Bytes::from(document()?.to_string());
        let metadata = parse_metadata("metadata in the making", &bytes)?;
        Ok((bytes, metadata))
    });
    let encoded = encoded.await;
    let (bytes, metadata) =
        encoded.unwrap_or_else(|lost| Err(LakeError::TaskLost(lost.to_string())))?;
    let key = names::metadata_key(table, version, &workshop.stamp(&bytes));
    workshop.put(&key, bytes).await?;
    Ok((key, metadata))
}
