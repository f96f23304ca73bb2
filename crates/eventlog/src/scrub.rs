//! Verifies sealed segments at leisure (R6), and inspects single segment files for operators and fuzzers.

use bytes::Bytes;
use cairn_model::Sequence;
use cairn_platform::{DiskError, DiskFile};

use crate::format::{BLOCK_BYTES, RecordSelection, SegmentIdentity, decode_records};
use crate::reader::{FileReader, load_seal};
use crate::sabotage::Planted;
use crate::scan::scan_segment;
use crate::segments::ClosedSegment;
use crate::{LogRecord, ScrubReport};

impl FileReader {
    /// Reads every closed segment. Damage is noted as if a reader had met it.
    pub(crate) fn scrub(&self) -> ScrubReport {
        let segments: Vec<ClosedSegment> = self.segments.lock().closed.iter().cloned().collect();
        let mut report = ScrubReport::default();
        for segment in segments {
            match self.scrub_segment(&segment) {
                Ok(()) => {
                    report.segments += 1;
                    report.bytes += segment.bytes;
                }
                // Released while the others were read.
                Err(DiskError::NotFound { .. }) if !self.lists(segment.identity) => {}
                Err(_) => {
                    let sequences = segment.identity.first..segment.end;
                    self.note(segment.identity, 0, sequences, "the file cannot be read");
                }
            }
        }
        report.damage = self.damage();
        report
    }

    fn scrub_segment(&self, segment: &ClosedSegment) -> Result<(), DiskError> {
        let identity = segment.identity;
        let file = self.disk.open(&self.segments.path(identity))?;
        let sealed = load_seal(file.as_ref(), identity)?;
        let scan = scan_segment(file.as_ref(), identity, self.planted)?;
        if sealed.is_none() && segment.frames.is_none() {
            let nothing = segment.end..segment.end;
            self.note(identity, segment.bytes, nothing, "the seal is damaged");
        }
        let mut expected = identity.first;
        let mut offset = BLOCK_BYTES;
        for frame in scan.frames.iter().map(|frame| frame.entry) {
            if frame.first > expected {
                let missing = expected..frame.first;
                self.note(identity, offset, missing, "a frame is damaged");
            }
            (expected, offset) = (frame.end(), frame.end_offset());
        }
        if expected < segment.end {
            self.note(
                identity,
                offset,
                expected..segment.end,
                "a frame is damaged",
            );
        }
        Ok(())
    }

    fn lists(&self, identity: SegmentIdentity) -> bool {
        self.segments
            .lock()
            .closed
            .iter()
            .any(|segment| segment.identity == identity)
    }
}

/// What a segment file holds, as far as its own bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInspection {
    /// The seal is there and matches.
    pub sealed: bool,
    /// Frames whose header and payload match their checksums.
    pub frames: usize,
    /// Frames whose header matches and whose payload does not.
    pub damaged_frames: usize,
    /// The sequence after the last valid frame.
    pub end: Sequence,
}

/// Inspects the file of the segment `name`. `None` if that is no segment's name.
pub fn inspect_segment(
    file: &dyn DiskFile,
    name: &str,
) -> Result<Option<SegmentInspection>, DiskError> {
    let Some(identity) = SegmentIdentity::from_file_name(name) else {
        return Ok(None);
    };
    let sealed = load_seal(file, identity)?.is_some();
    let scan = scan_segment(file, identity, Planted::default())?;
    Ok(Some(SegmentInspection {
        sealed,
        frames: scan.frames.len(),
        damaged_frames: scan.bad.len(),
        end: Sequence(scan.end),
    }))
}

/// The records of a frame's payload whose first record is `first`; `None` if it is malformed.
pub fn decode_payload(payload: &Bytes, first: Sequence) -> Option<Vec<LogRecord>> {
    let mut selection = RecordSelection::new(first.0, usize::MAX);
    decode_records(payload, first.0..u64::MAX, 0, &mut selection)?;
    Some(selection.records)
}
