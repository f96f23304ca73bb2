//! Telling topics, log groups and buses. What goes one way is a lane: it goes in order, one step at a time, and pauses
//! for itself after a failure (R15), so that nothing here holds up buckets, other trails or other targets. A step
//! that is not recorded is done again: at least once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_catalog::trails::{GivenUp, Lane, LaneFailure, LaneUse, Outlet, OutletsCatalog};
use cairn_model::TrailId;
use cairn_platform::{EventBuses, LogStreams, ServiceFailure, TopicPublisher};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::bus_feed::Refusals;
use crate::delivery::{millis, pause_after, told_code};
use crate::error::TrailsError;
use crate::outlet_counts::OutletCounters;
use crate::trails::Shared;
use crate::{bus_feed, logs_feed, notifier};

/// Steps at once, for each kind of target.
const STEPS_MAX: usize = 8;
/// Of these, steps on lanes that have failed.
const FAILING_STEPS_MAX: usize = 2;
/// Bytes of files in memory, in KiB, whose events are being sent to targets of one kind. A larger file is read alone.
const ROOM_KIB: u32 = 64 << 10;
/// Characters of a target's own words that the log repeats.
const REASON_MAX: usize = 1000;
/// Pause after the catalog could not be asked.
const RETRY: Duration = Duration::from_secs(1);

/// What telling works with.
#[derive(Clone, Debug)]
pub struct OutletParts {
    /// Where it is kept what waits.
    pub catalog: Arc<dyn OutletsCatalog>,
    /// Where topics are.
    pub topics: Arc<dyn TopicPublisher>,
    /// Where log groups are.
    pub log_streams: Arc<dyn LogStreams>,
    /// Where buses are, if there are any.
    pub buses: Option<BusParts>,
}

/// The buses of all accounts.
#[derive(Clone, Debug)]
pub struct BusParts {
    /// Where they are.
    pub buses: Arc<dyn EventBuses>,
    /// What comes before a service's name in an event's `source`.
    pub source_prefix: String,
}

/// What steps have in common.
#[derive(Debug)]
pub(crate) struct Outlets {
    pub(crate) parts: OutletParts,
    pub(crate) counters: OutletCounters,
    /// Told when something new waits.
    pub(crate) due: Notify,
    /// True once no further batch is to be begun.
    is_stopping: AtomicBool,
    /// When lanes were last tried in vain, by the steady clock and by the wall.
    // Held for one look-up, never across an await.
    tried: Mutex<HashMap<Lane, (Duration, i64)>>,
    /// What buses refuse.
    pub(crate) refusals: Refusals,
    logs_room: Arc<Semaphore>,
    bus_room: Arc<Semaphore>,
}

/// How a step has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing waits.
    Idle,
    /// Something was told; more may wait.
    Done,
    /// The target has refused, or not answered.
    Failed,
}

impl Outlets {
    pub(crate) fn new(parts: OutletParts) -> Self {
        Self {
            parts,
            counters: OutletCounters::default(),
            due: Notify::new(),
            is_stopping: AtomicBool::new(false),
            tried: Mutex::default(),
            refusals: Refusals::default(),
            logs_room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            bus_room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
        }
    }

    pub(crate) fn catalog(&self) -> &dyn OutletsCatalog {
        &*self.parts.catalog
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Waits until so many bytes of a file may be in memory (R18). Buckets, log groups and buses have each
    /// room of their own: one that is slow takes none of the others'.
    pub(crate) async fn room_for(
        &self,
        outlet: Outlet,
        bytes: u64,
    ) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(1024)).unwrap_or(ROOM_KIB);
        let room = match outlet {
            Outlet::Bus => &self.bus_room,
            Outlet::Logs | Outlet::Topic => &self.logs_room,
        };
        let room = Arc::clone(room).acquire_many_owned(wanted.min(ROOM_KIB));
        // Nobody closes it.
        room.await.ok()
    }

    /// For how long the lane has failed since the attempt before, as far as both clocks agree, so that a clock that
    /// was wrong ends nothing (S8). What this process did not see does not count.
    fn failing_ms(&self, lane: &Lane, now: Duration, now_ms: i64) -> i64 {
        let mut tried = self.tried.lock().expect("no holder of this lock panics");
        let Some((before, before_ms)) = tried.insert(lane.clone(), (now, now_ms)) else {
            return 0;
        };
        let steady = now.saturating_sub(before);
        millis(steady).min(now_ms.saturating_sub(before_ms).max(0))
    }

    fn forget_failures(&self, lane: &Lane) {
        let mut tried = self.tried.lock().expect("no holder of this lock panics");
        tried.remove(lane);
    }

    /// Nothing is known of lanes on which nothing waits.
    fn forget_others(&self, is_there: impl Fn(&Lane) -> bool) {
        let mut tried = self.tried.lock().expect("no holder of this lock panics");
        tried.retain(|lane, _| is_there(lane));
        self.refusals.retain(is_there);
    }
}

