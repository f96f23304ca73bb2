//! A disk that behaves as badly as real ones may. Unsynced 512-byte sectors survive a power loss in random
//! subsets and versions, names need `sync_dir`, a failed `fdatasync` marks its pages clean and loses
//! them (TESTING 1.4), and space, short writes and bit flips are the test's to choose. Seeded: the
//! same calls in the same order see the same faults.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::{Disk, DiskError, DiskFile, DiskLock};
use files::{DirectoryChange, Inode, Random};

/// A process's view of a simulated disk. After `crash` or `kill` the view is dead: every call on it fails,
/// as nothing that the dead process still runs can reach the disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Arc<Shared>,
    life: u64,
}

/// The faults to come. Counts run from the moment they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimFaults {
    /// The n-th `fdatasync` from now fails and loses what it was to write; 1 is the next.
    pub fdatasync_fails_at: Option<u64>,
    /// The n-th `sync_dir` from now fails.
    pub sync_dir_fails_at: Option<u64>,
    /// The n-th write from now fails half done with an input/output error.
    pub write_fails_at: Option<u64>,
    /// From the n-th change from now on nothing reaches the disk any more: the machine or the process is
    /// stopping, and the test calls `crash` or `kill` next.
    pub stops_at: Option<u64>,
    /// How many bytes the whole disk holds; what exceeds them is refused after the part that fits.
    pub capacity_bytes: Option<u64>,
    /// How many of a hundred writes are short.
    pub short_write_percent: u64,
}

/// What was asked of the disk in sync calls, for tests of the rules about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimSyncs {
    /// Calls of `fdatasync`.
    pub fdatasync: u64,
    /// Calls of `fdatasync` on a file after one had failed on it: R2 allows none.
    pub fdatasync_after_failure: u64,
    /// Calls of `sync_dir`.
    pub sync_dir: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    resumed: Condvar,
}

#[derive(Debug)]
struct State {
    life: u64,
    stopped: bool,
    random: Random,
    faults: SimFaults,
    syncs: SimSyncs,
    syncs_paused: bool,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    unsynced_changes: Vec<DirectoryChange>,
    directories: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
}

