//! The reader: follows the log, hands events to the trails that take them, and cuts what it has read into files.
//!
//! All that it knows it can learn again: after any error it forgets the cut in the making and begins where the
//! catalog says that the last one ended, so that a failed step, a lost answer and a restart are one path.
//! **Invariant (R5).** The log is told that records are no longer needed only after the cut that holds them.

use std::sync::Arc;
use std::time::Duration;

use cairn_catalog::CatalogError;
use cairn_catalog::trails::{AppliedTrail, ChainChange, Cut, Outlet};
use cairn_eventlog::{LogRecord, ReadError};
use cairn_model::{ControlRecord, Sequence, TrailId};

use crate::active::ActiveTrails;
use crate::cutting::{CutLimits, OpenCut};
use crate::error::TrailsError;
use crate::failpoints;
use crate::spool_room::{SpoolRoom, budget_of};
use crate::trails::Shared;

/// The name under which trails read the log.
pub const READER: &str = "trails";
/// How often the position is recorded while no trail takes anything.
const IDLE_CUT_INTERVAL: Duration = Duration::from_secs(1);

/// The one that follows a partition of the log.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    /// None at the start and after an error: everything is to be learned again.
    state: Option<State>,
    /// Files of a cut of which nobody knows whether it was recorded.
    doubtful: Vec<String>,
}

#[derive(Debug)]
struct State {
    cut: OpenCut,
    trails: Arc<ActiveTrails>,
    /// When the open cut is due, by the wall clock and by the steady one.
    due_ms: i64,
    last_cut: Duration,
}

