//! The one writer of the log: takes groups of batches from the queue, writes each as one frame, syncs, and only
//! then tells those who wait (R1). It runs on a thread of its own, because it spends its life in system
//! calls that block.

use std::io::IoSlice;
use std::sync::Arc;

use cairn_model::Sequence;
use cairn_platform::{Clock, Disk, DiskError, DiskFile, DiskLock};
use tokio::sync::watch;

use crate::cache::{CachedPiece, Recent};
use crate::failpoints::{self, reach};
use crate::format::{
    BLOCK_BYTES, FRAME_HEADER_BYTES, FrameEntry, FrameHeader, Seal, SegmentHeader, SegmentIdentity,
    align,
};
use crate::queue::{Pending, Queue, Work};
use crate::reader::FileReader;
use crate::segments::{ActiveFrames, ClosedSegment};
use crate::space::Space;
use crate::watermark::WatermarkFile;
use crate::{AppendError, SegmentedLogConfig};

const PADDING: [u8; 4096] = [0; 4096];
const _: () = assert!(PADDING.len() as u64 == BLOCK_BYTES);

/// What the writer shares with those who append and read.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SegmentedLogConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Queue,
    pub(crate) recent: Recent,
    pub(crate) files: FileReader,
    pub(crate) durable_end: watch::Sender<u64>,
    pub(crate) no_space: watch::Sender<bool>,
    pub(crate) stopped: watch::Sender<bool>,
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) space: Space,
    pub(crate) watermark: WatermarkFile,
    pub(crate) epoch: u64,
    pub(crate) next: u64,
    pub(crate) active: Option<ActiveFile>,
    // Released when the writer is gone: nothing more is written then (R7).
    pub(crate) _lock: Box<dyn DiskLock>,
}

#[derive(Debug)]
pub(crate) struct ActiveFile {
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    /// Where the next frame goes: everything before is acknowledged and never written again (R3).
    offset: u64,
    allocated: u64,
}

// Why a group was not written.
#[derive(Debug)]
enum Failure {
    /// Lack of space before any sync: the group is refused, the log goes on (R2, C6).
    NoSpace,
    /// Anything else: nobody knows what the disk holds now (R2).
    Fatal(String),
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::NoSpace { .. } => Self::NoSpace,
            error => Self::Fatal(error.to_string()),
        }
    }
}

