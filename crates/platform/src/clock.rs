//! Time. All of Cairn reads it here, so that thirty days pass in milliseconds in a test (R17).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z by the wall clock, which may jump.
pub type UnixMillis = i64;

/// Wall-clock time and waiting.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn now_ms(&self) -> UnixMillis;

    /// Time since an arbitrary start, which never goes back: for measuring and for deadlines.
    fn monotonic(&self) -> Duration;

    /// Completes once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// The machine's clock, its monotonic time counted from now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now_ms(&self) -> UnixMillis {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that sleeps"
    )]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it; sleepers wake in the order of their deadlines.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    wall_ms: UnixMillis,
    monotonic: Duration,
    sleepers: Vec<(Duration, tokio::sync::oneshot::Sender<()>)>,
}

impl ManualClock {
    /// A clock that shows `wall_ms`.
    pub fn at(wall_ms: UnixMillis) -> Self {
        let state = ManualState {
            wall_ms,
            monotonic: Duration::ZERO,
            sleepers: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Lets `duration` pass on both clocks and wakes whoever waited for it.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.wall_ms +=
            i64::try_from(duration.as_millis()).expect("tests advance by years at most");
        state.monotonic += duration;
        let now = state.monotonic;
        let (mut due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut state.sleepers)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        state.sleepers = waiting;
        drop(state);
        due.sort_by_key(|(at, _)| *at);
        for (_, wake) in due {
            // A sleeper that has gone away needs no waking.
            let _ = wake.send(());
        }
    }

    /// Sets the wall clock alone, as an operator or NTP would; it may go back.
    pub fn jump_to(&self, wall_ms: UnixMillis) {
        self.lock().wall_ms = wall_ms;
    }

    /// How many sleepers wait: a test advances once the code under test has gone to sleep.
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    // Held for a few instructions and never across an await.
    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> UnixMillis {
        self.lock().wall_ms
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (wake, woken) = tokio::sync::oneshot::channel();
        if duration.is_zero() {
            // Nothing to wait for, but others get their turn.
            return Box::pin(tokio::task::yield_now());
        }
        let mut state = self.lock();
        let deadline = state.monotonic + duration;
        state.sleepers.push((deadline, wake));
        drop(state);
        Box::pin(async move {
            // The clock was dropped: nobody will ever move it, so the sleeper must not run on.
            if woken.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
