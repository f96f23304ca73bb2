//! Manifests and manifest lists: encoded by the Iceberg library into memory, stored by us, so that they
//! are durable before anything refers to them.

use std::sync::Arc;

use bytes::Bytes;
use iceberg::io::{MemoryStorage, OutputFile, Storage};
use iceberg::spec::{
    FormatVersion, Manifest, ManifestFile, ManifestList, ManifestListWriter, ManifestStatus,
    ManifestWriterBuilder, PartitionSpec, SchemaRef,
};

use crate::contained::contained;
use crate::error::LakeError;
use crate::live_file::LiveFile;

/// A manifest of the current snapshot and the files that are alive in it.
#[derive(Clone, Debug)]
pub(crate) struct LoadedManifest {
    pub(crate) file: ManifestFile,
    pub(crate) live: Arc<Vec<Arc<LiveFile>>>,
}

/// What a new manifest holds.
#[derive(Debug, Default)]
pub(crate) struct ManifestContent {
    /// Files that the new snapshot adds.
    pub(crate) added: Vec<iceberg::spec::DataFile>,
    /// Files that were there before and stay.
    pub(crate) existing: Vec<Arc<LiveFile>>,
    /// Files that the new snapshot removes.
    pub(crate) removed: Vec<Arc<LiveFile>>,
}

/// For whom a manifest is made.
#[derive(Debug)]
pub(crate) struct ManifestFrame<'a> {
    pub(crate) snapshot: i64,
    pub(crate) schema: &'a SchemaRef,
    pub(crate) spec: &'a PartitionSpec,
}

/// Encodes a manifest.
pub(crate) async fn encode_manifest(
    frame: &ManifestFrame<'_>,
    content: ManifestContent,
) -> Result<(ManifestFile, Bytes), LakeError> {
    let doing = "encoding a manifest";
    let memory: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    // Where it will lie is decided by its bytes: the caller writes it into the entry.
    let output = OutputFile::new(Arc::clone(&memory), "manifest".to_owned());
    let (schema, spec) = (Arc::clone(frame.schema), frame.spec.clone());
    let snapshot = Some(frame.snapshot);
    let mut writer = ManifestWriterBuilder::new(output, snapshot, schema, spec).build_v2_data();
    for file in content.added {
        writer
            .add_file(file, UNASSIGNED)
            .map_err(LakeError::iceberg(doing))?;
    }
    for file in content.existing {
        let number = file.sequence_number;
        writer
            .add_existing_file(file.data_file.clone(), file.snapshot, number, Some(number))
            .map_err(LakeError::iceberg(doing))?;
    }
    for file in content.removed {
        let number = file.sequence_number;
        writer
            .add_delete_file(file.data_file.clone(), number, Some(number))
            .map_err(LakeError::iceberg(doing))?;
    }
    let file = writer
        .write_manifest_file()
        .await
        .map_err(LakeError::iceberg(doing))?;
    let bytes = memory
        .read("manifest")
        .await
        .map_err(LakeError::iceberg(doing))?;
    Ok((file, bytes))
}

/// The file inherits its sequence number from the manifest list.
const UNASSIGNED: i64 = -1;

/// Encodes a manifest list; the entries come back with their sequence numbers.
pub(crate) async fn encode_manifest_list(
    snapshot: i64,
    parent: Option<i64>,
    sequence_number: i64,
    manifests: Vec<ManifestFile>,
) -> Result<(Vec<ManifestFile>, Bytes), LakeError> {
    let doing = "encoding a manifest list";
    let memory: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let output = OutputFile::new(Arc::clone(&memory), "list".to_owned());
    let writer = output.writer().await.map_err(LakeError::iceberg(doing))?;
    let mut list = ManifestListWriter::v2(writer, snapshot, parent, sequence_number);
    list.add_manifests(manifests.into_iter())
        .map_err(LakeError::iceberg(doing))?;
    list.close().await.map_err(LakeError::iceberg(doing))?;
    let bytes = memory
        .read("list")
        .await
        .map_err(LakeError::iceberg(doing))?;
    Ok((decode_manifest_list(&bytes)?, bytes))
}

pub(crate) fn decode_manifest_list(bytes: &[u8]) -> Result<Vec<ManifestFile>, LakeError> {
    let list = contained("a manifest list", || {
        ManifestList::parse_with_version(bytes, FormatVersion::V2)
            .map_err(LakeError::iceberg("reading a manifest list"))
    })?;
    Ok(list.consume_entries().into_iter().collect())
}

/// The files that are alive in a manifest, with what they inherit from the manifest list.
pub(crate) fn decode_manifest(
    file: ManifestFile,
    schema: &SchemaRef,
    bytes: &[u8],
) -> Result<LoadedManifest, LakeError> {
    let manifest = contained(&file.manifest_path, || {
        Manifest::parse_avro(bytes).map_err(LakeError::iceberg("reading a manifest"))
    })?;
    let mut live = Vec::new();
    for entry in manifest.entries() {
        if entry.status == ManifestStatus::Deleted {
            continue;
        }
        let snapshot = entry.snapshot_id.unwrap_or(file.added_snapshot_id);
        let number = entry.sequence_number.unwrap_or(file.sequence_number);
        live.push(Arc::new(LiveFile::new(
            schema,
            entry.data_file.clone(),
            snapshot,
            number,
        )?));
    }
    Ok(LoadedManifest {
        file,
        live: Arc::new(live),
    })
}
