//! The embedded event log: segments of frames in one folder, one writer, any number of readers. See
//! docs/formats/event-log.md for the bytes and for what each rule of durability rests on.

use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use cairn_model::{PartitionId, Sequence};
use cairn_platform::{Clock, Disk};
use tokio::sync::watch;

use crate::cache::Recent;
use crate::format::{encode_records, encoded_bytes};
use crate::queue::{Pending, Queue};
use crate::reader::FileReader;
use crate::recovery::{Recovered, Recovery, retire};
use crate::release::{Readers, Releases};
use crate::sabotage::Planted;
use crate::segments::Segments;
use crate::space::Space;
use crate::watermark::{self, WatermarkFile};
use crate::writer::{Shared, Writer, frame_bytes};
use crate::{
    AppendError, EventLog, LogRecord, LogStatus, NewRecord, OpenError, ReadError, ReaderName,
    ScrubReport, SegmentedLogConfig,
};

/// The event log of a single machine. It has one partition, number 0; asking for another is a programming
/// error and panics.
///
/// Dropping it stops the writer without sealing: recovery at the next opening does the rest. `close` first
/// for a clean end.
#[derive(Debug)]
pub struct SegmentedLog {
    shared: Arc<Shared>,
    readers: Readers,
    releases: Arc<Releases>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SegmentedLog {
    /// Opens the log in its folder, recovering what a crash left, and starts its writer.
    pub fn open(
        config: SegmentedLogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        Self::start(Self::open_files(config, disk, clock, Planted::default())?)
    }

    /// Opens the log without threads: its writer works when the `Stepper` says so. For simulations, which
    /// must be able to repeat a run.
    pub fn open_stepped(
        config: SegmentedLogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Stepper), OpenError> {
        Self::open_files(config, disk, clock, Planted::default())
    }

    /// `open_stepped` with a planted bug, for proving that the tests catch it.
    #[cfg(feature = "sabotage")]
    pub fn open_stepped_sabotaged(
        config: SegmentedLogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        bug: crate::Sabotage,
    ) -> Result<(Arc<Self>, Stepper), OpenError> {
        Self::open_files(config, disk, clock, Planted::with(bug))
    }

    /// `open` with a planted bug, for proving that the tests catch it.
    #[cfg(feature = "sabotage")]
    pub fn open_sabotaged(
        config: SegmentedLogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        bug: crate::Sabotage,
    ) -> Result<Arc<Self>, OpenError> {
        Self::start(Self::open_files(config, disk, clock, Planted::with(bug))?)
    }

    fn start((log, stepper): (Arc<Self>, Stepper)) -> Result<Arc<Self>, OpenError> {
        let Stepper {
            writer,
            releases,
            shared,
        } = stepper;
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(|error| OpenError::Disk {
                    reason: format!("the thread {name} did not start: {error}"),
                })
        };
        let mut threads = Vec::new();
        if let Some(writer) = writer {
            threads.push(spawn("eventlog-writer", Box::new(move || writer.run()))?);
        }
        threads.push(spawn(
            "eventlog-release",
            Box::new(move || releases.run(&shared)),
        )?);
        *log.threads.lock().expect("no holder of this lock panics") = threads;
        Ok(log)
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the log keeps a share of each"
    )]
    fn open_files(
        config: SegmentedLogConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        planted: Planted,
    ) -> Result<(Arc<Self>, Stepper), OpenError> {
        config.check()?;
        disk.create_dir_all(&config.directory)?;
        // One writer: the lock keeps a second process out, the epoch keeps its files apart (R7).
        let lock = disk.lock(&config.directory.join("lock"))?;
        let space = Space::new(&config, Arc::clone(&disk));
        let open_witness = |name| {
            space.with_reserve(|| WatermarkFile::open(disk.as_ref(), &config.directory, name))
        };
        let watermark = open_witness(watermark::END)?;
        let released = open_witness(watermark::START)?;
        let recovery = Recovery {
            disk: disk.as_ref(),
            directory: &config.directory,
            space: &space,
            watermark: watermark.found().unwrap_or_default(),
            released: released.found().map(|found| found.end),
            now_ms: clock.now_ms(),
            planted,
        };
        let Recovered {
            closed,
            next,
            epoch,
            damage,
            superfluous,
        } = recovery.run()?;
        let segments = Segments::new(&config.directory, closed);
        let files = FileReader::new(Arc::clone(&disk), segments, planted);
        for (segment, offset, sequences, reason) in damage {
            files.note(segment, offset, sequences, reason);
        }
        let shared = Arc::new(Shared {
            queue: Queue::new(config.queue_bytes_max),
            recent: Recent::new(config.cache_bytes_max),
            files,
            durable_end: watch::Sender::new(next),
            no_space: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
            config,
            clock,
        });
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            disk: Arc::clone(&disk),
            space,
            watermark,
            epoch,
            next,
            active: None,
            _lock: lock,
        };
        writer
            .prepare()
            .map_err(|reason| OpenError::Disk { reason })?;
        // Without a new active segment, for lack of room, an old empty one is what remembers the sequence.
        if writer.active.is_some() {
            for segment in &superfluous {
                retire(disk.as_ref(), &shared.config.directory, segment)?;
            }
        }
        Ok(Self::assemble(shared, writer, released))
    }

    fn assemble(
        shared: Arc<Shared>,
        writer: Writer,
        released: WatermarkFile,
    ) -> (Arc<Self>, Stepper) {
        let releases = Arc::new(Releases::new(released));
        let log = Self {
            shared: Arc::clone(&shared),
            readers: Readers::default(),
            releases: Arc::clone(&releases),
            threads: Mutex::default(),
        };
        (
            Arc::new(log),
            Stepper {
                writer: Some(writer),
                releases,
                shared,
            },
        )
    }

    /// What the log tells about itself.
    pub fn status(&self) -> LogStatus {
        let shared = &self.shared;
        let end = *shared.durable_end.borrow();
        let list = shared.files.segments.lock();
        let (bytes, segments, start) = (list.bytes(), list.count(), list.start(end));
        drop(list);
        LogStatus {
            bytes,
            segments,
            queue_bytes: shared.queue.bytes(),
            cache_bytes: shared.recent.bytes(),
            start: Sequence(start),
            end: Sequence(end),
            no_space: *shared.no_space.borrow() && self.lacks_room(0),
            poisoned: shared.queue.poisoned(),
            readers: self.readers.list(),
            damage: shared.files.damage(),
        }
    }

    /// Whether a batch of `bytes` would be taken now, as far as can be told without appending it. Callers ask
    /// before they do what cannot be undone if its record finds no room.
    pub fn check_room(&self, bytes: usize) -> Result<(), AppendError> {
        let Shared { config, queue, .. } = &*self.shared;
        if let Some(reason) = queue.poisoned() {
            return Err(AppendError::Poisoned { reason });
        }
        if self.lacks_room(bytes) {
            return Err(AppendError::RefusedNoSpace);
        }
        if bytes > config.queue_bytes_max.saturating_sub(queue.bytes()) {
            return Err(AppendError::RefusedBusy);
        }
        Ok(())
    }

    // What the disk says now: the last append may have found no room long ago, and there may be no other before
    // somebody believes that there is. After such an append there must be room to reserve for the next ones too.
    fn lacks_room(&self, bytes: usize) -> bool {
        let Shared { config, files, .. } = &*self.shared;
        let mut needed = config.free_bytes_min.saturating_add(frame_bytes(bytes));
        if *self.shared.no_space.borrow() {
            needed = needed.saturating_add(config.preallocate_bytes);
        }
        let free = files.disk.free_bytes(&config.directory);
        free.unwrap_or(u64::MAX) < needed
    }

    /// Completes with the reason once the log is poisoned: the process must then exit, and the restart
    /// recovers (R2).
    pub fn poisoned(&self) -> impl Future<Output = String> + Send + use<> {
        let mut poison = self.shared.queue.watch_poison();
        async move {
            match poison
                .wait_for(Option::is_some)
                .await
                .map(|reason| reason.clone())
            {
                Ok(Some(reason)) => reason,
                // The log was dropped without ever being poisoned.
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Takes no more batches, writes those that wait, seals the active segment and stops the writer.
    pub async fn close(&self) {
        self.shared.queue.close();
        let mut stopped = self.shared.stopped.subscribe();
        // The sender lives as long as this log.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        self.releases.stop();
    }

    /// Reads every sealed segment from first to last byte and compares it with its checksums (R6).
    pub async fn scrub(&self) -> ScrubReport {
        let shared = Arc::clone(&self.shared);
        // A runtime that is shutting down takes no more work: nothing was checked then.
        tokio::task::spawn_blocking(move || shared.files.scrub())
            .await
            .unwrap_or_default()
    }
}

#[async_trait]
impl EventLog for SegmentedLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError> {
        check_partition(partition);
        let end = self.durable_end(partition);
        if records.is_empty() {
            return Ok(end..end);
        }
        let config = &self.shared.config;
        let record_bytes =
            |record: &NewRecord| record.header.len() + record.body.len() + record.context.len();
        let largest = records.iter().map(record_bytes).max().unwrap_or(0);
        if largest > config.record_bytes_max {
            return Err(AppendError::RefusedTooLarge { bytes: largest });
        }
        let bytes = encoded_bytes(&records);
        let count = u32::try_from(records.len())
            .ok()
            .filter(|_| bytes <= config.batch_bytes_max);
        let Some(count) = count else {
            return Err(AppendError::RefusedTooLarge { bytes });
        };
        self.shared.queue.admit(bytes)?;
        let (pending, answer) = Pending::new(encode_records(&records), count);
        drop(records);
        self.shared.queue.push(pending);
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(match self.shared.queue.poisoned() {
                Some(reason) => AppendError::Poisoned { reason },
                None => AppendError::Closed,
            }),
        }
    }

    fn durable_end(&self, partition: PartitionId) -> Sequence {
        check_partition(partition);
        Sequence(*self.shared.durable_end.borrow())
    }

    fn start(&self, partition: PartitionId) -> Sequence {
        let end = self.durable_end(partition).0;
        Sequence(self.shared.files.segments.lock().start(end))
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        let end = self.durable_end(partition);
        if from >= end {
            return Ok(Vec::new());
        }
        let start = self.start(partition);
        if from < start {
            return Err(ReadError::Released { start });
        }
        if let Some(records) = self.shared.recent.read(from.0, end.0, bytes_max) {
            return Ok(records);
        }
        let shared = Arc::clone(&self.shared);
        let read = move || shared.files.read(from.0, end.0, bytes_max);
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|error| {
                let (segment, reason) = (String::new(), error.to_string());
                Err(ReadError::Disk { segment, reason })
            })
    }

    async fn wait_beyond(&self, partition: PartitionId, position: Sequence) {
        check_partition(partition);
        let mut end = self.shared.durable_end.subscribe();
        // The sender lives as long as this log.
        let _ = end.wait_for(|end| *end > position.0).await;
    }

    fn advance_reader(&self, partition: PartitionId, reader: ReaderName, position: Sequence) {
        let end = self.durable_end(partition);
        if position > end {
            // The reader's durable position is a witness: the log has lost acknowledged records, and the
            // next ones would get sequences that the reader believes it has seen (R4).
            let reason = format!(
                "reader {reader} is at {position}, but the log ends at {end}: records are lost"
            );
            self.shared.queue.poison(&reason);
            return;
        }
        let expected = &self.shared.config.expected_readers;
        let passed = self.readers.advance(reader, position.0, expected);
        let planted = self.shared.files.planted.release_early();
        let passed = if planted { Some(position.0) } else { passed };
        if let Some(passed) = passed {
            let released = self.shared.files.segments.lock().take_released(passed);
            self.releases.push(released);
        }
    }
}

