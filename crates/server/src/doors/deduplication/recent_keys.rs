//! The latest keys in the order in which they came, found by key: a ring of blocks holds the entries, an
//! index beside it their positions. The oldest key is forgotten first, one by one, so that exactly the
//! configured number is known at any time.
//!
//! An entry takes 28 bytes in the ring and, by the load of the index, 6 to 12 bytes there. The index is
//! cut into shards, so that no single insertion has to move more than a few thousand positions.

use std::collections::VecDeque;
use std::time::Duration;

use cairn_model::Sequence;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as IndexEntry;

use super::{EventKey, Identity};

/// Entries of one block. Blocks are let go whole, and with them what the log may forget.
pub(super) const BLOCK_ENTRIES: u32 = 4096;
/// A block that has been open for this part of the window is closed, however few entries it has: the log
/// must not keep an hour of records for the sake of one.
const WINDOW_PARTS: u32 = 16;
const SHARDS: usize = 256;
/// Entries beyond those just added that one call forgets because of their age.
const EXPIRED_STEP: usize = 1024;

const _: () = assert!(
    BLOCK_ENTRIES.is_power_of_two(),
    "positions wrap at whole blocks"
);

/// The ring and its index.
#[derive(Debug)]
pub(super) struct RecentKeys {
    block_entries: u32,
    blocks: VecDeque<Block>,
    /// Position of the first block's first entry. Positions wrap around.
    front: u32,
    /// Entries of the first block that are forgotten already.
    forgotten: usize,
    remembered: usize,
    shards: Vec<HashTable<u32>>,
    /// The memory of the block that was let go last, for the next one.
    spare: Vec<Remembered>,
    /// A block was let go since the last `trim`.
    moved: bool,
}

/// What is known of one accepted event: 28 bytes without padding, for there are millions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    key: EventKey,
    pub(super) content: [u8; 8],
    time_s: [u8; 4],
}

#[derive(Debug)]
struct Block {
    entries: Vec<Remembered>,
    /// The lowest log sequence whose key is here: batches settle in any order.
    start: Sequence,
    began_s: u64,
}

impl Remembered {
    pub(super) fn time_s(&self) -> u64 {
        u64::from(u32::from_le_bytes(self.time_s))
    }
}

impl Default for RecentKeys {
    fn default() -> Self {
        Self::with_blocks_of(BLOCK_ENTRIES, 0)
    }
}

impl RecentKeys {
    /// An empty memory whose positions begin at `front`. Both numbers are for tests to choose; the first
    /// is a power of two and divides the second.
    pub(super) fn with_blocks_of(block_entries: u32, front: u32) -> Self {
        Self {
            block_entries,
            blocks: VecDeque::new(),
            front,
            forgotten: 0,
            remembered: 0,
            shards: std::iter::repeat_with(HashTable::new)
                .take(SHARDS)
                .collect(),
            spare: Vec::new(),
            moved: false,
        }
    }

    /// Entries held now.
    pub(super) fn len(&self) -> usize {
        self.remembered
    }

    /// The latest entry of a key.
    pub(super) fn get(&self, key: &EventKey) -> Option<&Remembered> {
        let position = self.shards[key.shard()].find(key.hash(), |position| {
            self.at(*position).is_some_and(|held| held.key == *key)
        })?;
        self.at(*position)
    }

    /// Adds entries that came at `time_s`, the first of them at `start` in the log. Callers must `trim`.
    pub(super) fn extend(
        &mut self,
        identities: &[Identity],
        start: Sequence,
        time_s: u64,
        window: Duration,
    ) {
        for identity in identities {
            self.open_block(start, time_s, window);
            let position = self.push(Remembered {
                key: identity.key,
                content: identity.content,
                time_s: u32::try_from(time_s).unwrap_or(u32::MAX).to_le_bytes(),
            });
            let (blocks, front, entries) = (&self.blocks, self.front, self.block_entries);
            let held = |position: u32| entry(blocks, front, entries, position);
            let shard = &mut self.shards[identity.key.shard()];
            let slot = shard.entry(
                identity.key.hash(),
                |other| held(*other).is_some_and(|held| held.key == identity.key),
                |other| held(*other).map_or(0, |held| held.key.hash()),
            );
            match slot {
                IndexEntry::Occupied(mut known) => *known.get_mut() = position,
                IndexEntry::Vacant(free) => {
                    free.insert(position);
                }
            }
        }
    }