impl SimDisk {
    /// An empty disk whose accidents follow from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            life: 0,
            stopped: false,
            random: Random::new(seed),
            faults: SimFaults::default(),
            syncs: SimSyncs::default(),
            syncs_paused: false,
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_changes: Vec::new(),
            directories: BTreeSet::new(),
            locks: BTreeSet::new(),
        };
        let shared = Shared {
            state: Mutex::new(state),
            resumed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            life: 0,
        }
    }

    /// Sets the faults to come.
    pub fn set_faults(&self, faults: SimFaults) {
        self.lock_state().faults = faults;
    }

    /// What was asked of the disk in sync calls so far, over all lives.
    pub fn syncs(&self) -> SimSyncs {
        self.lock_state().syncs
    }

    /// Lets every `fdatasync` wait until `resume_syncs`, as a disk does that has stopped answering.
    pub fn pause_syncs(&self) {
        self.lock_state().syncs_paused = true;
    }

    /// Ends `pause_syncs`.
    pub fn resume_syncs(&self) {
        self.lock_state().syncs_paused = false;
        self.shared.resumed.notify_all();
    }

    /// Lets nothing more reach the disk, as `SimFaults::stops_at` does: `crash` or `kill` comes next.
    pub fn stop(&self) {
        self.lock_state().stopped = true;
    }

    /// Power loss: what was synced stays, and of the rest what chance leaves. Returns the disk as the next
    /// process finds it.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = self.lock_state();
        let changes = std::mem::take(&mut state.unsynced_changes);
        let mut names = state.durable_names.clone();
        for change in changes {
            if state.random.one_in(2) {
                change.apply(&mut names);
            }
        }
        state.durable_names.clone_from(&names);
        state.names = names;
        let State { inodes, random, .. } = &mut *state;
        for inode in inodes.values_mut() {
            inode.lose_power(random);
        }
        self.next_life(state)
    }

    /// The process is killed, the machine runs on: the page cache stays, the locks go.
    #[must_use]
    pub fn kill(&self) -> Self {
        self.next_life(self.lock_state())
    }

    /// A file's bytes as a reader sees them now.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock_state();
        let inode = state.names.get(path)?;
        state.inodes.get(inode).map(|inode| inode.cache.clone())
    }

    /// Puts a file there, durably, as damage or an operator's copy would.
    pub fn plant(&self, path: &Path, contents: &[u8]) {
        let mut state = self.lock_state();
        let number = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(number, Inode::durable(contents));
        state.names.insert(path.to_owned(), number);
        state.durable_names.insert(path.to_owned(), number);
    }

    /// Inverts the bits of `mask` in the byte at `offset`, durably.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut contents = self
            .contents(path)
            .expect("tests flip bytes of files that exist");
        contents[offset] ^= mask;
        self.plant(path, &contents);
    }

    /// Removes a file, durably, as an operator's mistake would.
    pub fn lose(&self, path: &Path) {
        let mut state = self.lock_state();
        state.names.remove(path);
        state.durable_names.remove(path);
    }

    /// Bytes that the files take.
    pub fn used_bytes(&self) -> u64 {
        self.lock_state().used_bytes()
    }

    fn next_life(&self, mut state: MutexGuard<'_, State>) -> Self {
        state.life += 1;
        state.stopped = false;
        state.locks.clear();
        state.faults = SimFaults::default();
        state.syncs_paused = false;
        let life = state.life;
        drop(state);
        self.shared.resumed.notify_all();
        Self {
            shared: Arc::clone(&self.shared),
            life,
        }
    }

    // Held for one call on the disk and never across an await.
    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .expect("no holder of this lock panics")
    }

    fn live(
        &self,
        operation: &'static str,
        path: &Path,
    ) -> Result<MutexGuard<'_, State>, DiskError> {
        let state = self.lock_state();
        if state.life == self.life && !state.stopped {
            return Ok(state);
        }
        Err(failed(
            operation,
            path,
            "the process that held this disk is dead",
        ))
    }

    // As `live`, for calls that change something.
    fn live_to_change(
        &self,
        operation: &'static str,
        path: &Path,
    ) -> Result<MutexGuard<'_, State>, DiskError> {
        let mut state = self.live(operation, path)?;
        if count_down(&mut state.faults.stops_at) {
            state.stopped = true;
            return Err(failed(operation, path, "the machine is stopping"));
        }
        Ok(state)
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut state = self.live_to_change("create", path)?;
        if state.names.contains_key(path) {
            return Err(DiskError::AlreadyExists {
                path: path.to_owned(),
            });
        }
        let number = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(number, Inode::durable(&[]));
        state.change_name(DirectoryChange::Link {
            path: path.to_owned(),
            inode: number,
        });
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
            path: path.to_owned(),
        }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let state = self.live("open", path)?;
        let number = state.names.get(path).copied();
        let number = number.ok_or_else(|| DiskError::NotFound {
            path: path.to_owned(),
        })?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
            path: path.to_owned(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.live_to_change("create directory", path)?
            .directories
            .insert(path.to_owned());
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.live_to_change("directory sync", path)?;
        state.syncs.sync_dir += 1;
        if count_down(&mut state.faults.sync_dir_fails_at) {
            return Err(failed(
                "directory sync",
                path,
                "injected input/output error",
            ));
        }
        let changes = std::mem::take(&mut state.unsynced_changes);
        let (synced, others): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.is_in(path));
        for change in synced {
            change.apply(&mut state.durable_names);
        }
        state.unsynced_changes = others;
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut state = self.live_to_change("rename", from)?;
        let inode = state.names.get(from).copied();
        let inode = inode.ok_or_else(|| DiskError::NotFound {
            path: from.to_owned(),
        })?;
        let change = DirectoryChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            inode,
        };
        state.change_name(change);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.live_to_change("unlink", path)?;
        if !state.names.contains_key(path) {
            return Err(DiskError::NotFound {
                path: path.to_owned(),
            });
        }
        state.change_name(DirectoryChange::Unlink {
            path: path.to_owned(),
        });
        Ok(())
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, DiskError> {
        let state = self.live("list", path)?;
        let inside = state
            .names
            .keys()
            .filter(|name| name.parent() == Some(path));
        Ok(inside
            .filter_map(|name| Some(name.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn free_bytes(&self, path: &Path) -> Result<u64, DiskError> {
        Ok(self.live("free space query", path)?.free_bytes())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn DiskLock>, DiskError> {
        if !self.live("lock", path)?.locks.insert(path.to_owned()) {
            return Err(DiskError::Locked {
                path: path.to_owned(),
            });
        }
        Ok(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
}

impl State {
    fn change_name(&mut self, change: DirectoryChange) {
        change.apply(&mut self.names);
        self.unsynced_changes.push(change);
    }

    fn free_bytes(&self) -> u64 {
        let capacity = self.faults.capacity_bytes;
        capacity.map_or(u64::MAX, |capacity| {
            capacity.saturating_sub(self.used_bytes())
        })
    }

    fn used_bytes(&self) -> u64 {
        let files = self
            .names
            .values()
            .filter_map(|number| self.inodes.get(number));
        files.map(|inode| inode.cache.len() as u64).sum()
    }

    // How many of the bytes [offset, offset + length) the disk has room for.
    fn room(&self, number: u64, offset: usize, length: usize) -> usize {
        let Some(inode) = self.inodes.get(&number) else {
            return 0;
        };
        let growth = (offset + length).saturating_sub(inode.cache.len());
        let free = usize::try_from(self.free_bytes()).unwrap_or(usize::MAX);
        length - growth.saturating_sub(free).min(length)
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: u64,
    path: PathBuf,
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let state = self.disk.live("read", &self.path)?;
        let cache = &state.inodes[&self.number].cache;
        let start = index(offset).min(cache.len());
        let read = buffer.len().min(cache.len() - start);
        buffer[..read].copy_from_slice(&cache[start..start + read]);
        Ok(read)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> Result<usize, DiskError> {
        let mut state = self.disk.live_to_change("write", &self.path)?;
        let mut bytes: Vec<u8> = Vec::new();
        for slice in slices {
            bytes.extend_from_slice(slice);
        }
        let fails = count_down(&mut state.faults.write_fails_at);
        if fails {
            bytes.truncate(bytes.len() / 2);
        } else if bytes.len() > 1 && state.faults.short_write_percent > state.random.below(100) {
            let kept = 1 + state.random.below(bytes.len() as u64 - 1);
            bytes.truncate(index(kept));
        }
        let room = state.room(self.number, index(offset), bytes.len());
        let no_space = room == 0 && !bytes.is_empty();
        bytes.truncate(room);
        let inode = state
            .inodes
            .get_mut(&self.number)
            .expect("inodes are never removed");
        inode.write(index(offset), &bytes);
        if fails {
            return Err(failed("write", &self.path, "injected input/output error"));
        }
        if no_space {
            return Err(DiskError::NoSpace {
                path: self.path.clone(),
            });
        }
        Ok(bytes.len())
    }

    fn preallocate(&self, length: u64) -> Result<(), DiskError> {
        let mut state = self.disk.live_to_change("preallocate", &self.path)?;
        let length = index(length);
        if state.room(self.number, 0, length) < length {
            return Err(DiskError::NoSpace {
                path: self.path.clone(),
            });
        }
        let inode = state
            .inodes
            .get_mut(&self.number)
            .expect("inodes are never removed");
        let length = length.max(inode.cache.len());
        inode.cache.resize(length, 0);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        let mut state = self.disk.live_to_change("truncate", &self.path)?;
        let inode = state
            .inodes
            .get_mut(&self.number)
            .expect("inodes are never removed");
        inode.set_len(index(length));
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(
            self.disk.live("length query", &self.path)?.inodes[&self.number]
                .cache
                .len() as u64,
        )
    }

    fn fdatasync(&self) -> Result<(), DiskError> {
        let state = self.disk.live("fdatasync", &self.path)?;
        let waiting = |state: &mut State| state.syncs_paused;
        let state = self.disk.shared.resumed.wait_while(state, waiting);
        drop(state.expect("no holder of this lock panics"));
        let mut state = self.disk.live_to_change("fdatasync", &self.path)?;
        state.syncs.fdatasync += 1;
        let fails = count_down(&mut state.faults.fdatasync_fails_at);
        let State {
            inodes,
            random,
            syncs,
            ..
        } = &mut *state;
        let inode = inodes
            .get_mut(&self.number)
            .expect("inodes are never removed");
        syncs.fdatasync_after_failure += u64::from(inode.sync_has_failed);
        if fails {
            inode.fail_sync(random);
            return Err(failed(
                "fdatasync",
                &self.path,
                "injected input/output error",
            ));
        }
        inode.sync();
        Ok(())
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        // After a crash the lock is gone already, and may be another's.
        if let Ok(mut state) = self.disk.live("unlock", &self.path) {
            state.locks.remove(&self.path);
        }
    }
}

fn count_down(remaining: &mut Option<u64>) -> bool {
    let Some(count) = remaining else { return false };
    *count = count.saturating_sub(1);
    let due = *count == 0;
    if due {
        *remaining = None;
    }
    due
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("a simulated file fits into memory")
}

fn failed(operation: &'static str, path: &Path, reason: &str) -> DiskError {
    DiskError::Failed {
        operation,
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
