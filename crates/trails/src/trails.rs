//! Delivery as the server sees it: one thing to open, run and ask.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_catalog::trails::{Cut, FileId, LaneUse, RecordedFile, SpoolUse, TrailsCatalog};
use cairn_eventlog::EventLog;
use cairn_model::{AccountId, Region, RoutingHeader, TrailId};
use cairn_platform::{Clock, Disk, Entropy, MasterKey, ObjectPuts};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::active::{ActiveTrails, EnabledRegions};
use crate::config::TrailsConfig;
use crate::delivery::{Delivery, PutSteps};
use crate::digests::Digests;
use crate::error::TrailsError;
use crate::outlet_counts::OutletCounts;
use crate::outlets::{OutletParts, Outlets, Telling, lane_use};
use crate::reader::{Next, Reader};
use crate::spool::Spool;

/// Pause after a step that failed, and the longest after several.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(1);

/// What delivery works with.
#[derive(Debug)]
pub struct TrailsParts {
    /// Settings.
    pub config: TrailsConfig,
    /// Where positions, files and chains are kept.
    pub catalog: Arc<dyn TrailsCatalog>,
    /// What is followed.
    pub log: Arc<dyn EventLog>,
    /// The spool's disk.
    pub disk: Arc<dyn Disk>,
    /// Where files go.
    pub puts: Arc<dyn ObjectPuts>,
    /// What topics, log groups and buses are told by.
    pub outlets: OutletParts,
    /// What seals signing keys.
    pub master_key: MasterKey,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The Regions that are enabled for an account: of each, a multi-Region trail has digests.
    pub enabled_regions: RegionsOfAccount,
}

/// The Regions that are enabled for an account.
#[derive(Clone)]
pub struct RegionsOfAccount(pub(crate) EnabledRegions);

impl RegionsOfAccount {
    /// As `regions` says.
    pub fn new(regions: impl Fn(AccountId) -> Vec<Region> + Send + Sync + 'static) -> Self {
        Self(Arc::new(regions))
    }
}

impl fmt::Debug for RegionsOfAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegionsOfAccount")
    }
}

/// The delivery of one node.
#[derive(Debug)]
pub struct Trails {
    shared: Arc<Shared>,
    /// Each runs in one task at a time.
    reader: tokio::sync::Mutex<Reader>,
    digests: tokio::sync::Mutex<Digests>,
}

/// What the parts of delivery have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: TrailsConfig,
    pub(crate) catalog: Arc<dyn TrailsCatalog>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) spool: Spool,
    pub(crate) puts: Arc<dyn ObjectPuts>,
    pub(crate) outlets: Outlets,
    pub(crate) master_key: MasterKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) enabled_regions: RegionsOfAccount,
    pub(crate) counters: Counters,
    /// Told when a file is recorded.
    pub(crate) delivery_due: Notify,
    /// Told when chains change.
    pub(crate) digests_due: Notify,
    /// The trails at the reader's position; None until it knows.
    // Held for a clone, never across an await.
    current: Mutex<Option<Arc<ActiveTrails>>>,
    /// The trails as they are configured now, wherever the reader is.
    // Held for a clone, never across an await.
    newest: Mutex<Option<Arc<ActiveTrails>>>,
    /// When files were last put in vain, by the steady clock.
    // Held for one look-up, never across an await.
    tried: Mutex<HashMap<FileId, Duration>>,
    /// Room for the bytes of files in flight, in KiB.
    put_room: Arc<Semaphore>,
}

/// What delivery has done since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    cuts: AtomicU64,
    files: AtomicU64,
    events: AtomicU64,
    delivered: AtomicU64,
    failures: AtomicU64,
    digests: AtomicU64,
    lost_events: AtomicU64,
    lost_records: AtomicU64,
    unlisted: AtomicU64,
    already_there: AtomicU64,
    conflicts: AtomicU64,
    quarantined: AtomicU64,
}

