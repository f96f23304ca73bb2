//! Who is connected. At the limit, the connection that has waited longest without a request makes room,
//! so that idle connections cannot keep others out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_platform::Clock;
use tokio::sync::Notify;

/// All open connections of a listener.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Places taken, the one that waits for the next connection included.
    places: AtomicUsize,
    connected: AtomicUsize,
    closed: Notify,
    next_tick: AtomicU64,
    // Held for single map operations, never across an await.
    idle: Mutex<BTreeMap<u64, Arc<Notify>>>,
}

/// One open connection; dropping it frees its place.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    connections: Arc<Connections>,
    evict: Arc<Notify>,
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
            let closed = self.closed.notified();
            if self.places.load(Ordering::Relaxed) < max {
                break;
            }
            self.evict_longest_idle();
            closed.await;
        }
        self.places.fetch_add(1, Ordering::Relaxed);
        let place = ConnectionPlace {
            connections: Arc::clone(self),
            evict: Arc::new(Notify::new()),
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
        let mut idle = self.idle.lock().expect("no holder of this lock panics");
        if let Some((_, evict)) = idle.pop_first() {
            evict.notify_one();
        }
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
            let mut idle = self
                .connections
                .idle
                .lock()
                .expect("no holder of this lock panics");
            idle.remove(&tick);
        }
        drop(state);
        ActiveRequest {
            place: Arc::clone(self),
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
            let mut idle = self
                .connections
                .idle
                .lock()
                .expect("no holder of this lock panics");
            idle.remove(&tick);
        }
        self.become_idle(&mut state);
    }

    /// Completes when the connection must make room for another.
    pub(super) async fn evicted(&self) {
        self.evict.notified().await;
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
        let mut idle = self
            .connections
            .idle
            .lock()
            .expect("no holder of this lock panics");
        idle.insert(tick, Arc::clone(&self.evict));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PlaceState> {
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
            let mut idle = self
                .connections
                .idle
                .lock()
                .expect("no holder of this lock panics");
            idle.remove(&tick);
        }
        drop(state);
        self.connections.places.fetch_sub(1, Ordering::Relaxed);
        self.connections.closed.notify_one();
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    place: Arc<ConnectionPlace>,
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut state = self.place.lock();
        state.active -= 1;
        if state.active == 0 {
            self.place.become_idle(&mut state);
        }
    }
}