impl Drop for SegmentedLog {
    fn drop(&mut self) {
        self.shared.queue.abandon();
        self.releases.stop();
        let threads = std::mem::take(&mut *self.threads.lock().expect("no holder panics"));
        for thread in threads {
            // A thread that panicked has poisoned the log, which whoever cared has seen.
            let _ = thread.join();
        }
    }
}

/// Runs a log's writer step by step, for simulations.
#[derive(Debug)]
pub struct Stepper {
    writer: Option<Writer>,
    releases: Arc<Releases>,
    shared: Arc<Shared>,
}

impl Stepper {
    /// Commits the batches that wait as one group, or closes the log if it is closing. False if there
    /// was nothing to do.
    pub fn step(&mut self) -> bool {
        let Some(writer) = &mut self.writer else {
            return false;
        };
        let Some(work) = self
            .shared
            .queue
            .work_now(self.shared.config.frame_bytes_max)
        else {
            return false;
        };
        if !writer.work_on(work) {
            self.writer = None;
            self.shared.stopped.send_replace(true);
        }
        true
    }

    /// Removes the files of released segments.
    pub fn release(&self) {
        self.releases.run_once(&self.shared);
    }
}

fn check_partition(partition: PartitionId) {
    assert_eq!(
        partition,
        PartitionId(0),
        "the embedded log has one partition"
    );
}
