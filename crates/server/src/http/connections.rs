//! Who is connected. At the limit, the connection that has waited longest without a request makes room,
//! so that idle connections cannot keep others out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use cairn_platform::Clock;
use tokio::sync::Notify;

/// All open connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Places taken, the one that waits for the next connection included.
    places: AtomicUsize,
    connected: AtomicUsize,
    /// A connection was closed, has become idle or did not have to leave: whoever waits looks again.
    changed: Notify,
    next_tick: AtomicU64,
    // Held for single map operations, never across an await.
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    by_tick: BTreeMap<u64, Arc<Eviction>>,
    /// True while one that was told to leave is still there: one goes at a time.
    leaving: bool,
}

#[derive(Debug, Default)]
struct Eviction {
    wanted: Notify,
    chosen: AtomicBool,
}

/// One open connection; dropping it frees its place.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    connections: Arc<Connections>,
    eviction: Arc<Eviction>,
    clock: Arc<dyn Clock>,
    // Held for a few instructions, never across an await.
    state: Mutex<PlaceState>,
}

#[derive(Debug)]
struct PlaceState {
    connected: bool,
    active: usize,
    idle_tick: Option<u64>,
    idle_since: Duration,
}

impl Connections {
    /// Waits for a place if `max` are taken, sending the longest idle connection away.
    pub(super) async fn admit(
        self: &Arc<Self>,
        max: usize,
        clock: &Arc<dyn Clock>,
    ) -> Arc<ConnectionPlace> {
        loop {
            let changed = self.changed.notified();
            if self.places.load(Ordering::Relaxed) < max {
                break;
            }
            self.evict_longest_idle();
            changed.await;
        }
        self.places.fetch_add(1, Ordering::Relaxed);
        let place = ConnectionPlace {
            connections: Arc::clone(self),
            eviction: Arc::default(),
            clock: Arc::clone(clock),
            state: Mutex::new(PlaceState {
                connected: false,
                active: 0,
                idle_tick: None,
                idle_since: clock.monotonic(),
            }),
        };
        place.become_idle(&mut place.lock());
        Arc::new(place)
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    fn evict_longest_idle(&self) {
        let mut idle = self.idle();
        if idle.leaving {
            return;
        }
        if let Some((_, eviction)) = idle.by_tick.pop_first() {
            idle.leaving = true;
            eviction.chosen.store(true, Ordering::Release);
            eviction.wanted.notify_one();
        }
    }

    /// The one that was told to leave has done so, or stays.
    fn settle(&self, eviction: &Eviction) {
        if eviction.chosen.swap(false, Ordering::AcqRel) {
            self.idle().leaving = false;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().expect("no holder of this lock panics")
    }
}

impl ConnectionPlace {
    /// A connection has come to the place.
    pub(super) fn connect(&self) {
        let mut state = self.lock();
        state.connected = true;
        state.idle_since = self.clock.monotonic();
        self.connections.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// A request begins; the connection is not idle until the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> ActiveRequest {
        let mut state = self.lock();
        state.active += 1;
        if let Some(tick) = state.idle_tick.take() {
            self.connections.idle().by_tick.remove(&tick);
        }
        drop(state);
        ActiveRequest {
            place: Arc::clone(self),
            is_over: AtomicBool::new(false),
        }
    }

    /// The client took a part of an answer: the connection is in use although no request is being
    /// worked on.
    pub(super) fn progressed(&self) {
        let mut state = self.lock();
        if state.active > 0 {
            return;
        }
        if let Some(tick) = state.idle_tick.take() {
            self.connections.idle().by_tick.remove(&tick);
        }
        self.become_idle(&mut state);
    }

    /// Completes when the connection must make room for another. One that has begun a request since it was
    /// chosen stays: nobody shall be left without an answer.
    pub(super) async fn evicted(&self) {
        loop {
            self.eviction.wanted.notified().await;
            if self.lock().active == 0 {
                return;
            }
            self.connections.settle(&self.eviction);
            self.connections.changed.notify_one();
        }
    }

    /// How long no request has been in progress and no answer has moved on.
    pub(super) fn idle_for(&self) -> Duration {
        let state = self.lock();
        if state.active > 0 {
            return Duration::ZERO;
        }
        self.clock.monotonic().saturating_sub(state.idle_since)
    }

    fn become_idle(&self, state: &mut PlaceState) {
        let tick = self.connections.next_tick.fetch_add(1, Ordering::Relaxed);
        state.idle_tick = Some(tick);
        state.idle_since = self.clock.monotonic();
        let eviction = Arc::clone(&self.eviction);
        self.connections.idle().by_tick.insert(tick, eviction);
        self.connections.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, PlaceState> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let state = self.lock();
        if state.connected {
            self.connections.connected.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(tick) = state.idle_tick {
            self.connections.idle().by_tick.remove(&tick);
        }
        drop(state);
        self.connections.settle(&self.eviction);
        self.connections.places.fetch_sub(1, Ordering::Relaxed);
        self.connections.changed.notify_one();
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    place: Arc<ConnectionPlace>,
    is_over: AtomicBool,
}

impl ActiveRequest {
    /// What is left of the request holds no place: its connection may be closed for another.
    fn over(&self) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.place.lock();
        state.active -= 1;
        if state.active == 0 {
            self.place.become_idle(&mut state);
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.over();
    }
}

/// How a handler tells that a request deserves no place any more. Travels in the request's extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(Weak<ActiveRequest>);

impl Activity {
    pub(super) fn of(request: &Arc<ActiveRequest>) -> Self {
        Self(Arc::downgrade(request))
    }

    /// The request counts no longer, though it is not answered yet.
    pub(super) fn over(&self) {
        if let Some(request) = self.0.upgrade() {
            request.over();
        }
    }
}

#[cfg(test)]
mod tests;
