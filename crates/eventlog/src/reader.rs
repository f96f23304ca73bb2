//! Reads records from segment files, for readers that lag behind the cache. Every byte is checked before it
//! is handed out, and what does not match is reported with its place (R4). Blocking: callers run it
//! off the async threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use cairn_model::Sequence;
use cairn_platform::{Disk, DiskError, DiskFile};

use crate::format::{
    BLOCK_BYTES, FRAME_HEADER_BYTES, FrameEntry, FrameHeader, RecordSelection, Seal, SegmentHeader,
    SegmentIdentity, TRAILER_BYTES, decode_records,
};
use crate::sabotage::Planted;
use crate::scan::scan_segment;
use crate::segments::{ClosedSegment, Place, Segments};
use crate::{Damage, LogRecord, ReadError};

/// Damage that is remembered; more is only logged.
const DAMAGE_REMEMBERED_MAX: usize = 1000;

/// The reading side of a log's files.
#[derive(Debug)]
pub(crate) struct FileReader {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) segments: Segments,
    pub(crate) planted: Planted,
    damage: Mutex<BTreeMap<(String, u64), Damage>>,
    // The frame that was read last: a reader that takes a large frame in small pieces reads it once.
    last_frame: Mutex<Option<(SegmentIdentity, u64, CheckedFrame)>>,
}

#[derive(Clone, Debug)]
struct CheckedFrame {
    payload: Bytes,
    accepted_ms: i64,
}

impl FileReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, segments: Segments, planted: Planted) -> Self {
        let damage = Mutex::default();
        Self {
            disk,
            segments,
            planted,
            damage,
            last_frame: Mutex::default(),
        }
    }

    /// Records from `from`, which is below `end`, about `bytes_max` of them.
    pub(crate) fn read(
        &self,
        from: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        let mut selection = RecordSelection::new(from, bytes_max);
        while selection.bytes_left > 0 && selection.from < end {
            let before = selection.records.len();
            match self.read_some(end, &mut selection) {
                // What was read before the trouble is good; the next call meets the trouble first.
                Err(_) if !selection.records.is_empty() => break,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            let Some(last) = selection.records.get(before..).and_then(<[_]>::last) else {
                break;
            };
            selection.from = last.sequence.0 + 1;
        }
        Ok(selection.records)
    }

    // Reads what one segment has from `selection.from` on, at least one record.
    fn read_some(&self, end: u64, selection: &mut RecordSelection) -> Result<(), ReadError> {
        let place = self.segments.lock().locate(selection.from, end);
        match place {
            Place::Released { start } => Err(ReadError::Released {
                start: Sequence(start),
            }),
            Place::Frames {
                identity,
                frames,
                next_first,
            } => self.read_frames(identity, &frames, next_first, selection),
            Place::Unloaded {
                segment,
                next_first,
            } => {
                let frames = self.load_table(&segment)?;
                self.segments.lock().remember(segment.identity, &frames);
                self.read_frames(segment.identity, &frames, next_first, selection)
            }
        }
    }

    fn read_frames(
        &self,
        identity: SegmentIdentity,
        frames: &[FrameEntry],
        next_first: u64,
        selection: &mut RecordSelection,
    ) -> Result<(), ReadError> {
        let from = selection.from;
        let skipped = frames.partition_point(|frame| frame.end() <= from);
        let held = frames.get(skipped).filter(|frame| frame.first <= from);
        let Some(_) = held else {
            let offset = skipped
                .checked_sub(1)
                .map_or(BLOCK_BYTES, |at| frames[at].end_offset());
            let resume_at = frames.get(skipped).map_or(next_first, |frame| frame.first);
            return Err(self.corrupt(identity, offset, from..resume_at, "records are missing"));
        };
        let path = self.segments.path(identity);
        let file = self
            .disk
            .open(&path)
            .map_err(|error| self.unreadable(identity, from, &error))?;
        let mut expected = from;
        for entry in &frames[skipped..] {
            if selection.bytes_left == 0 || entry.first > expected {
                break;
            }
            let frame = match self.read_frame(file.as_ref(), identity, entry) {
                Ok(frame) => frame,
                Err(_) if !selection.records.is_empty() => break,
                Err(error) => return Err(error),
            };
            let sequences = entry.first..entry.end();
            let reached = decode_records(&frame.payload, sequences, frame.accepted_ms, selection);
            // A reader that got nothing and no error would ask for the same again, for ever.
            let is_whole = reached == Some(entry.end()) || selection.bytes_left == 0;
            if reached.is_none() || !is_whole {
                return Err(self.corrupt_frame(identity, entry, "a record is malformed"));
            }
            expected = entry.end();
        }
        Ok(())
    }

    fn read_frame(
        &self,
        file: &dyn DiskFile,
        identity: SegmentIdentity,
        entry: &FrameEntry,
    ) -> Result<CheckedFrame, ReadError> {
        if let Some((segment, offset, frame)) = &*self.lock_last_frame()
            && *segment == identity
            && *offset == entry.offset
        {
            return Ok(frame.clone());
        }
        let mut bytes = vec![0; FRAME_HEADER_BYTES + entry.payload_bytes as usize];
        let read = file.read_full_at(&mut bytes, entry.offset);
        let read = read.map_err(|error| self.unreadable(identity, entry.first, &error))?;
        if read < bytes.len() {
            return Err(self.corrupt_frame(identity, entry, "the file ends inside a frame"));
        }
        let header = FrameHeader::decode(&bytes, identity, entry.offset);
        let Some(header) = header.filter(|header| header.entry == *entry) else {
            return Err(self.corrupt_frame(identity, entry, "a frame's header is damaged"));
        };
        let payload = Bytes::from(bytes).slice(FRAME_HEADER_BYTES..);
        if !self.planted.crc_unchecked() && crc32c::crc32c(&payload) != entry.payload_crc {
            return Err(self.corrupt_frame(identity, entry, "a frame's payload is damaged"));
        }
        let frame = CheckedFrame {
            payload,
            accepted_ms: header.accepted_ms,
        };
        *self.lock_last_frame() = Some((identity, entry.offset, frame.clone()));
        Ok(frame)
    }

    // The frames of a sealed segment: from its seal, or by scanning if the seal is damaged.
    fn load_table(&self, segment: &ClosedSegment) -> Result<Arc<[FrameEntry]>, ReadError> {
        let identity = segment.identity;
        let disk_error = |error: DiskError| self.unreadable(identity, identity.first, &error);
        let file = self
            .disk
            .open(&self.segments.path(identity))
            .map_err(disk_error)?;
        if let Some((_, frames)) = load_seal(file.as_ref(), identity).map_err(disk_error)? {
            return Ok(frames.into());
        }
        let nothing = segment.end..segment.end;
        self.note(identity, segment.bytes, nothing, "the seal is damaged");
        let scan = scan_segment(file.as_ref(), identity, self.planted).map_err(disk_error)?;
        Ok(scan.frames.iter().map(|frame| frame.entry).collect())
    }

    fn corrupt_frame(
        &self,
        identity: SegmentIdentity,
        entry: &FrameEntry,
        reason: &'static str,
    ) -> ReadError {
        self.corrupt(identity, entry.offset, entry.first..entry.end(), reason)
    }

    fn corrupt(
        &self,
        identity: SegmentIdentity,
        offset: u64,
        sequences: Range<u64>,
        reason: &'static str,
    ) -> ReadError {
        let resume_at = Sequence(sequences.end);
        self.note(identity, offset, sequences, reason);
        ReadError::Corrupt {
            segment: identity.file_name(),
            offset,
            resume_at,
        }
    }

    // A segment in the list whose file is gone was lost, unless it was released a moment ago.
    fn unreadable(&self, identity: SegmentIdentity, from: u64, error: &DiskError) -> ReadError {
        if let DiskError::NotFound { .. } = error {
            let list = self.segments.lock();
            let start = list.start(from);
            if identity.first < start {
                return ReadError::Released {
                    start: Sequence(start),
                };
            }
            let next = list.next_first(identity);
            drop(list);
            if let Some(next) = next {
                return self.corrupt(identity, 0, from..next, "the file is gone");
            }
        }
        ReadError::Disk {
            segment: identity.file_name(),
            reason: error.to_string(),
        }
    }

    /// Remembers damage and tells the operator, once for each place.
    pub(crate) fn note(
        &self,
        identity: SegmentIdentity,
        offset: u64,
        sequences: Range<u64>,
        reason: &'static str,
    ) {
        let segment = identity.file_name();
        let sequences = Sequence(sequences.start)..Sequence(sequences.end);
        let damage = Damage {
            segment: segment.clone(),
            offset,
            sequences,
            reason,
        };
        let mut known = self.lock_damage();
        if known.contains_key(&(segment.clone(), offset)) {
            return;
        }
        tracing::error!(
            log.segment = damage.segment,
            log.offset_bytes = offset,
            log.first = damage.sequences.start.0,
            log.end = damage.sequences.end.0,
            log.reason = reason,
            "the event log is damaged"
        );
        if known.len() < DAMAGE_REMEMBERED_MAX {
            known.insert((segment, offset), damage);
        }
        drop(known);
        self.segments.lock().mark_damaged(identity);
    }

    pub(crate) fn damage(&self) -> Vec<Damage> {
        self.lock_damage().values().cloned().collect()
    }

    // Both locks are held for a look-up or an insertion, never across a disk operation or an await.
    fn lock_damage(&self) -> MutexGuard<'_, BTreeMap<(String, u64), Damage>> {
        self.damage.lock().expect("no holder of this lock panics")
    }

    fn lock_last_frame(&self) -> MutexGuard<'_, Option<(SegmentIdentity, u64, CheckedFrame)>> {
        self.last_frame
            .lock()
            .expect("no holder of this lock panics")
    }
}

