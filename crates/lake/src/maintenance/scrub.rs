//! The scrub: what the tables refer to is read from time to time and compared with its checksums, so that
//! damage is known while a backup may still hold the object, and not only when a lookup needs it (C5). It
//! tells what it finds and changes nothing. A pass over all objects goes on over many rounds.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cairn_platform::Entropy;

use super::{DamagedObjects, Maintenance};
use crate::error::LakeError;
use crate::names;
use crate::objects::{ObjectError, Objects};
use crate::stored_file::read;
use crate::sums::{BlockSums, mismatch};
use crate::table::{TableVersion, stored_key};
use crate::view::ReadView;

/// Bytes that are in memory at once, beside the tail of a data file.
const PART_BYTES: u64 = 4 * 1024 * 1024;
/// A round begins no part after this time, so that the other work gets its turn on a slow disk as well.
const ROUND_TIME_MAX: Duration = Duration::from_secs(2);

/// How far the pass over the tables has come. A process that starts begins a new one.
#[derive(Debug, Default)]
pub(super) struct Scrub {
    /// When the newest pass began, by the monotonic clock.
    began: Option<Duration>,
    /// What it has still to read. The first one may be half read.
    waiting: VecDeque<Piece>,
    objects: u64,
    bytes: u64,
}

/// An object to compare.
#[derive(Debug)]
struct Piece {
    key: String,
    check: Check,
    /// The bytes before this have been compared.
    at: u64,
    /// True after a read that failed: the object is tried once more, after all others.
    postponed: bool,
}

/// How an object is compared.
#[derive(Debug)]
enum Check {
    /// As a whole with the checksum in its name: metadata files and manifest lists, which are small.
    Whole,
    /// From first to last byte with one checksum: manifests and hot objects.
    Running {
        bytes: u64,
        checksum: u32,
        so_far: u32,
    },
    /// Block by block: data files. Their tail, which holds the blocks' checksums, comes first.
    Blocks {
        bytes: u64,
        checksum: u32,
        sums: Option<Arc<BlockSums>>,
    },
}

/// What was compared of a piece.
#[derive(Clone, Copy, Debug)]
struct Part {
    bytes: u64,
    is_last: bool,
}

/// What the tables refer to at one point.
#[derive(Debug, Default)]
struct Referred {
    /// Metadata and hot objects. Most of them are soon replaced, so they come first.
    short_lived: Vec<Piece>,
    data_files: Vec<Piece>,
    /// Objects of earlier builds, which have no checksum.
    without_checksum: u64,
    /// Keep all of it in place.
    views: Vec<Arc<ReadView>>,
}

impl Maintenance {
    /// Goes on with the pass, or begins the next if it is due. While the tables lag behind the log, all that
    /// the disk and the processors have to give belongs to them.
    pub(super) async fn scrub(
        &self,
        scrub: &mut Scrub,
        damaged: &mut DamagedObjects,
    ) -> Result<(), LakeError> {
        let shared = &self.shared;
        let clock = &shared.workshop.clock;
        let now = clock.monotonic();
        let interval = Duration::from_millis(shared.config.scrub_interval_ms);
        if interval.is_zero() || !scrub.has_work(now, interval) || shared.workers.are_behind() {
            return Ok(());
        }
        let referred = self.referred().await?;
        if scrub.waiting.is_empty() {
            shared
                .counters
                .set_scrub_passed_over(referred.without_checksum);
        }
        let _in_place = scrub.take(referred, now, shared.workshop.entropy.as_ref());
        let mut left = shared.config.scrub_bytes_max;
        let mut outcome = Ok(());
        while left > 0 && outcome.is_ok() && !shared.workers.are_behind() {
            let Some(piece) = scrub.waiting.front_mut() else {
                break;
            };
            match self.compare_part(piece, left.min(PART_BYTES)).await {
                Ok(part) => {
                    left = left.saturating_sub(part.bytes);
                    shared.counters.add_scrubbed_bytes(part.bytes);
                    if part.is_last {
                        shared.counters.add_scrubbed_object();
                    }
                    scrub.note(part);
                }
                Err(error @ LakeError::Damaged { .. }) => {
                    damaged.note(&shared.counters, &error);
                    scrub.waiting.pop_front();
                }
                // The disk may have a bad hour: the next round goes on with the next object.
                Err(error) => {
                    scrub.postpone();
                    outcome = Err(error);
                }
            }
            if clock.monotonic() >= now + ROUND_TIME_MAX {
                break;
            }
        }
        if scrub.waiting.is_empty() {
            shared.counters.set_scrub_finished(clock.now_ms());
            let (objects, bytes) = (scrub.objects, scrub.bytes);
            tracing::info!(objects, bytes, "scrub of the tables finished");
        }
        outcome
    }