/// What a turn has left to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// The log holds more.
    Go,
    /// Nothing is due before this has passed, unless the log grows beyond the position.
    Wait(Duration, Sequence),
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            state: None,
            doubtful: Vec::new(),
        }
    }

    /// Does what is due.
    pub(crate) async fn turn(&mut self) -> Result<Next, TrailsError> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => self.recover().await?,
        };
        // Whatever fails below leaves the state forgotten.
        let is_more = self.read(&mut state).await?;
        let state = self.cut_if_due(state, false).await?;
        let next = if is_more {
            Next::Go
        } else {
            Next::Wait(self.until_due(&state), state.cut.end())
        };
        self.state = Some(state);
        Ok(next)
    }

    /// Cuts whatever the log holds now. For tests and for a stop.
    pub(crate) async fn cut_now(&mut self) -> Result<(), TrailsError> {
        let end = self.shared.log.durable_end(self.shared.config.partition);
        loop {
            let mut state = match self.state.take() {
                Some(state) => state,
                None => self.recover().await?,
            };
            self.read(&mut state).await?;
            let is_at_end = state.cut.end() >= end;
            let state = self.cut_if_due(state, is_at_end).await?;
            self.state = Some(state);
            if is_at_end {
                return Ok(());
            }
        }
    }

    async fn recover(&mut self) -> Result<State, TrailsError> {
        let shared = Arc::clone(&self.shared);
        let partition = shared.config.partition;
        // Before the position: another node may cut, and release the log, between the two.
        let log_start = shared.log.start(partition);
        let found = shared.catalog.reader_state(partition).await?;
        shared.settle_doubtful(&mut self.doubtful).await?;
        let log_end = shared.log.durable_end(partition);
        let position = found.position.unwrap_or(log_start);
        if position < log_start || position > log_end {
            return Err(TrailsError::LogElsewhere {
                position,
                log_start,
                log_end,
            });
        }
        shared.log.advance_reader(partition, READER, position);
        for trail in &found.unreadable {
            self.shared.counters.add_failure();
            tracing::error!(trail = trail.0, "a trail's configuration cannot be read");
        }
        let trails = ActiveTrails::new(found.trails).with_unreadable(found.unreadable);
        let now_ms = shared.clock.now_ms();
        let mut state = State {
            cut: self.open_cut(found.position, position),
            due_ms: self.next_due_ms(now_ms),
            last_cut: shared.clock.monotonic(),
            trails: Arc::new(trails),
        };
        state
            .cut
            .open_chains(state.trails.chains(&shared.enabled_regions.0, now_ms));
        shared.publish(&state.trails);
        // Chains that are missing are there before anything else is.
        if state.cut.has_chains() {
            state = self.cut_if_due(state, true).await?;
        }
        Ok(state)
    }

    fn open_cut(&self, expected: Option<Sequence>, end: Sequence) -> OpenCut {
        let config = &self.shared.config;
        let buses = self.shared.outlets.parts.buses.as_ref();
        let limits = CutLimits {
            buffer_bytes_max: config.buffer_bytes_max,
            file_bytes_max: config.file_bytes_max,
            buses: buses.map(|parts| Arc::clone(&parts.buses)),
        };
        let (spool, entropy) = (self.shared.spool.clone(), Arc::clone(&self.shared.entropy));
        OpenCut::new(config.partition, expected, end, limits, (spool, entropy))
    }

    /// Reads once. True if the log holds more.
    async fn read(&mut self, state: &mut State) -> Result<bool, TrailsError> {
        let shared = Arc::clone(&self.shared);
        let partition = shared.config.partition;
        let from = state.cut.end();
        if from >= shared.log.durable_end(partition) {
            return Ok(false);
        }
        let read = shared
            .log
            .read(partition, from, shared.config.read_bytes_max);
        let mut records = match read.await {
            Ok(records) => records,
            Err(ReadError::Corrupt {
                segment,
                offset,
                resume_at,
            }) => {
                tracing::error!(
                    segment,
                    offset,
                    first = from.0,
                    end = resume_at.0,
                    "the event log lost records: no trail gets their events"
                );
                state.cut.skip_to(resume_at);
                self.catch_up(state).await?;
                let lost = resume_at.0.saturating_sub(from.0);
                shared.counters.add_lost_records(lost);
                return Ok(state.cut.end() < shared.log.durable_end(partition));
            }
            Err(error) => return Err(TrailsError::Log(error)),
        };
        while !records.is_empty() {
            let open = std::mem::replace(&mut state.cut, self.open_cut(None, from));
            let (open, rest) = self.take(open, &state.trails, records).await?;
            state.cut = open;
            shared
                .counters
                .add_quarantined(state.cut.take_quarantined());
            records = rest;
            if let Some(control) = records.first().cloned() {
                records.remove(0);
                self.pass_control(state, &control).await?;
            }
        }
        Ok(state.cut.end() < shared.log.durable_end(partition))
    }

    async fn take(
        &self,
        mut cut: OpenCut,
        trails: &Arc<ActiveTrails>,
        records: Vec<LogRecord>,
    ) -> Result<(OpenCut, Vec<LogRecord>), TrailsError> {
        let trails = Arc::clone(trails);
        let taken =
            tokio::task::spawn_blocking(move || cut.take(&trails, records).map(|rest| (cut, rest)));
        let taken = taken
            .await
            .map_err(TrailsError::of_thread("taking events"))?;
        taken.map_err(TrailsError::Spool)
    }

    /// Everything behind the record goes by what it says, so what lies before it is cut first.
    async fn pass_control(
        &mut self,
        state: &mut State,
        record: &LogRecord,
    ) -> Result<(), TrailsError> {
        let shared = Arc::clone(&self.shared);
        let sequence = record.sequence;
        let control = ControlRecord::decode(&record.record.header, &record.record.body);
        let Ok(ControlRecord::Trail { id, version }) = control else {
            tracing::error!(sequence = sequence.0, "a control record cannot be read");
            state.cut.pass_control(sequence, None, Vec::new());
            return Ok(());
        };
        // After a crash a record may come twice, and late.
        let current = state.trails.get(&id).map(|active| active.trail.version);
        if current.is_some_and(|current| current >= version) {
            state.cut.pass_control(sequence, None, Vec::new());
            return Ok(());
        }
        let partition = shared.config.partition;
        let applied = shared.catalog.applied_version(partition, &id).await?;
        if current.is_none() && applied.is_some_and(|applied| applied >= version) {
            // Of a trail that has ended since.
            state.cut.pass_control(sequence, None, Vec::new());
            return Ok(());
        }
        let at_ms = record.accepted_ms;
        let (applied, chains) = self.apply(state, (&id, version), at_ms).await?;
        state.cut.pass_control(sequence, Some(applied), chains);
        self.record_behind(state).await
    }

    /// Cuts what was read by the trails as they were before, and lets everybody know how they are now.
    async fn record_behind(&mut self, state: &mut State) -> Result<(), TrailsError> {
        let end = state.cut.end();
        let open = std::mem::replace(&mut state.cut, self.open_cut(None, end));
        let end = self.record(open).await?;
        state.cut = self.open_cut(Some(end), end);
        self.was_cut(state);
        self.shared.publish(&state.trails);
        Ok(())
    }

    /// Takes a version over. One that this build cannot read leaves the trail as it was, and is taken over by
    /// a build that can.
    async fn apply(
        &self,
        state: &mut State,
        (id, version): (&TrailId, u64),
        at_ms: i64,
    ) -> Result<(AppliedTrail, Vec<ChainChange>), TrailsError> {
        let applied = AppliedTrail {
            trail: id.clone(),
            version,
        };
        let next = match self.shared.catalog.trail_at(id, version).await {
            Err(CatalogError::Unreadable { .. }) => {
                self.shared.counters.add_failure();
                tracing::error!(
                    trail = id.0,
                    version,
                    "a trail's configuration cannot be read"
                );
                return Ok((applied, Vec::new()));
            }
            next => next?,
        };
        let mut trails = ActiveTrails::clone(&state.trails);
        let chains = trails.apply(id, next, &self.shared.enabled_regions.0, at_ms);
        state.trails = Arc::new(trails);
        Ok((applied, chains))
    }

    /// After a range that the log has lost: what trails are now counts, for control records may be gone. Cut
    /// at once, as behind a control record.
    async fn catch_up(&mut self, state: &mut State) -> Result<(), TrailsError> {
        let now_ms = self.shared.clock.now_ms();
        let before = Sequence(state.cut.end().0.saturating_sub(1));
        for (id, version) in self.newer_versions(&state.trails).await? {
            let (applied, chains) = self.apply(state, (&id, version), now_ms).await?;
            state.cut.pass_control(before, Some(applied), chains);
        }
        self.record_behind(state).await
    }

    /// What became of trails since: the newest version of each that has another, the end of each that is gone.
    async fn newer_versions(
        &self,
        known: &ActiveTrails,
    ) -> Result<Vec<(TrailId, u64)>, TrailsError> {
        let catalog = &self.shared.catalog;
        let current = catalog.current_trails().await?;
        let mut newer = Vec::new();
        for trail in &current.trails {
            let version = known.get(&trail.id).map(|active| active.trail.version);
            if version.is_none_or(|version| version < trail.version) {
                newer.push((trail.id.clone(), trail.version));
            }
        }
        for active in known.all() {
            let id = &active.trail.id;
            let is_readable = current.trails.iter().any(|other| other.id == *id);
            if is_readable || current.unreadable.contains(id) {
                continue;
            }
            // Versions that lie between are no end.
            let mut end = active.trail.version + 1;
            loop {
                match catalog.trail_at(id, end).await {
                    Ok(None) => break,
                    Ok(Some(_)) | Err(CatalogError::Unreadable { .. }) => end += 1,
                    Err(error) => return Err(error.into()),
                }
            }
            newer.push((id.clone(), end));
        }
        Ok(newer)
    }

    async fn cut_if_due(
        &mut self,
        mut state: State,
        is_forced: bool,
    ) -> Result<State, TrailsError> {
        let cut = &state.cut;
        let is_due = self.until_due(&state).is_zero()
            || cut.content_bytes() >= self.shared.config.cut_bytes_max;
        if !(is_due || is_forced) || !(cut.has_moved() || cut.has_chains()) {
            return Ok(state);
        }
        let end = cut.end();
        let open = std::mem::replace(&mut state.cut, self.open_cut(None, end));
        let end = self.record(open).await?;
        state.cut = self.open_cut(Some(end), end);
        self.was_cut(&mut state);
        Ok(state)
    }

    /// Completes and records a cut, and tells the log and the delivery of it.
    async fn record(&mut self, open: OpenCut) -> Result<Sequence, TrailsError> {
        let shared = Arc::clone(&self.shared);
        let created_ms = shared.clock.now_ms();
        let room = if open.has_events() {
            self.room().await?
        } else {
            SpoolRoom::new(0, 0)
        };
        let finished = tokio::task::spawn_blocking(move || open.finish(created_ms, &room));
        let finished = finished
            .await
            .map_err(TrailsError::of_thread("completing files"))?;
        let cut: Cut = finished.map_err(TrailsError::Spool)?;
        failpoints::reach(failpoints::CUT_SPOOLED);
        if let Err(error) = shared.catalog.record_cut(&cut).await {
            self.doubtful
                .extend(cut.files.into_iter().map(|file| file.spooled));
            self.doubtful
                .extend(cut.feeds.into_iter().map(|feed| feed.spooled));
            return Err(error.into());
        }
        failpoints::reach(failpoints::CUT_RECORDED);
        shared.log.advance_reader(cut.partition, READER, cut.end);
        shared.counters.add_cut(&cut);
        if !cut.files.is_empty() {
            shared.delivery_due.notify_one();
        }
        if !cut.feeds.is_empty() {
            shared.outlets.due.notify_one();
        }
        if !cut.chains.is_empty() {
            shared.digests_due.notify_one();
        }
        for lost in &cut.lost {
            tracing::error!(
                trail = lost.trail.0,
                events = lost.events,
                "the spool is full: events of a trail are lost"
            );
        }
        for lost in &cut.lost_feeds {
            let outlet = lost.lane.outlet;
            shared.outlets.counters.add_events(outlet, 0, lost.events);
            tracing::error!(
                outlet = ?outlet,
                owner = lost.lane.owner,
                target = lost.lane.target,
                events = lost.events,
                "the spool is full: a log group or bus does not get events"
            );
        }
        Ok(cut.end)
    }

    async fn room(&self) -> Result<SpoolRoom, TrailsError> {
        let config = &self.shared.config;
        let spool = self.shared.spool.clone();
        let free = tokio::task::spawn_blocking(move || spool.free_bytes());
        let free = free
            .await
            .map_err(TrailsError::of_thread("measuring the disk"))??;
        // The event log must not starve for a bucket that takes nothing.
        let free = free.saturating_sub(config.free_bytes_min);
        let mut room = SpoolRoom::new(config.spool_bytes_max, config.spool_trail_bytes_max);
        for used in self.shared.catalog.spool_use().await? {
            let TrailId(trail) = used.trail;
            room.count(trail, used.bytes, used.bytes);
        }
        for used in self.shared.outlets.catalog().lane_use().await? {
            // Notifications are rows of the catalog alone.
            if used.lane.outlet == Outlet::Topic {
                continue;
            }
            room.count(budget_of(&used.lane), used.bytes, used.own_bytes);
        }
        room.bound(free);
        Ok(room)
    }

    fn was_cut(&self, state: &mut State) {
        state.due_ms = self.next_due_ms(self.shared.clock.now_ms());
        state.last_cut = self.shared.clock.monotonic();
    }

    /// The next whole multiple of the interval, by the wall clock (SEC-010).
    fn next_due_ms(&self, now_ms: i64) -> i64 {
        let interval = self.shared.config.delivery_interval.as_millis();
        let interval = i64::try_from(interval).unwrap_or(i64::MAX).max(1);
        now_ms
            .div_euclid(interval)
            .saturating_add(1)
            .saturating_mul(interval)
    }

    fn since_last(&self, state: &State) -> Duration {
        let now = self.shared.clock.monotonic();
        now.saturating_sub(state.last_cut)
    }

    /// Whichever clock says so first: a wall clock that was set back must not hold files up (S8).
    fn until_due(&self, state: &State) -> Duration {
        let interval = self.shared.config.delivery_interval;
        if !state.cut.has_events() {
            let idle = IDLE_CUT_INTERVAL.saturating_sub(self.since_last(state));
            return if state.cut.has_moved() {
                idle
            } else {
                interval
            };
        }
        let steady = interval.saturating_sub(self.since_last(state));
        let wall = state.due_ms.saturating_sub(self.shared.clock.now_ms());
        steady.min(Duration::from_millis(u64::try_from(wall).unwrap_or(0)))
    }
}
