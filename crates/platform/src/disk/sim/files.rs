//! What a simulated file and a simulated directory remember, and what a power loss leaves of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a disk writes at once.
const SECTOR_BYTES: usize = 512;
/// Versions of an unsynced sector that are kept: enough for old, new and in between.
const VERSIONS_MAX: usize = 4;

/// A file's bytes: as the page cache shows them, as the platter holds them, and what is under way.
#[derive(Debug)]
pub(super) struct Inode {
    pub(super) cache: Vec<u8>,
    platter: Vec<u8>,
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
    pub(super) sync_has_failed: bool,
}

impl Inode {
    pub(super) fn durable(contents: &[u8]) -> Self {
        Self {
            cache: contents.to_vec(),
            platter: contents.to_vec(),
            unsynced: BTreeMap::new(),
            sync_has_failed: false,
        }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES {
            let start = sector * SECTOR_BYTES;
            let content = self.cache[start..self.cache.len().min(start + SECTOR_BYTES)].to_vec();
            let versions = self.unsynced.entry(sector).or_default();
            if versions.len() == VERSIONS_MAX {
                versions.remove(1);
            }
            versions.push(content);
        }
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.cache.resize(length, 0);
        self.unsynced
            .retain(|sector, _| sector * SECTOR_BYTES < length);
    }

    pub(super) fn sync(&mut self) {
        self.platter.resize(self.cache.len(), 0);
        for sector in std::mem::take(&mut self.unsynced).into_keys() {
            let start = sector * SECTOR_BYTES;
            let end = self.cache.len().min(start + SECTOR_BYTES);
            self.platter[start..end].copy_from_slice(&self.cache[start..end]);
        }
    }

    /// Some sectors went out before the error; the others are clean in the cache and nowhere else.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        self.sync_has_failed = true;
        self.settle(random);
    }

    /// Leaves what a power loss leaves.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        self.settle(random);
        self.cache.clone_from(&self.platter);
        self.sync_has_failed = false;
    }

    // Each unsynced sector reaches the platter in one of its versions, or not at all.
    fn settle(&mut self, random: &mut Random) {
        if random.one_in(2) {
            self.platter.resize(self.cache.len(), 0);
        }
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            let choice = random.below(versions.len() as u64 + 1);
            let Some(content) = usize::try_from(choice)
                .ok()
                .and_then(|index| versions.get(index))
            else {
                continue;
            };
            let start = sector * SECTOR_BYTES;
            if self.platter.len() < start + content.len() {
                self.platter.resize(start + content.len(), 0);
            }
            self.platter[start..start + content.len()].copy_from_slice(content);
        }
    }
}

/// A change of names that a directory sync makes durable.
#[derive(Debug)]
pub(super) enum DirectoryChange {
    Link {
        path: PathBuf,
        inode: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: u64,
    },
    Unlink {
        path: PathBuf,
    },
}

impl DirectoryChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Unlink { path } => {
                names.remove(path);
            }
        }
    }

    pub(super) fn is_in(&self, directory: &Path) -> bool {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => path.parent() == Some(directory),
            Self::Rename { to, .. } => to.parent() == Some(directory),
        }
    }
}

/// SplitMix64: small, seeded, good enough for accidents.
#[derive(Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