/// One way.
#[derive(Debug, Default)]
struct LaneState {
    is_in_flight: bool,
    /// Something was seen to wait since the step began, which the step may have missed.
    is_seen: bool,
    /// Failures in a row.
    failures: u32,
    /// When the next step may be, by the steady clock.
    not_before: Duration,
}

/// Takes steps as they are due.
#[derive(Debug)]
pub(crate) struct Telling {
    shared: Arc<Shared>,
    /// Lanes on which something waits.
    waiting: BTreeSet<Lane>,
    states: HashMap<Lane, LaneState>,
    /// The lane that was served last: the next turn begins behind it.
    served: Option<Lane>,
    tasks: JoinSet<Step>,
    steps: HashMap<tokio::task::Id, Lane>,
}

impl Telling {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            waiting: BTreeSet::new(),
            states: HashMap::new(),
            served: None,
            tasks: JoinSet::new(),
            steps: HashMap::new(),
        }
    }

    /// Tells what comes, until `stop`; steps in progress end with the batch that is under way.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), TrailsError> {
        let shared = Arc::clone(&self.shared);
        // When the catalog is to be asked again, whatever becomes of single lanes until then.
        let mut look_at = shared.clock.monotonic();
        loop {
            let now = shared.clock.monotonic();
            if look_at <= now {
                let listed = self.list().await;
                let pause = if listed {
                    shared.config.retry_pause_max
                } else {
                    RETRY
                };
                look_at = now.saturating_add(pause);
            }
            let due = self.start_due().unwrap_or(look_at).min(look_at);
            let pause = due.saturating_sub(shared.clock.monotonic());
            tokio::select! {
                () = shared.clock.sleep(pause) => {}
                () = shared.outlets.due.notified() => look_at = shared.clock.monotonic(),
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        shared.outlets.is_stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
        Ok(())
    }

    /// Tells everything that may be told now, and waits for all of it.
    pub(crate) async fn drain(mut self) {
        self.list().await;
        loop {
            self.start_due();
            match self.tasks.join_next_with_id().await {
                Some(ended) => self.ended(ended),
                None => return,
            }
        }
    }

    async fn list(&mut self) -> bool {
        match self.shared.outlets.catalog().waiting_lanes().await {
            Ok(lanes) => {
                self.waiting = lanes.into_iter().collect();
                let waiting = &self.waiting;
                self.states
                    .retain(|lane, state| state.is_in_flight || waiting.contains(lane));
                for (lane, state) in &mut self.states {
                    state.is_seen = state.is_in_flight && waiting.contains(lane);
                }
                let states = &self.states;
                let is_there = |lane: &Lane| waiting.contains(lane) || states.contains_key(lane);
                self.shared.outlets.forget_others(is_there);
                true
            }
            Err(error) => {
                tracing::error!(%error, "what waits for topics, log groups and buses cannot be listed");
                false
            }
        }
    }

    /// Starts what places allow. Returns when a lane that pauses is due, if one does.
    fn start_due(&mut self) -> Option<Duration> {
        let now = self.shared.clock.monotonic();
        let mut lanes: Vec<Lane> = self.waiting.iter().cloned().collect();
        // In turn, so that the same lanes do not come first each time.
        if let Some(served) = &self.served {
            let behind = lanes.partition_point(|lane| lane <= served);
            lanes.rotate_left(behind);
        }
        let mut due: Option<Duration> = None;
        for lane in lanes {
            let state = self.states.entry(lane.clone()).or_default();
            if state.is_in_flight {
                continue;
            }
            if state.not_before > now {
                due = Some(due.map_or(state.not_before, |due| due.min(state.not_before)));
                continue;
            }
            let is_failing = state.failures > 0;
            if self.has_place(lane.outlet, is_failing) {
                self.start(lane);
            }
        }
        due
    }

    /// Targets that have failed share a part of the places: those that answer need the others.
    fn has_place(&self, outlet: Outlet, is_failing: bool) -> bool {
        let of_kind = self.steps.values().filter(|lane| lane.outlet == outlet);
        let (mut all, mut failing) = (0, 0);
        for lane in of_kind {
            all += 1;
            failing += usize::from(
                self.states
                    .get(lane)
                    .is_some_and(|state| state.failures > 0),
            );
        }
        all < STEPS_MAX && (!is_failing || failing < FAILING_STEPS_MAX)
    }

    fn start(&mut self, lane: Lane) {
        let state = self.states.entry(lane.clone()).or_default();
        state.is_in_flight = true;
        state.is_seen = false;
        self.served = Some(lane.clone());
        let shared = Arc::clone(&self.shared);
        let stepped = lane.clone();
        let task = self
            .tasks
            .spawn(async move { step(&shared, &stepped).await });
        self.steps.insert(task.id(), lane);
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, Step), tokio::task::JoinError>) {
        let (task, step) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "telling a topic, log group or bus ended in a panic");
                (error.id(), Step::Failed)
            }
        };
        let Some(lane) = self.steps.remove(&task) else {
            return;
        };
        let state = self.states.entry(lane.clone()).or_default();
        state.is_in_flight = false;
        match step {
            // It came after the step had looked.
            Step::Idle if state.is_seen => *state = LaneState::default(),
            Step::Idle => {
                self.states.remove(&lane);
                self.waiting.remove(&lane);
            }
            Step::Done => {
                state.failures = 0;
                state.not_before = Duration::ZERO;
            }
            Step::Failed => {
                state.failures = state.failures.saturating_add(1);
                let longest = self.shared.config.retry_pause_max;
                let pause = pause_after(state.failures, longest, &*self.shared.entropy);
                state.not_before = self.shared.clock.monotonic().saturating_add(pause);
            }
        }
    }
}

