//! The list of segments that readers and the writer share: which files there are, which records each
//! holds, and where in a file a record is.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::format::{FrameEntry, SegmentIdentity};

/// Tables of sealed segments that are kept in memory: as many as a few lagging readers use at once.
const TABLES_MAX: usize = 8;

/// A segment that no longer grows.
#[derive(Clone, Debug)]
pub(crate) struct ClosedSegment {
    pub(crate) identity: SegmentIdentity,
    /// The sequence after its last record.
    pub(crate) end: u64,
    pub(crate) bytes: u64,
    /// Its frames if they cannot be loaded from a seal: found by scanning a damaged file.
    pub(crate) frames: Option<Arc<[FrameEntry]>>,
    /// Something in it is damaged: the file is kept for the operator when it is released.
    pub(crate) damaged: bool,
}

/// The segment that the writer appends to.
#[derive(Debug)]
pub(crate) struct ActiveFrames {
    pub(crate) identity: SegmentIdentity,
    /// Its durable frames.
    pub(crate) frames: Vec<FrameEntry>,
    /// The file's length, preallocated room included.
    pub(crate) bytes: u64,
}

/// A segment on its way out, and where the log starts without it.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) segment: ClosedSegment,
    pub(crate) start: u64,
}

/// All segments.
#[derive(Debug)]
pub(crate) struct Segments {
    directory: PathBuf,
    list: Mutex<List>,
}

#[derive(Debug)]
pub(crate) struct List {
    pub(crate) closed: VecDeque<ClosedSegment>,
    pub(crate) active: Option<ActiveFrames>,
    tables: VecDeque<(SegmentIdentity, Arc<[FrameEntry]>)>,
}

/// Where reading starts.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the segment, whose frames from the wanted one on are known.
    Frames {
        identity: SegmentIdentity,
        frames: Arc<[FrameEntry]>,
        /// The first readable record after this segment's last.
        next_first: u64,
    },
    /// In the segment, whose table must be loaded first.
    Unloaded {
        segment: ClosedSegment,
        next_first: u64,
    },
    /// Before the oldest segment.
    Released { start: u64 },
}

impl Segments {
    pub(crate) fn new(directory: &Path, closed: Vec<ClosedSegment>) -> Self {
        let list = List {
            closed: closed.into(),
            active: None,
            tables: VecDeque::new(),
        };
        Self {
            directory: directory.to_owned(),
            list: Mutex::new(list),
        }
    }

    /// The path of a segment's file.
    pub(crate) fn path(&self, identity: SegmentIdentity) -> PathBuf {
        self.directory.join(identity.file_name())
    }

    // Held for look-ups and pushes only, never across a disk operation or an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().expect("no holder of this lock panics")
    }
}

impl List {
    /// The sequence of the oldest record that can be read, `end` if there is none.
    pub(crate) fn start(&self, end: u64) -> u64 {
        let closed = self.closed.front().map(|segment| segment.identity.first);
        let active = self.active.as_ref().map(|active| active.identity.first);
        closed.or(active).unwrap_or(end)
    }

    /// Where the record `from` is, which is below `end`.
    pub(crate) fn locate(&self, from: u64, end: u64) -> Place {
        if let Some(active) = &self.active
            && from >= active.identity.first
        {
            let skipped = active.frames.partition_point(|frame| frame.end() <= from);
            // The wanted frame and a few more: copying all of a large table for each read would cost more.
            let frames = active.frames[skipped..].iter().take(64).copied().collect();
            return Place::Frames {
                identity: active.identity,
                frames,
                next_first: end,
            };
        }
        let after = self
            .closed
            .partition_point(|segment| segment.identity.first <= from);
        let Some(index) = after.checked_sub(1) else {
            return Place::Released {
                start: self.start(end),
            };
        };
        let segment = &self.closed[index];
        let next = self.closed.get(after).map(|segment| segment.identity.first);
        let active = self.active.as_ref().map(|active| active.identity.first);
        let next_first = next.or(active).unwrap_or(end);
        let identity = segment.identity;
        let loaded = self
            .tables
            .iter()
            .find(|(key, _)| *key == identity)
            .map(|(_, table)| table);
        match segment.frames.as_ref().or(loaded) {
            Some(frames) => Place::Frames {
                identity,
                frames: Arc::clone(frames),
                next_first,
            },
            None => Place::Unloaded {
                segment: segment.clone(),
                next_first,
            },
        }
    }

    /// Keeps a table that was loaded from the disk, for the next reads.
    pub(crate) fn remember(&mut self, identity: SegmentIdentity, table: &Arc<[FrameEntry]>) {
        if self.tables.iter().any(|(key, _)| *key == identity) {
            return;
        }
        if self.tables.len() == TABLES_MAX {
            self.tables.pop_front();
        }
        self.tables.push_back((identity, Arc::clone(table)));
    }

    /// Takes the oldest segments that hold nothing from `position` on. The last segment of all stays: its name
    /// is what tells a restart the next sequence.
    pub(crate) fn take_released(&mut self, position: u64) -> Vec<Released> {
        let mut released = Vec::new();
        while let Some(segment) = self.closed.front() {
            let next = self.closed.get(1).map(|segment| segment.identity.first);
            let next = next.or(self.active.as_ref().map(|active| active.identity.first));
            // A gap after the segment is reported under its name, so it goes only with the gap.
            let Some(start) = next.filter(|next| segment.end.max(*next) <= position) else {
                break;
            };
            if let Some(segment) = self.closed.pop_front() {
                released.push(Released { segment, start });
            }
        }
        released
    }

    /// The first sequence of the segment after this one, if both are in the list.
    pub(crate) fn next_first(&self, identity: SegmentIdentity) -> Option<u64> {
        let index = self
            .closed
            .iter()
            .position(|segment| segment.identity == identity)?;
        let next = self
            .closed
            .get(index + 1)
            .map(|segment| segment.identity.first);
        next.or(self.active.as_ref().map(|active| active.identity.first))
    }

    /// Marks a segment as damaged, so that its file is kept when it is released.
    pub(crate) fn mark_damaged(&mut self, identity: SegmentIdentity) {
        if let Some(segment) = self
            .closed
            .iter_mut()
            .find(|segment| segment.identity == identity)
        {
            segment.damaged = true;
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|segment| segment.bytes).sum();
        closed + self.active.as_ref().map_or(0, |active| active.bytes)
    }

    pub(crate) fn count(&self) -> usize {
        self.closed.len() + usize::from(self.active.is_some())
    }
}