    /// What the tables refer to now.
    async fn referred(&self) -> Result<Referred, LakeError> {
        let mut referred = Referred::default();
        for table in &self.shared.tables {
            let mut current = table.current.lock().await;
            self.make_certain(table, &mut current).await?;
            let version = current.version.clone();
            // Taken under the lock, so that it is the view of that version.
            let view = table.view();
            drop(current);
            referred.add(&version, view)?;
        }
        Ok(referred)
    }

    /// Reads and compares the next part of an object, of about `length` bytes.
    async fn compare_part(&self, piece: &mut Piece, length: u64) -> Result<Part, LakeError> {
        let workshop = &self.shared.workshop;
        let (objects, key) = (Arc::clone(&workshop.objects), piece.key.clone());
        let end = piece.at.saturating_add(length);
        match &mut piece.check {
            Check::Whole => {
                let bytes = workshop.get(&key).await?.len() as u64;
                let is_last = true;
                Ok(Part { bytes, is_last })
            }
            Check::Running {
                bytes,
                checksum,
                so_far,
            } => {
                let (range, before) = (piece.at..end.min(*bytes), *so_far);
                let (is_last, part) = (range.end == *bytes, range.end - range.start);
                let work = move || {
                    let part = read(objects.as_ref(), &key, range.clone())?;
                    if is_last {
                        ends_at(objects.as_ref(), &key, range.end)?;
                    }
                    Ok(crc32c::crc32c_append(before, &part))
                };
                *so_far = self.shared.workers.run(work).await?;
                if is_last && so_far != checksum {
                    return Err(mismatch(&piece.key));
                }
                piece.at += part;
                let bytes = part;
                Ok(Part { bytes, is_last })
            }
            Check::Blocks {
                sums: Some(sums), ..
            } => {
                let (range, sums) = (piece.at..end.min(sums.covered()), Arc::clone(sums));
                let (is_last, bytes) = (range.end == sums.covered(), range.end - range.start);
                let work = move || {
                    let part = |range| read(objects.as_ref(), &key, range);
                    sums.fetch(&range, part).map(|_| ())
                };
                self.shared.workers.run(work).await?;
                piece.at += bytes;
                Ok(Part { bytes, is_last })
            }
            Check::Blocks {
                bytes,
                checksum,
                sums: unread,
            } => {
                let (whole, checksum) = (*bytes, *checksum);
                let work = move || {
                    let part = |range| read(objects.as_ref(), &key, range);
                    BlockSums::read(&key, checksum, whole, part)
                };
                let sums = unread.insert(Arc::new(self.shared.workers.run(work).await?));
                let (bytes, is_last) = (whole - sums.covered(), sums.covered() == 0);
                Ok(Part { bytes, is_last })
            }
        }
    }
}

impl Scrub {
    fn has_work(&self, now: Duration, interval: Duration) -> bool {
        let is_due = self.began.is_none_or(|began| now >= began + interval);
        is_due || !self.waiting.is_empty()
    }