    /// Forgets the oldest until at most `keys_max` are left, and some of those older than `window`.
    /// Returns the position before which the log may forget, if that moved.
    pub(super) fn trim(
        &mut self,
        keys_max: usize,
        window: Duration,
        now_s: u64,
    ) -> Option<Sequence> {
        let mut expired = self.remembered.saturating_sub(keys_max) + EXPIRED_STEP;
        while let Some(oldest) = self.oldest() {
            let is_old = now_s.saturating_sub(oldest.time_s()) > window.as_secs();
            if self.remembered <= keys_max && !(is_old && expired > 0) {
                break;
            }
            expired = expired.saturating_sub(1);
            self.forget(oldest);
        }
        if !std::mem::take(&mut self.moved) {
            return None;
        }
        self.blocks.iter().map(|block| block.start).min()
    }

    fn at(&self, position: u32) -> Option<&Remembered> {
        entry(&self.blocks, self.front, self.block_entries, position)
    }

    fn oldest(&self) -> Option<Remembered> {
        let block = self.blocks.front()?;
        block.entries.get(self.forgotten).copied()
    }

    /// Makes sure that the last block has room and belongs to this part of the window.
    fn open_block(&mut self, start: Sequence, time_s: u64, window: Duration) {
        let block_entries = usize::try_from(self.block_entries).unwrap_or(usize::MAX);
        if let Some(block) = self.blocks.back_mut() {
            let is_full = block.entries.len() >= block_entries;
            let age_s = time_s.saturating_sub(block.began_s);
            if !is_full && age_s <= (window / WINDOW_PARTS).as_secs() {
                block.start = block.start.min(start);
                return;
            }
        }
        let mut entries = std::mem::take(&mut self.spare);
        entries.reserve_exact(block_entries);
        self.blocks.push_back(Block {
            entries,
            start,
            began_s: time_s,
        });
        self.let_go_forgotten_blocks();
    }

    fn push(&mut self, remembered: Remembered) -> u32 {
        let earlier = u32::try_from(self.blocks.len() - 1).expect("positions are 32 bits wide");
        let block = self.blocks.back_mut().expect("a block was opened");
        let offset = u32::try_from(block.entries.len()).expect("a block is small");
        block.entries.push(remembered);
        self.remembered += 1;
        self.front
            .wrapping_add(earlier * self.block_entries)
            .wrapping_add(offset)
    }

    /// Forgets the oldest entry. If its key came again since, the index points to the later entry and
    /// keeps doing so.
    fn forget(&mut self, oldest: Remembered) {
        let offset = u32::try_from(self.forgotten).expect("a block is small");
        let position = self.front.wrapping_add(offset);
        let shard = &mut self.shards[oldest.key.shard()];
        if let Ok(known) = shard.find_entry(oldest.key.hash(), |held| *held == position) {
            known.remove();
        }
        self.forgotten += 1;
        self.remembered -= 1;
        self.let_go_forgotten_blocks();
    }

    /// The last block stays, even without entries: it is the one that grows.
    fn let_go_forgotten_blocks(&mut self) {
        while self.blocks.len() > 1 {
            let done = |block: &Block| self.forgotten >= block.entries.len();
            if !self.blocks.front().is_some_and(done) {
                return;
            }
            if let Some(mut block) = self.blocks.pop_front() {
                block.entries.clear();
                self.spare = block.entries;
            }
            self.front = self.front.wrapping_add(self.block_entries);
            self.forgotten = 0;
            self.moved = true;
        }
    }
}

fn entry(
    blocks: &VecDeque<Block>,
    front: u32,
    block_entries: u32,
    position: u32,
) -> Option<&Remembered> {
    let distance = position.wrapping_sub(front);
    let block = usize::try_from(distance / block_entries).ok()?;
    let offset = usize::try_from(distance % block_entries).ok()?;
    blocks.get(block)?.entries.get(offset)
}

#[cfg(test)]
mod tests;
