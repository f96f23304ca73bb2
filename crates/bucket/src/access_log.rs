//! Server access logs of buckets. Lines are gathered in memory within bounds and put as objects into the target
//! buckets, which must let S3's log delivery in. S3 promises its best effort, and so do we: what is in memory
//! at a crash is lost, and what does not fit or cannot be delivered is dropped and counted.

mod delivery;
mod key;
mod line;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(crate) use delivery::check_target;
pub(crate) use key::sample_key;
pub use line::AccessLogEntry;

use crate::store::{Buckets, DateSource, KeyFormat, LoggedBucket};

/// How much is held in memory.
#[derive(Clone, Copy, Debug)]
pub struct AccessLogConfig {
    /// An object is put as soon as it has this many bytes.
    pub object_bytes: usize,
    /// Most bytes of one bucket's lines, those on their way included.
    pub bucket_bytes_max: usize,
    /// Most bytes of all lines.
    pub bytes_max: usize,
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self {
            object_bytes: 1 << 20,
            bucket_bytes_max: 8 << 20,
            bytes_max: 32 << 20,
        }
    }
}

/// What has been done since the start.
#[derive(Debug, Default)]
pub struct AccessLogCounters {
    /// Lines that target buckets have.
    pub delivered_lines: AtomicU64,
    /// Objects with these lines.
    pub delivered_objects: AtomicU64,
    /// Attempts to deliver that failed.
    pub failures: AtomicU64,
    /// Lines that nobody will get.
    pub dropped_lines: AtomicU64,
}

/// Which lines are to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Those of objects that are full; all that are not on their way yet if they take half of the room.
    Full,
    /// All.
    All,
    /// All, and what fails now is dropped.
    Last,
}

/// Gathers and delivers lines.
#[derive(Debug)]
pub struct AccessLog {
    buckets: Arc<Buckets>,
    config: AccessLogConfig,
    /// What it has done.
    pub counters: AccessLogCounters,
    // Held to add or take lines, never across an await.
    gathered: Mutex<Gathered>,
    full: Notify,
}

/// Lines that become one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    source: Arc<LoggedBucket>,
    /// `YYYY-MM-DD`, where objects hold the lines of one day.
    day: Option<String>,
}

#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u64,
}

/// Lines on their way.
#[derive(Debug)]
struct Batch {
    place: Place,
    lines: Lines,
    /// True if they could not be delivered before.
    is_retry: bool,
}

#[derive(Debug, Default)]
struct Gathered {
    open: HashMap<Place, Lines>,
    retries: Vec<Batch>,
    /// Bytes of each source bucket, of open objects, of those on their way and of retries.
    held_bytes: HashMap<String, usize>,
    bytes: usize,
    /// Of these, the bytes of open objects.
    open_bytes: usize,
}

impl Gathered {
    /// Whether open objects take so much room that they are delivered before they are full.
    fn is_crowded(&self, config: &AccessLogConfig) -> bool {
        self.open_bytes > config.bytes_max / 2
    }

    /// False if there is no room.
    fn hold(&mut self, bucket: &str, bytes: usize, config: &AccessLogConfig) -> bool {
        let held = self.held_bytes.get(bucket).copied().unwrap_or_default();
        let (of_bucket, of_all) = (held + bytes, self.bytes + bytes);
        if of_bucket > config.bucket_bytes_max || of_all > config.bytes_max {
            return false;
        }
        self.held_bytes.insert(bucket.to_owned(), of_bucket);
        self.bytes = of_all;
        true
    }

    fn release(&mut self, bucket: &str, bytes: usize) {
        self.bytes -= bytes;
        if let Some(held) = self.held_bytes.get_mut(bucket) {
            *held -= bytes;
            if *held == 0 {
                self.held_bytes.remove(bucket);
            }
        }
    }
}

impl AccessLog {
    /// Logs of the buckets of a store.
    pub fn new(buckets: Arc<Buckets>, config: AccessLogConfig) -> Self {
        Self {
            buckets,
            config,
            counters: AccessLogCounters::default(),
            gathered: Mutex::default(),
            full: Notify::new(),
        }
    }

    /// The bucket of this name, if its requests are logged.
    pub fn source(&self, bucket: &str) -> Option<Arc<LoggedBucket>> {
        self.buckets.logged(bucket)
    }

    /// Adds the line of one request about a logged bucket, or drops it if there is no room.
    pub fn add(&self, source: &Arc<LoggedBucket>, entry: &AccessLogEntry) {
        let line = line::line(source, entry);
        let by_event = KeyFormat::PartitionedPrefix(DateSource::EventTime);
        let place = Place {
            source: Arc::clone(source),
            day: (source.logging.key_format == Some(by_event))
                .then(|| key::Moment::of(entry.received_ms).day()),
        };
        let mut gathered = self.lock();
        if !gathered.hold(&source.name, line.len(), &self.config) {
            drop(gathered);
            self.counters.dropped_lines.fetch_add(1, Ordering::Relaxed);
            self.full.notify_one();
            return;
        }
        gathered.open_bytes += line.len();
        let is_crowded = gathered.is_crowded(&self.config);
        let lines = gathered.open.entry(place).or_default();
        lines.text.extend_from_slice(line.as_bytes());
        lines.count += 1;
        if is_crowded || lines.text.len() >= self.config.object_bytes {
            self.full.notify_one();
        }
    }

    /// Completes once an object is full.
    pub async fn full(&self) {
        self.full.notified().await;
    }

    /// Bytes of lines in memory.
    pub fn held_bytes(&self) -> usize {
        self.lock().bytes
    }

    fn take(&self, due: Due) -> Vec<Batch> {
        let mut gathered = self.lock();
        let mut batches = Vec::new();
        if due != Due::Full {
            batches.append(&mut gathered.retries);
        }
        let takes_all = due != Due::Full || gathered.is_crowded(&self.config);
        let is_due = |lines: &Lines| takes_all || lines.text.len() >= self.config.object_bytes;
        let taken = gathered.open.extract_if(|_, lines| is_due(lines));
        let taken: Vec<_> = taken.collect();
        for (place, lines) in taken {
            gathered.open_bytes -= lines.text.len();
            batches.push(Batch {
                place,
                lines,
                is_retry: false,
            });
        }
        batches
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        // Every change leaves it whole, a panic elsewhere included.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
