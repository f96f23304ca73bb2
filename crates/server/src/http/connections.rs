//! Who is connected. At the limit, the connection that has waited longest without a request makes room,
//! so that idle connections cannot keep others out. One that is being answered keeps its place until
//! the answer has gone out whole, or its client takes nothing for the idle time.

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
    /// The end of a large answer has been made, but may not have reached the socket yet.
    has_tail: AtomicBool,
    // Held for a few instructions, never across an await.
    state: Mutex<PlaceState>,
}

#[derive(Debug)]
struct PlaceState {
    connected: bool,
    /// Requests that are being worked on.
    handling: usize,
    /// Large answers of which the client takes piece by piece.
    sending: usize,
    idle_tick: Option<u64>,
    /// The last moment at which something was worked on or an answer moved on.
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
            has_tail: AtomicBool::new(false),
            state: Mutex::new(PlaceState {
                connected: false,
                handling: 0,
                sending: 0,
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
        state.handling += 1;
        self.leave_idle(&mut state);
        drop(state);
        ActiveRequest {
            place: Arc::clone(self),
            is_over: AtomicBool::new(false),
        }
    }

    /// A large answer begins to go out; the connection is not idle until the guard is dropped and the
    /// socket has been flushed.
    pub(super) fn begin_answer(self: &Arc<Self>) -> AnswerOnItsWay {
        let mut state = self.lock();
        state.sending += 1;
        self.leave_idle(&mut state);
        drop(state);
        AnswerOnItsWay(Arc::clone(self))
    }

    /// Bytes went to the socket. While the end of a large answer goes out, that is progress.
    pub(super) fn wrote(&self) {
        if self.has_tail.load(Ordering::Acquire) {
            self.lock().idle_since = self.clock.monotonic();
        }
    }

    /// Everything that was handed to the connection is in the socket.
    pub(super) fn flushed(&self) {
        if self.has_tail.swap(false, Ordering::AcqRel) {
            self.settle_idle(&mut self.lock());
        }
    }

    /// Completes when the connection must make room for another. One that has begun a request since it was
    /// chosen stays: nobody shall be left without an answer.
    pub(super) async fn evicted(&self) {
        loop {
            self.eviction.wanted.notified().await;
            if !self.is_in_use(&self.lock()) {
                return;
            }
            self.connections.settle(&self.eviction);
            self.connections.changed.notify_one();
        }
    }

    /// How long no request has been in progress and no answer has moved on.
    pub(super) fn idle_for(&self) -> Duration {
        let state = self.lock();
        if state.handling > 0 {
            return Duration::ZERO;
        }
        self.clock.monotonic().saturating_sub(state.idle_since)
    }

    fn is_in_use(&self, state: &PlaceState) -> bool {
        state.handling > 0 || state.sending > 0 || self.has_tail.load(Ordering::Acquire)
    }

    fn leave_idle(&self, state: &mut PlaceState) {
        if let Some(tick) = state.idle_tick.take() {
            self.connections.idle().by_tick.remove(&tick);
        }
    }

    /// Something has ended: the connection is idle if nothing else goes on.
    fn settle_idle(&self, state: &mut PlaceState) {
        state.idle_since = self.clock.monotonic();
        if !self.is_in_use(state) && state.idle_tick.is_none() {
            self.become_idle(state);
        }
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
        state.handling -= 1;
        self.place.settle_idle(&mut state);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.over();
    }
}

/// A large answer that goes out piece by piece.
#[derive(Debug)]
pub(super) struct AnswerOnItsWay(Arc<ConnectionPlace>);

impl AnswerOnItsWay {
    /// The connection took a piece of it, because the client has taken those before.
    pub(super) fn progressed(&self) {
        self.0.lock().idle_since = self.0.clock.monotonic();
    }
}

impl Drop for AnswerOnItsWay {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.sending -= 1;
        if state.sending == 0 {
            self.0.has_tail.store(true, Ordering::Release);
        }
        self.0.settle_idle(&mut state);
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
