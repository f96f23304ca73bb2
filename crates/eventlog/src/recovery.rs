//! Opens the files that an earlier process left. Decides what is whole, what is torn and what is damaged (R4),
//! and copies the frames of a segment that was not sealed into a new, synced file, because what the
//! page cache shows of it may never have reached the disk (R2).

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use cairn_platform::{Disk, DiskError, DiskFile};

use crate::OpenError;
use crate::failpoints::{self, reach};
use crate::format::{
    BLOCK_BYTES, FRAME_HEADER_BYTES, FrameEntry, FrameHeader, HeaderVerdict, Seal, SegmentHeader,
    SegmentIdentity, Watermark, align,
};
use crate::reader::{load_seal, load_trailer};
use crate::sabotage::Planted;
use crate::scan::{Scan, scan_segment};
use crate::segments::ClosedSegment;
use crate::space::Space;

/// The folder in the log's folder where damaged files are kept for the operator.
pub(crate) const QUARANTINE: &str = "quarantine";
const RECOVERING: &str = ".recovering";

/// What recovery works with.
#[derive(Debug)]
pub(crate) struct Recovery<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) directory: &'a Path,
    pub(crate) space: &'a Space,
    pub(crate) watermark: Watermark,
    /// Up to where segments were released, if that is known.
    pub(crate) released: Option<u64>,
    pub(crate) now_ms: i64,
    pub(crate) planted: Planted,
}

/// The log as recovery leaves it.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) closed: Vec<ClosedSegment>,
    /// The sequence of the next record.
    pub(crate) next: u64,
    /// The epoch of this opening, above those of all files (R7).
    pub(crate) epoch: u64,
    /// Damage to report: segment, offset, sequences, reason.
    pub(crate) damage: Vec<(SegmentIdentity, u64, Range<u64>, &'static str)>,
    /// Files that say nothing which another does not say better. Callers must retire them once the new
    /// active segment is durable: until then one of them may be what remembers the next sequence.
    pub(crate) superfluous: Vec<ClosedSegment>,
}

// A segment file as found.
#[derive(Debug)]
struct Found {
    segment: ClosedSegment,
    // Missing if the seal is valid.
    scan: Option<Scan>,
}