    /// Begins a pass over all that is referred to or, if one is under way, leaves out what no table refers
    /// to any more. What has come since waits for the next pass. The views must be held while anything is
    /// read.
    fn take(
        &mut self,
        referred: Referred,
        now: Duration,
        entropy: &dyn Entropy,
    ) -> Vec<Arc<ReadView>> {
        let (short_lived, mut data_files) = (referred.short_lived, referred.data_files);
        if self.waiting.is_empty() {
            // Where a process starts more often than a pass takes, the last files have to get their turn
            // as well.
            let place = below(entropy, data_files.len());
            data_files.rotate_left(place);
            *self = Self {
                began: Some(now),
                waiting: short_lived.into_iter().chain(data_files).collect(),
                ..Self::default()
            };
        } else {
            let live = short_lived.iter().chain(&data_files);
            let live: HashSet<&str> = live.map(|piece| piece.key.as_str()).collect();
            self.waiting
                .retain(|piece| live.contains(piece.key.as_str()));
        }
        referred.views
    }

    /// A part of the first one was as it was written.
    fn note(&mut self, part: Part) {
        self.bytes += part.bytes;
        if part.is_last {
            self.objects += 1;
            self.waiting.pop_front();
        }
    }

    fn postpone(&mut self) {
        if let Some(mut piece) = self.waiting.pop_front()
            && !piece.postponed
        {
            piece.postponed = true;
            if let Check::Blocks { sums, .. } = &mut piece.check {
                // Read again then: many files of a failing disk may wait.
                *sums = None;
            }
            self.waiting.push_back(piece);
        }
    }
}

impl Referred {
    fn add(&mut self, version: &TableVersion, view: Arc<ReadView>) -> Result<(), LakeError> {
        self.add_metadata(&version.key, |_| Check::Whole);
        if let Some(snapshot) = version.metadata.current_snapshot() {
            self.add_metadata(stored_key(snapshot.manifest_list())?, |_| Check::Whole);
        }
        for manifest in &version.manifests {
            let length = u64::try_from(manifest.file.manifest_length);
            self.add_metadata(stored_key(&manifest.file.manifest_path)?, |checksum| {
                length.map_or(Check::Whole, |bytes| running(bytes, checksum))
            });
        }
        for hot in &view.hot {
            let check = running(hot.object.bytes, hot.object.checksum);
            self.short_lived.push(Piece::new(&hot.object.object, check));
        }
        for file in view.files.iter() {
            let (key, bytes) = (&file.key, file.bytes);
            let Some(checksum) = names::stamped_checksum(key) else {
                self.without_checksum += 1;
                continue;
            };
            let sums = None;
            let check = Check::Blocks {
                bytes,
                checksum,
                sums,
            };
            self.data_files.push(Piece::new(key, check));
        }
        self.views.push(view);
        Ok(())
    }

    fn add_metadata(&mut self, key: &str, check: impl FnOnce(u32) -> Check) {
        match names::stamped_checksum(key) {
            Some(checksum) => self.short_lived.push(Piece::new(key, check(checksum))),
            None => self.without_checksum += 1,
        }
    }
}

impl Piece {
    fn new(key: &str, check: Check) -> Self {
        Self {
            key: key.to_owned(),
            check,
            at: 0,
            postponed: false,
        }
    }
}

fn running(bytes: u64, checksum: u32) -> Check {
    Check::Running {
        bytes,
        checksum,
        so_far: 0,
    }
}

/// Refuses an object that is longer than it was.
fn ends_at(objects: &dyn Objects, key: &str, end: u64) -> Result<(), LakeError> {
    match objects.get_range_blocking(key, end..end.saturating_add(1)) {
        Err(ObjectError::CutOff { .. }) => Ok(()),
        Ok(_) => Err(mismatch(key)),
        Err(error) => Err(LakeError::Objects(error)),
    }
}

/// A random number below `end`; 0 if there is none.
fn below(entropy: &dyn Entropy, end: usize) -> usize {
    let mut bytes = [0_u8; 8];
    entropy.fill(&mut bytes);
    let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
    usize::try_from(u64::from_be_bytes(bytes) % end).unwrap_or(0)
}
