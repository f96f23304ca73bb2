//! What snapshots refer to: manifest lists, manifests and data files, by object key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use iceberg::spec::{SnapshotRef, TableMetadata};

use crate::error::LakeError;
use crate::manifests::{LoadedManifest, decode_manifest, decode_manifest_list};
use crate::table::{TableVersion, Workshop, stored_key};

/// Remembers what manifest lists and manifests hold, since they never change.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    lists: HashMap<String, Arc<Vec<String>>>,
    manifests: HashMap<String, Arc<Vec<String>>>,
}

/// The objects that some snapshots refer to.
#[derive(Debug, Default)]
pub(crate) struct Reachable {
    lists: HashSet<String>,
    manifests: HashSet<String>,
    files: HashSet<String>,
}

impl Reachable {
    pub(crate) async fn from_snapshots(
        workshop: &Workshop,
        reader: &mut Reader,
        metadata: &TableMetadata,
        snapshots: &[SnapshotRef],
    ) -> Result<Self, LakeError> {
        let mut reachable = Self::default();
        for snapshot in snapshots {
            reachable.add(workshop, reader, metadata, snapshot).await?;
        }
        Ok(reachable)
    }

    /// Adds what one more snapshot refers to; after an error, only its list.
    pub(crate) async fn add(
        &mut self,
        workshop: &Workshop,
        reader: &mut Reader,
        metadata: &TableMetadata,
        snapshot: &SnapshotRef,
    ) -> Result<(), LakeError> {
        let list = stored_key(snapshot.manifest_list())?.to_owned();
        self.lists.insert(list.clone());
        let manifests = reader.list(workshop, metadata, &list).await?;
        for manifest in manifests.iter() {
            if self.manifests.contains(manifest) {
                continue;
            }
            // What is missing here would be deleted.
            let files = reader.manifests.get(manifest);
            let files = files.ok_or_else(|| LakeError::Metadata {
                doing: "collecting what is referred to",
                reason: format!("{manifest} was forgotten"),
            })?;
            self.files.extend(files.iter().cloned());
            self.manifests.insert(manifest.clone());
        }
        Ok(())
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.files.contains(key) || self.manifests.contains(key) || self.lists.contains(key)
    }

    /// The objects that are here and not there.
    pub(crate) fn without(&self, other: &Self) -> Vec<String> {
        let all = self.lists.iter().chain(&self.manifests).chain(&self.files);
        all.filter(|key| !other.contains(key)).cloned().collect()
    }
}

impl Reader {
    /// Takes what the current version holds in memory, so that it need not be read, and cannot be found
    /// unreadable.
    pub(crate) fn learn(&mut self, version: &TableVersion) -> Result<(), LakeError> {
        let Some(snapshot) = version.metadata.current_snapshot() else {
            return Ok(());
        };
        let mut keys = Vec::with_capacity(version.manifests.len());
        for manifest in &version.manifests {
            let key = stored_key(&manifest.file.manifest_path)?.to_owned();
            let files = || Arc::new(file_keys(manifest));
            self.manifests.entry(key.clone()).or_insert_with(files);
            keys.push(key);
        }
        let list = stored_key(snapshot.manifest_list())?.to_owned();
        self.lists.insert(list, Arc::new(keys));
        Ok(())
    }

    /// The manifests of a list; each of them is read as well.
    async fn list(
        &mut self,
        workshop: &Workshop,
        metadata: &TableMetadata,
        list: &str,
    ) -> Result<Arc<Vec<String>>, LakeError> {
        if let Some(known) = self.lists.get(list) {
            return Ok(Arc::clone(known));
        }
        let mut keys = Vec::new();
        for manifest in decode_manifest_list(&workshop.get(list).await?)? {
            let key = stored_key(&manifest.manifest_path)?.to_owned();
            if !self.manifests.contains_key(&key) {
                let bytes = workshop.get(&key).await?;
                let loaded = decode_manifest(manifest, metadata.current_schema(), &bytes)?;
                self.manifests
                    .insert(key.clone(), Arc::new(file_keys(&loaded)));
            }
            keys.push(key);
        }
        let keys = Arc::new(keys);
        self.lists.insert(list.to_owned(), Arc::clone(&keys));
        Ok(keys)
    }

    /// Keeps only what `reachable` needs.
    pub(crate) fn forget_all_but(&mut self, reachable: &Reachable) {
        self.lists.retain(|key, _| reachable.lists.contains(key));
        self.manifests
            .retain(|key, _| reachable.manifests.contains(key));
    }
}

fn file_keys(manifest: &LoadedManifest) -> Vec<String> {
    manifest.live.iter().map(|file| file.key.clone()).collect()
}