/// Why a step was not done.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The target has refused, or not answered.
    Target {
        /// What it said.
        failure: ServiceFailure,
        /// How many notifications or feeds were tried.
        tried: u64,
    },
    /// The catalog or the spool has trouble, about which nobody is told but the operator.
    Own(TrailsError),
}

impl From<ServiceFailure> for Trouble {
    fn from(failure: ServiceFailure) -> Self {
        Self::Target { failure, tried: 1 }
    }
}

impl From<TrailsError> for Trouble {
    fn from(error: TrailsError) -> Self {
        Self::Own(error)
    }
}

impl From<cairn_catalog::CatalogError> for Trouble {
    fn from(error: cairn_catalog::CatalogError) -> Self {
        Self::Own(error.into())
    }
}

async fn step(shared: &Arc<Shared>, lane: &Lane) -> Step {
    let attempted_ms = shared.clock.now_ms();
    let stepped = match lane.outlet {
        Outlet::Topic => notifier::tell(shared, lane).await,
        Outlet::Logs => logs_feed::feed(shared, lane).await,
        Outlet::Bus => bus_feed::feed(shared, lane).await,
    };
    match stepped {
        Ok(step) => {
            shared.outlets.forget_failures(lane);
            step
        }
        Err(Trouble::Own(error)) => {
            shared.outlets.counters.add_failure();
            tracing::error!(?lane, %error, "telling a topic, log group or bus has trouble");
            Step::Failed
        }
        Err(Trouble::Target { failure, tried }) => {
            failed(shared, lane, attempted_ms, (&failure, tried)).await;
            Step::Failed
        }
    }
}

async fn failed(
    shared: &Arc<Shared>,
    lane: &Lane,
    attempted_ms: i64,
    (failure, tried): (&ServiceFailure, u64),
) {
    let outlets = &shared.outlets;
    outlets.counters.add_failure();
    let now = shared.clock.monotonic();
    let failing_ms = outlets.failing_ms(lane, now, attempted_ms);
    // The owner's word ends the attempts: what waits is tried once more, each by itself.
    let is_deleted = lane.outlet != Outlet::Bus && shared.is_deleted(&TrailId(lane.owner.clone()));
    let code = told_code(&failure.code);
    tracing::warn!(
        outlet = ?lane.outlet,
        owner = lane.owner,
        target = lane.target,
        code,
        reason = failure.message.chars().take(REASON_MAX).collect::<String>(),
        "a topic, log group or bus could not be told"
    );
    let record = LaneFailure {
        lane: lane.clone(),
        attempted_ms,
        failing_ms,
        given_up: if is_deleted {
            GivenUp::Oldest(tried)
        } else {
            GivenUp::TriedFor(millis(shared.config.retry_period))
        },
        error: code,
    };
    let loss = match outlets.catalog().record_lane_failure(&record).await {
        Ok(loss) => loss,
        Err(error) => {
            tracing::warn!(%error, "an attempt could not be recorded");
            return;
        }
    };
    if loss.notifications + loss.events > 0 {
        tracing::error!(
            outlet = ?lane.outlet,
            owner = lane.owner,
            target = lane.target,
            notifications = loss.notifications,
            events = loss.events,
            "a topic, log group or bus will not be told"
        );
    }
    outlets.counters.add_lost(lane.outlet, &loss);
    let files: HashSet<String> = loss.spooled.into_iter().collect();
    for name in files {
        shared.release_spooled(&name).await;
    }
}

/// What waits on each lane.
pub(crate) async fn lane_use(shared: &Shared) -> Result<Vec<LaneUse>, TrailsError> {
    Ok(shared.outlets.catalog().lane_use().await?)
}