impl Recovery<'_> {
    pub(crate) fn run(&self) -> Result<Recovered, OpenError> {
        let mut found = Vec::new();
        let mut epoch = 0;
        for name in self.disk.list(self.directory)? {
            if name.ends_with(RECOVERING) {
                self.disk.unlink(&self.directory.join(&name))?;
            } else if let Some(identity) = SegmentIdentity::from_file_name(&name) {
                epoch = epoch.max(identity.epoch);
                found.push(self.examine(identity)?);
            }
        }
        found.sort_by_key(|found| found.segment.identity);
        let mut recovered = Recovered {
            closed: Vec::new(),
            next: self.watermark.end,
            epoch: epoch + 1,
            damage: Vec::new(),
            superfluous: Vec::new(),
        };
        let mut found = drop_doubles(found, &mut recovered.superfluous);
        if let Some(last) = found.last_mut() {
            self.verify_seal(last)?;
        }
        let last = found.pop();
        for older in found {
            note_unsealed(&older, &mut recovered);
            recovered.closed.push(older.segment);
        }
        if let Some(last) = last {
            self.take_last(last, &mut recovered)?;
        }
        self.note_missing_front(&mut recovered);
        note_missing(&mut recovered);
        Ok(recovered)
    }

    // Segments at the front that are gone although they were not released. A place is kept for them in the list, so
    // that whoever reads there learns of the loss.
    fn note_missing_front(&self, recovered: &mut Recovered) {
        let oldest = recovered
            .closed
            .first()
            .map(|segment| segment.identity.first);
        let waiting = recovered
            .superfluous
            .first()
            .map(|segment| segment.identity.first);
        let present = oldest.or(waiting).unwrap_or(recovered.next);
        let Some(released) = self.released.filter(|released| *released < present) else {
            return;
        };
        let lost = SegmentIdentity {
            first: released,
            epoch: 0,
        };
        let place = ClosedSegment {
            identity: lost,
            end: released,
            bytes: 0,
            frames: Some(Arc::new([])),
            damaged: false,
        };
        recovered.closed.insert(0, place);
        if oldest.is_none() {
            // With no other closed segment the gap ends where the next record goes.
            let reason = "all segments are missing";
            recovered
                .damage
                .push((lost, BLOCK_BYTES, released..present, reason));
        }
    }

    fn examine(&self, identity: SegmentIdentity) -> Result<Found, OpenError> {
        let file = self.disk.open(&self.directory.join(identity.file_name()))?;
        let mut header = [0; SegmentHeader::BYTES];
        file.read_full_at(&mut header, 0)?;
        let verdict = SegmentHeader::judge(&header, identity);
        if let HeaderVerdict::UnknownVersion(version) = verdict {
            return Err(OpenError::UnknownVersion {
                segment: identity.file_name(),
                version,
            });
        }
        let bytes = file.len()?;
        let seal = load_trailer(file.as_ref(), identity)?;
        if let Some(seal) = seal.filter(|_| verdict == HeaderVerdict::Valid) {
            let segment = ClosedSegment {
                identity,
                end: seal.end,
                bytes,
                frames: None,
                damaged: false,
            };
            return Ok(Found {
                segment,
                scan: None,
            });
        }
        self.scan(file.as_ref(), identity)
    }

    fn scan(&self, file: &dyn DiskFile, identity: SegmentIdentity) -> Result<Found, OpenError> {
        let scan = scan_segment(file, identity, self.planted)?;
        let frames: Arc<[FrameEntry]> = scan.frames.iter().map(|frame| frame.entry).collect();
        let damaged = !scan.gaps(identity).is_empty();
        let bytes = file.len()?;
        let segment = ClosedSegment {
            identity,
            end: scan.end,
            bytes,
            frames: Some(frames),
            damaged,
        };
        Ok(Found {
            segment,
            scan: Some(scan),
        })
    }

    // The seal of the last segment may be torn, so its table counts too; and it may be in the page cache only, as
    // its sync may have failed, unless the watermark says that it succeeded (R2).
    fn verify_seal(&self, last: &mut Found) -> Result<(), OpenError> {
        let identity = last.segment.identity;
        if last.scan.is_some() {
            return Ok(());
        }
        let file = self.disk.open(&self.directory.join(identity.file_name()))?;
        let trusted =
            self.watermark.sealed_end == last.segment.end || self.planted.trust_page_cache();
        if !trusted || load_seal(file.as_ref(), identity)?.is_none() {
            *last = self.scan(file.as_ref(), identity)?;
        }
        Ok(())
    }

    fn take_last(&self, last: Found, recovered: &mut Recovered) -> Result<(), OpenError> {
        let Found { mut segment, scan } = last;
        let identity = segment.identity;
        recovered.next = segment.end;
        let Some(scan) = scan else {
            self.note_lost_end(&segment, segment.bytes, recovered);
            recovered.closed.push(segment);
            return Ok(());
        };
        // Without a frame the header may be torn: it was never synced, and nothing was acknowledged.
        if !scan.frames.is_empty() {
            note_header(identity, &scan, recovered);
        }
        for gap in scan.gaps(identity) {
            let reason = "a later batch is whole, so this one was acknowledged";
            recovered
                .damage
                .push((identity, gap.offset, gap.first..gap.end, reason));
        }
        if let Some(torn) = scan.bad.iter().find(|frame| frame.first >= scan.end) {
            tracing::info!(
                log.segment = identity.file_name(),
                log.offset_bytes = torn.offset,
                log.first = torn.first,
                "the last batch of the event log is torn"
            );
        }
        segment.damaged |= self.note_lost_end(&segment, scan.end_offset, recovered);
        if scan.frames.is_empty() {
            recovered.superfluous.push(segment);
            return Ok(());
        }
        if self.planted.trust_page_cache() {
            recovered.closed.push(segment);
            return Ok(());
        }
        let copy = SegmentIdentity {
            first: identity.first,
            epoch: recovered.epoch,
        };
        let bytes = self
            .space
            .with_reserve(|| self.copy(identity, &scan.frames, copy));
        let bytes = bytes.map_err(|error| match error {
            DiskError::NoSpace { .. } => OpenError::NoSpace,
            error => OpenError::from_disk(&error),
        })?;
        reach(failpoints::RETIRE);
        recovered.closed.push(ClosedSegment {
            identity: copy,
            end: segment.end,
            bytes,
            frames: None,
            damaged: false,
        });
        retire(self.disk, self.directory, &segment)?;
        Ok(())
    }

    // The watermark knows of records that the last segment does not have: they were acknowledged.
    fn note_lost_end(&self, last: &ClosedSegment, offset: u64, recovered: &mut Recovered) -> bool {
        let lost = self.watermark.end > last.end && !self.planted.ignore_watermark();
        if lost {
            let reason = "acknowledged records are missing at the end of the log";
            recovered
                .damage
                .push((last.identity, offset, last.end..self.watermark.end, reason));
            recovered.next = self.watermark.end;
        }
        lost
    }

    // Copies the valid frames into a new file that is sealed and durable under its name when this returns.
    fn copy(
        &self,
        from: SegmentIdentity,
        frames: &[FrameHeader],
        to: SegmentIdentity,
    ) -> Result<u64, DiskError> {
        let source = self.disk.open(&self.directory.join(from.file_name()))?;
        let temporary = self
            .directory
            .join(format!("{}{RECOVERING}", to.file_name()));
        match self.disk.unlink(&temporary) {
            Ok(()) | Err(DiskError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let target = self.disk.create_new(&temporary)?;
        let header = SegmentHeader {
            identity: to,
            created_ms: self.now_ms,
        };
        target.write_all_at(&header.encode(), 0)?;
        let mut entries = Vec::with_capacity(frames.len());
        let mut offset = BLOCK_BYTES;
        for frame in frames {
            let payload_bytes = frame.entry.payload_bytes as usize;
            let mut bytes = vec![0; FRAME_HEADER_BYTES + payload_bytes];
            source.read_full_at(&mut bytes, frame.entry.offset)?;
            let payload_crc = crc32c::crc32c(&bytes[FRAME_HEADER_BYTES..]);
            if payload_crc != frame.entry.payload_crc && !self.planted.crc_unchecked() {
                let reason = "two reads of the same bytes differ".to_owned();
                let path = self.directory.join(from.file_name());
                return Err(DiskError::Failed {
                    operation: "read",
                    path,
                    reason,
                });
            }
            let entry = FrameEntry {
                offset,
                payload_crc,
                ..frame.entry
            };
            let copied = FrameHeader {
                entry,
                accepted_ms: frame.accepted_ms,
            };
            bytes[..FRAME_HEADER_BYTES].copy_from_slice(&copied.encode(to));
            bytes.resize(
                usize::try_from(align(bytes.len() as u64)).unwrap_or(bytes.len()),
                0,
            );
            target.write_all_at(&bytes, offset)?;
            offset = entry.end_offset();
            entries.push(entry);
        }
        let end = entries.last().map_or(to.first, FrameEntry::end);
        target.write_all_at(&Seal::encode(&header, &entries, offset, end), offset)?;
        target.fdatasync()?;
        reach(failpoints::RECOVER);
        self.disk
            .rename(&temporary, &self.directory.join(to.file_name()))?;
        if !self.planted.no_directory_sync() {
            self.disk.sync_dir(self.directory)?;
        }
        target.len()
    }
}

/// Removes a segment's file, durably; one that is damaged is kept in the quarantine folder.
pub(crate) fn retire(
    disk: &dyn Disk,
    directory: &Path,
    segment: &ClosedSegment,
) -> Result<(), DiskError> {
    let name = segment.identity.file_name();
    let path = directory.join(&name);
    let removed = if segment.damaged {
        let quarantine = directory.join(QUARANTINE);
        disk.create_dir_all(&quarantine)?;
        disk.rename(&path, &quarantine.join(&name))
            .and_then(|()| disk.sync_dir(&quarantine))
    } else {
        disk.unlink(&path)
    };
    match removed {
        Ok(()) => disk.sync_dir(directory),
        Err(DiskError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

// Two files with the same first record: a copy and its source, or a segment that never got a record and its
// successor. The one that says more stays, and of equals the newer.
fn drop_doubles(found: Vec<Found>, superfluous: &mut Vec<ClosedSegment>) -> Vec<Found> {
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    for found in found {
        match kept.last_mut() {
            Some(last) if last.segment.identity.first == found.segment.identity.first => {
                let better = found.segment.end >= last.segment.end;
                let loser = if better {
                    std::mem::replace(last, found)
                } else {
                    found
                };
                superfluous.push(loser.segment);
            }
            _ => kept.push(found),
        }
    }
    kept
}

// Every segment but the last was sealed before the next began, so a missing seal is damage. Its frames are
// still good, each by its own checksum.
fn note_unsealed(found: &Found, recovered: &mut Recovered) {
    let Some(scan) = &found.scan else { return };
    let ClosedSegment {
        identity,
        end,
        bytes,
        ..
    } = found.segment;
    note_header(identity, scan, recovered);
    recovered
        .damage
        .push((identity, bytes, end..end, "the seal is missing or damaged"));
    for gap in scan.gaps(identity) {
        let reason = "a batch in the middle of the log is damaged";
        recovered
            .damage
            .push((identity, gap.offset, gap.first..gap.end, reason));
    }
}

// The header repeats what the name says, so no record depends on it; but somebody has written here.
fn note_header(identity: SegmentIdentity, scan: &Scan, recovered: &mut Recovered) {
    if scan.header == HeaderVerdict::Damaged {
        let nothing = identity.first..identity.first;
        recovered
            .damage
            .push((identity, 0, nothing, "the header is damaged"));
    }
}

// Sequences that no segment holds although a later one exists.
fn note_missing(recovered: &mut Recovered) {
    for pair in recovered.closed.windows(2) {
        let [older, newer] = pair else { continue };
        if older.end < newer.identity.first {
            let missing = older.end..newer.identity.first;
            let reason = "records between two segments are missing";
            recovered
                .damage
                .push((older.identity, older.bytes, missing, reason));
        }
    }
}