/// The seal and the table of a segment file, if it is sealed and both match their checksums.
pub(crate) fn load_seal(
    file: &dyn DiskFile,
    identity: SegmentIdentity,
) -> Result<Option<(Seal, Vec<FrameEntry>)>, DiskError> {
    let Some(seal) = load_trailer(file, identity)? else {
        return Ok(None);
    };
    let Some(table_bytes) = seal
        .table_bytes()
        .and_then(|bytes| usize::try_from(bytes).ok())
    else {
        return Ok(None);
    };
    let mut header = [0; SegmentHeader::BYTES];
    file.read_full_at(&mut header, 0)?;
    let mut table = vec![0; table_bytes];
    file.read_full_at(&mut table, seal.table_offset)?;
    Ok(seal
        .decode_table(&header, &table)
        .map(|frames| (seal, frames)))
}

/// The seal that a segment file states, unless it is open or damaged; the table is not looked at.
pub(crate) fn load_trailer(
    file: &dyn DiskFile,
    identity: SegmentIdentity,
) -> Result<Option<Seal>, DiskError> {
    let length = file.len()?;
    let Some(offset) = length.checked_sub(TRAILER_BYTES as u64) else {
        return Ok(None);
    };
    let mut trailer = [0; TRAILER_BYTES];
    if file.read_full_at(&mut trailer, offset)? < TRAILER_BYTES {
        return Ok(None);
    }
    Ok(Seal::decode(&trailer, identity, length))
}