/// What delivery has done since the start, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrailsCounts {
    /// Ranges of the log that were cut.
    pub cuts: u64,
    /// Log files that were made.
    pub files: u64,
    /// Events in them.
    pub events: u64,
    /// Log files and digests that their bucket has.
    pub delivered: u64,
    /// Attempts in vain.
    pub failures: u64,
    /// Digests that were signed.
    pub digests: u64,
    /// Events that were given up.
    pub lost_events: u64,
    /// Records that the event log had lost before they were read.
    pub lost_records: u64,
    /// Delivered log files that no digest lists because their spooled bytes were damaged.
    pub unlisted: u64,
    /// Puts that found an object of their key: attempts without answer that had succeeded, or somebody else's.
    pub already_there: u64,
    /// Those of them that found other bytes, as far as these may be read.
    pub conflicts: u64,
    /// Records that could not be read and are kept beside the spool.
    pub quarantined: u64,
}

impl Counters {
    pub(crate) fn add_cut(&self, cut: &Cut) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.cuts, 1);
        add(&self.files, cut.files.len() as u64);
        add(&self.events, cut.files.iter().map(|file| file.events).sum());
        add(
            &self.lost_events,
            cut.lost.iter().map(|lost| lost.events).sum(),
        );
    }

    pub(crate) fn add_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_digest(&self) {
        self.digests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_lost_events(&self, events: u64) {
        self.lost_events.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn add_lost_records(&self, records: u64) {
        self.lost_records.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn add_already_there(&self) {
        self.already_there.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_quarantined(&self, records: u64) {
        self.quarantined.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn add_unlisted(&self) {
        self.unlisted.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn publish(&self, trails: &Arc<ActiveTrails>) {
        let mut current = self.current.lock().expect("no holder of this lock panics");
        *current = Some(Arc::clone(trails));
        drop(current);
        // A trail that was deleted has files that are tried no more.
        self.delivery_due.notify_one();
    }

    /// For how long a file was put in vain, this attempt included: as far as both clocks agree, so that a clock
    /// that was wrong ends nothing (S8). What this process did not see does not count.
    pub(crate) fn failing_ms(&self, file: &RecordedFile, attempted_ms: i64) -> i64 {
        let now = self.clock.monotonic();
        let mut tried = self.tried.lock().expect("no holder of this lock panics");
        let before = tried.insert(file.id, now);
        let steady = before.map_or(Duration::ZERO, |before| now.saturating_sub(before));
        let steady_ms = i64::try_from(steady.as_millis()).unwrap_or(i64::MAX);
        let wall_ms = file
            .last_attempt_ms
            .map_or(0, |last| attempted_ms.saturating_sub(last).max(0));
        file.failing_ms.saturating_add(steady_ms.min(wall_ms))
    }

    /// The file is where it belongs, or nowhere.
    pub(crate) fn forget_attempts(&self, file: FileId) {
        let mut tried = self.tried.lock().expect("no holder of this lock panics");
        tried.remove(&file);
    }

    /// Waits until a file of this size may be in memory (R18).
    pub(crate) async fn room_for_put(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let all = permits(self.config.puts_bytes_max as u64);
        let wanted = permits(bytes).min(all);
        let room = Arc::clone(&self.put_room).acquire_many_owned(wanted);
        // Nobody closes it.
        room.await.ok()
    }

    /// Removes a file from the spool, off the async threads, unless somebody still needs it.
    pub(crate) async fn release_spooled(&self, name: &str) {
        match self.outlets.catalog().is_spooled(name).await {
            Ok(false) => {}
            // Whoever is done with it last removes it.
            Ok(true) => return,
            Err(error) => {
                tracing::warn!(file = name, %error, "a spooled file stays until the next start");
                return;
            }
        }
        let (spool, name) = (self.spool.clone(), name.to_owned());
        let removing = tokio::task::spawn_blocking(move || spool.remove(&name));
        // What stays behind goes at the next start.
        let _ = removing.await;
    }

    /// Removes the files that the catalog does not know: what gave an error when it was recorded may be
    /// recorded all the same.
    pub(crate) async fn settle_doubtful(
        &self,
        doubtful: &mut Vec<String>,
    ) -> Result<(), TrailsError> {
        if doubtful.is_empty() {
            return Ok(());
        }
        let known: HashSet<String> = self.catalog.spooled().await?.into_iter().collect();
        for name in doubtful.drain(..) {
            if !known.contains(&name) {
                self.release_spooled(&name).await;
            }
        }
        Ok(())
    }

    /// The trails at the reader's position.
    pub(crate) fn current(&self) -> Option<Arc<ActiveTrails>> {
        self.current
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    /// True if the trail is known to be deleted. One that this build cannot read is not.
    pub(crate) fn is_deleted(&self, trail: &TrailId) -> bool {
        self.current().is_some_and(|trails| !trails.exists(trail))
    }
}

impl Trails {
    /// Opens the spool and sweeps away what no cut refers to. Nothing runs before [`Trails::run`].
    pub async fn open(parts: TrailsParts) -> Result<Arc<Self>, TrailsError> {
        let spool = {
            let (disk, folder) = (parts.disk, parts.config.spool_folder.clone());
            let entropy = Arc::clone(&parts.entropy);
            tokio::task::spawn_blocking(move || Spool::open(disk, &folder, entropy))
        };
        let spool = spool
            .await
            .map_err(TrailsError::of_thread("opening the spool"))??;
        let known: HashSet<String> = parts.catalog.spooled().await?.into_iter().collect();
        let sweeping = spool.clone();
        let swept = tokio::task::spawn_blocking(move || sweeping.sweep(&known));
        let swept = swept
            .await
            .map_err(TrailsError::of_thread("sweeping the spool"))??;
        if swept > 0 {
            tracing::info!(
                files = swept,
                "swept files of unfinished cuts from the spool"
            );
        }
        let put_room = usize::try_from(permits(parts.config.puts_bytes_max as u64));
        let put_room = put_room.unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            config: parts.config,
            catalog: parts.catalog,
            log: parts.log,
            spool,
            puts: parts.puts,
            outlets: Outlets::new(parts.outlets),
            master_key: parts.master_key,
            clock: parts.clock,
            entropy: parts.entropy,
            enabled_regions: parts.enabled_regions,
            counters: Counters::default(),
            delivery_due: Notify::new(),
            digests_due: Notify::new(),
            current: Mutex::default(),
            newest: Mutex::default(),
            tried: Mutex::default(),
            put_room: Arc::new(Semaphore::new(put_room)),
        });
        let trails = Arc::new(Self {
            reader: tokio::sync::Mutex::new(Reader::new(Arc::clone(&shared))),
            digests: tokio::sync::Mutex::new(Digests::new(Arc::clone(&shared))),
            shared,
        });
        trails.refresh().await?;
        Ok(trails)
    }

    /// Learns how trails are configured now. Call after each change of one, before it is answered: from then on
    /// what the trail selects is recorded.
    pub async fn refresh(&self) -> Result<(), TrailsError> {
        let found = self.shared.catalog.current_trails().await?;
        let newest = Arc::new(ActiveTrails::new(found.trails));
        let mut held = self
            .shared
            .newest
            .lock()
            .expect("no holder of this lock panics");
        *held = Some(newest);
        Ok(())
    }

    /// Runs until `stop` turns true. Troubles are told in the log and tried again; an error means that the
    /// log and the catalog do not belong together, or that a thread is gone.
    pub async fn run(&self, stop: watch::Receiver<bool>) -> Result<(), TrailsError> {
        let delivery = Delivery::new(Arc::clone(&self.shared));
        let telling = Telling::new(Arc::clone(&self.shared));
        tokio::try_join!(
            self.follow(stop.clone()),
            self.sign(stop.clone()),
            delivery.run(stop.clone()),
            telling.run(stop),
        )
        .map(drop)
    }

    /// What delivery has done since the start.
    pub fn counts(&self) -> TrailsCounts {
        let counters = &self.shared.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrailsCounts {
            cuts: get(&counters.cuts),
            files: get(&counters.files),
            events: get(&counters.events),
            delivered: get(&counters.delivered),
            failures: get(&counters.failures),
            digests: get(&counters.digests),
            lost_events: get(&counters.lost_events),
            lost_records: get(&counters.lost_records),
            unlisted: get(&counters.unlisted),
            already_there: get(&counters.already_there),
            conflicts: get(&counters.conflicts),
            quarantined: get(&counters.quarantined),
        }
    }

    /// What telling topics, log groups and buses has done since the start.
    pub fn outlet_counts(&self) -> OutletCounts {
        self.shared.outlets.counters.counts()
    }

    /// What waits for topics, log groups and buses.
    pub async fn lane_use(&self) -> Result<Vec<LaneUse>, TrailsError> {
        lane_use(&self.shared).await
    }

    /// What each trail holds of the spool.
    pub async fn spool_use(&self) -> Result<Vec<SpoolUse>, TrailsError> {
        Ok(self.shared.catalog.spool_use().await?)
    }

    /// Whether a trail collects the event, as it is configured now or where the reader is. Of Insights events,
    /// whose header does not say enough, it says no.
    pub fn selects(&self, event: &RoutingHeader<'_>) -> bool {
        let newest = self
            .shared
            .newest
            .lock()
            .expect("no holder of this lock panics")
            .clone();
        let known = newest.into_iter().chain(self.shared.current());
        known
            .into_iter()
            .any(|trails| trails.takers(event, None).next().is_some())
    }

    /// Cuts what the log holds now, whether it is due or not. For tests.
    pub async fn cut_now(&self) -> Result<(), TrailsError> {
        self.reader.lock().await.cut_now().await
    }

    /// Makes the digests that are due. For tests.
    pub async fn sign_now(&self) -> Result<(), TrailsError> {
        self.digests.lock().await.turn().await.map(drop)
    }

    /// Puts every file that may be put now, once. For tests.
    pub async fn deliver_now(&self) -> Result<(), TrailsError> {
        Delivery::new(Arc::clone(&self.shared)).drain().await
    }

    /// The puts of this node one step at a time, with the places and pauses that they have while it runs. For
    /// tests, whose clock stands still between two steps.
    pub fn put_steps(&self) -> PutSteps {
        PutSteps(Delivery::new(Arc::clone(&self.shared)))
    }

    /// Tells topics, log groups and buses what waits, once. For tests.
    pub async fn tell_now(&self) {
        Telling::new(Arc::clone(&self.shared)).drain().await;
    }

    async fn follow(&self, mut stop: watch::Receiver<bool>) -> Result<(), TrailsError> {
        let shared = &self.shared;
        let mut failures = 0;
        loop {
            let turn = self.reader.lock().await.turn().await;
            failures = if turn.is_ok() { 0 } else { failures + 1 };
            let (pause, position) = match turn {
                Ok(Next::Go) => (Duration::ZERO, None),
                Ok(Next::Wait(pause, position)) => (pause, Some(position)),
                Err(error) => {
                    // Each attempt reads and compresses the range again.
                    let pause = self.trouble("cutting log files", error)?;
                    let factor = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
                    (pause.saturating_mul(factor).min(RETRY_MAX), None)
                }
            };
            if *stop.borrow() {
                return Ok(());
            }
            if pause.is_zero() {
                tokio::task::yield_now().await;
                continue;
            }
            let grown = async {
                match position {
                    Some(position) => {
                        let partition = shared.config.partition;
                        shared.log.wait_beyond(partition, position).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.clock.sleep(pause) => {}
                () = grown => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    async fn sign(&self, mut stop: watch::Receiver<bool>) -> Result<(), TrailsError> {
        let shared = &self.shared;
        loop {
            let turn = self.digests.lock().await.turn().await;
            let pause = match turn {
                Ok(pause) => pause,
                Err(error) => self.trouble("making digests", error)?,
            };
            tokio::select! {
                () = shared.clock.sleep(pause) => {}
                () = shared.digests_due.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    /// How long to wait before the step is tried again; the error if that is of no use.
    fn trouble(&self, during: &'static str, error: TrailsError) -> Result<Duration, TrailsError> {
        self.shared.counters.add_failure();
        match error {
            TrailsError::LogElsewhere { .. } | TrailsError::ThreadsEnded => Err(error),
            error => {
                tracing::error!(during, %error, "delivery has trouble and tries again");
                Ok(RETRY)
            }
        }
    }
}

/// Room for so many bytes: one permit for each KiB begun.
fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}