impl Writer {
    /// Works until the log is closed, dropped or poisoned.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _guard = PoisonOnPanic {
            shared: Arc::clone(&shared),
        };
        while self.work_on(shared.queue.wait_for_work(shared.config.frame_bytes_max)) {}
        drop(self);
        shared.stopped.send_replace(true);
    }

    /// Does one piece of work; false if it was the last.
    pub(crate) fn work_on(&mut self, work: Work) -> bool {
        match work {
            Work::Commit(group) => {
                self.commit(group);
                true
            }
            Work::Close => {
                self.close();
                false
            }
            Work::Stop => false,
        }
    }

    /// Makes sure that there is an active segment with room for one frame. Without room on the disk there may be
    /// none: then appends are refused until there is.
    pub(crate) fn prepare(&mut self) -> Result<(), String> {
        self.space.keep_reserve();
        match self.make_room(BLOCK_BYTES) {
            Ok(()) | Err(Failure::NoSpace) => Ok(()),
            Err(Failure::Fatal(reason)) => Err(reason),
        }
    }

    fn commit(&mut self, group: Vec<Pending>) {
        let payload_bytes: usize = group.iter().map(|pending| pending.piece.len()).sum();
        let planted = self.shared.files.planted;
        if planted.ack_before_sync() {
            return self.commit_unsafely(group, payload_bytes);
        }
        let written = self.write(&group, payload_bytes);
        if let Ok(frame) = &written {
            self.publish(&group, frame);
        }
        self.shared
            .no_space
            .send_replace(matches!(written, Err(Failure::NoSpace)));
        if let Err(Failure::Fatal(reason)) = &written {
            self.shared.queue.poison(reason);
        }
        self.shared.queue.release(payload_bytes);
        answer(group, self.next, &written);
    }

    // The planted bug: whoever waits is told before the disk has answered.
    fn commit_unsafely(&mut self, group: Vec<Pending>, payload_bytes: usize) {
        let written = self.make_room(frame_bytes(payload_bytes)).and_then(|()| {
            let frame = self.write_frame(&group, payload_bytes)?;
            self.settle(&frame);
            Ok(frame)
        });
        if let Ok(frame) = &written {
            self.publish(&group, frame);
        }
        self.shared.queue.release(payload_bytes);
        answer(group, self.next, &written);
    }

    fn write(&mut self, group: &[Pending], payload_bytes: usize) -> Result<FrameHeader, Failure> {
        self.make_room(frame_bytes(payload_bytes))?;
        reach(failpoints::WRITE);
        let frame = self.write_frame(group, payload_bytes)?;
        reach(failpoints::SYNC);
        self.sync_active()?;
        self.settle(&frame);
        reach(failpoints::ACK);
        Ok(frame)
    }

    // After this the active segment exists and has allocated room for a frame of that many bytes.
    fn make_room(&mut self, frame_bytes: u64) -> Result<(), Failure> {
        if !self.space.has_room_for(frame_bytes) {
            return Err(Failure::NoSpace);
        }
        let segment_bytes_max = self.shared.config.segment_bytes_max;
        let full = self.active.as_ref().is_some_and(|active| {
            active.offset > BLOCK_BYTES && active.offset + frame_bytes > segment_bytes_max
        });
        if full {
            self.seal()?;
            reach(failpoints::ROLL);
            self.space.keep_reserve();
        }
        if self.active.is_none() {
            self.active = Some(self.create_segment()?);
        }
        let active = self.active.as_mut().expect("it was created above");
        let needed = active.offset + frame_bytes;
        if needed > active.allocated {
            let step = (active.allocated + self.shared.config.preallocate_bytes)
                .min(segment_bytes_max)
                .max(needed);
            active.file.preallocate(step)?;
            active.allocated = step;
            if let Some(frames) = &mut self.shared.files.segments.lock().active {
                frames.bytes = step;
            }
        }
        Ok(())
    }

    // One write call for header, pieces and padding. The bytes go where no acknowledged byte is, so a write that
    // fails half done leaves nothing but a torn tail.
    fn write_frame(&self, group: &[Pending], payload_bytes: usize) -> Result<FrameHeader, Failure> {
        let active = self.active.as_ref().expect("make_room creates it");
        let payload_crc = group.iter().fold(0, |crc, pending| {
            crc32c::crc32c_combine(crc, pending.piece_crc, pending.piece.len())
        });
        let entry = FrameEntry {
            offset: active.offset,
            first: self.next,
            count: group.iter().map(|pending| pending.count).sum(),
            payload_bytes: u32::try_from(payload_bytes).expect("the config limits a frame's size"),
            payload_crc,
        };
        let frame = FrameHeader {
            entry,
            accepted_ms: self.shared.clock.now_ms(),
        };
        let header = frame.encode(active.header.identity);
        let padding = frame_bytes(payload_bytes) - (header.len() + payload_bytes) as u64;
        let padding = usize::try_from(padding).expect("padding is less than a block");
        let mut slices = Vec::with_capacity(group.len() + 2);
        slices.push(IoSlice::new(&header));
        slices.extend(group.iter().map(|pending| IoSlice::new(&pending.piece)));
        slices.push(IoSlice::new(&PADDING[..padding]));
        active
            .file
            .write_all_vectored_at(&mut slices, active.offset)?;
        Ok(frame)
    }

    fn sync_active(&self) -> Result<(), Failure> {
        let active = self.active.as_ref().expect("make_room creates it");
        let synced = active.file.fdatasync();
        if synced.is_err() && self.shared.files.planted.retry_fsync() {
            return active.file.fdatasync().map_err(fatal);
        }
        // Even lack of space is fatal here: the pages that found no room are lost (R2).
        synced.map_err(fatal)
    }

    fn settle(&mut self, frame: &FrameHeader) {
        let active = self.active.as_mut().expect("a frame was written to it");
        active.offset = frame.entry.end_offset();
        self.next = frame.entry.end();
        // The watermark is a second witness. If the disk refuses it, the frames themselves still testify.
        if let Err(error) = self.watermark.write_end(self.next) {
            tracing::warn!(error = %error, "the event log's watermark was not written");
        }
    }

    // Readers may see the records from here on: first where they are, then that they are.
    fn publish(&self, group: &[Pending], frame: &FrameHeader) {
        let mut first = frame.entry.first;
        self.shared.recent.push(group.iter().map(|pending| {
            let piece = CachedPiece {
                first,
                accepted_ms: frame.accepted_ms,
                piece: pending.piece.clone(),
            };
            first += u64::from(pending.count);
            piece
        }));
        if let Some(active) = &mut self.shared.files.segments.lock().active {
            active.frames.push(frame.entry);
        }
        self.shared.durable_end.send_replace(frame.entry.end());
    }

    // Writes table and trailer after the last frame; from then on the file never changes (R6).
    fn seal(&mut self) -> Result<(), Failure> {
        let Some(active) = &self.active else {
            return Ok(());
        };
        let frames = match &self.shared.files.segments.lock().active {
            Some(active) => active.frames.clone(),
            None => Vec::new(),
        };
        let seal = Seal::encode(&active.header, &frames, active.offset, self.next);
        let bytes = active.offset + seal.len() as u64;
        self.space
            .with_reserve(|| active.file.write_all_at(&seal, active.offset))?;
        active.file.set_len(bytes)?;
        active.file.fdatasync().map_err(fatal)?;
        self.watermark.write_durable(self.next).map_err(fatal)?;
        let identity = active.header.identity;
        let mut list = self.shared.files.segments.lock();
        let (end, frames) = (self.next, frames.into());
        list.remember(identity, &frames);
        list.active = None;
        let sealed = ClosedSegment {
            identity,
            end,
            bytes,
            frames: None,
            damaged: false,
        };
        list.closed.push_back(sealed);
        drop(list);
        self.active = None;
        Ok(())
    }

    // The file, its first block and its name are durable before the first acknowledgement in it (R1).
    fn create_segment(&mut self) -> Result<ActiveFile, Failure> {
        let identity = SegmentIdentity {
            first: self.next,
            epoch: self.epoch,
        };
        let path = self.shared.files.segments.path(identity);
        let header = SegmentHeader {
            identity,
            created_ms: self.shared.clock.now_ms(),
        };
        let file = self.disk.create_new(&path)?;
        let config = &self.shared.config;
        let allocated = config
            .preallocate_bytes
            .min(config.segment_bytes_max)
            .max(BLOCK_BYTES);
        let written = file
            .preallocate(allocated)
            .and_then(|()| file.write_all_at(&header.encode(), 0));
        if let Err(error) = written {
            // Nothing is in it, and the next attempt needs the name.
            self.disk.unlink(&path).map_err(fatal)?;
            return Err(error.into());
        }
        file.fdatasync().map_err(fatal)?;
        if !self.shared.files.planted.no_directory_sync() {
            self.disk.sync_dir(&config.directory).map_err(fatal)?;
        }
        let active = ActiveFrames {
            identity,
            frames: Vec::new(),
            bytes: allocated,
        };
        self.shared.files.segments.lock().active = Some(active);
        Ok(ActiveFile {
            file,
            header,
            offset: BLOCK_BYTES,
            allocated,
        })
    }

    // A clean end: what follows a seal needs no recovery. An empty segment stays as it is.
    fn close(&mut self) {
        let empty = self
            .active
            .as_ref()
            .is_none_or(|active| active.offset == BLOCK_BYTES);
        let sealed = if empty { Ok(()) } else { self.seal() };
        match sealed {
            Ok(()) => {}
            Err(Failure::NoSpace) => {
                tracing::warn!("the event log had no room to seal its last segment");
            }
            Err(Failure::Fatal(reason)) => self.shared.queue.poison(&reason),
        }
    }
}

fn answer(group: Vec<Pending>, end: u64, written: &Result<FrameHeader, Failure>) {
    let count: u64 = group.iter().map(|pending| u64::from(pending.count)).sum();
    let mut first = end - count.min(end);
    for pending in group {
        let next = first + u64::from(pending.count);
        pending.answer(match written {
            Ok(_) => Ok(Sequence(first)..Sequence(next)),
            Err(Failure::NoSpace) => Err(AppendError::RefusedNoSpace),
            Err(Failure::Fatal(reason)) => Err(AppendError::Poisoned {
                reason: reason.clone(),
            }),
        });
        first = next;
    }
}

pub(crate) fn frame_bytes(payload_bytes: usize) -> u64 {
    align((FRAME_HEADER_BYTES + payload_bytes) as u64)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn fatal(error: DiskError) -> Failure {
    Failure::Fatal(error.to_string())
}

// A writer that panics must not leave anybody waiting for an answer that never comes.
#[derive(Debug)]
struct PoisonOnPanic {
    shared: Arc<Shared>,
}

impl Drop for PoisonOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared
                .queue
                .poison("the writer of the event log panicked");
            self.shared.stopped.send_replace(true);
        }
    }
}
