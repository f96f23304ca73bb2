//! A wall clock for decisions that cannot be taken back: what is too old to keep.
//!
//! When the wall clock jumps (an operator, a broken NTP server), the time here goes on from where it was
//! by the monotonic clock, until the new wall time has proved itself for a day. So a jump of a year
//! neither removes rows nor turns events away (S8).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_platform::{Clock, UnixMillis};

/// A deviation that still passes for drift or a leap.
const DEVIATION_MAX_MS: i64 = 60 * 60 * 1_000;
/// How long a new wall time must hold before it is believed.
const PROBATION: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(crate) struct SteadyClock {
    clock: Arc<dyn Clock>,
    // Held for a few instructions and never across an await.
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    wall_ms: UnixMillis,
    monotonic: Duration,
    /// Since when the wall clock has shown another time, and how far off it is.
    suspicion: Option<(Duration, i64)>,
}

impl SteadyClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (wall_ms, monotonic) = (clock.now_ms(), clock.monotonic());
        let state = Mutex::new(State {
            wall_ms,
            monotonic,
            suspicion: None,
        });
        Self { clock, state }
    }

    pub(crate) fn now_ms(&self) -> UnixMillis {
        let (wall_ms, monotonic) = (self.clock.now_ms(), self.clock.monotonic());
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let passed = monotonic.saturating_sub(state.monotonic);
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let expected_ms = state.wall_ms.saturating_add(passed_ms);
        let deviation = wall_ms.saturating_sub(expected_ms);
        if deviation.abs() <= DEVIATION_MAX_MS {
            *state = State {
                wall_ms,
                monotonic,
                suspicion: None,
            };
            return wall_ms;
        }
        let same = |known: i64| known.saturating_sub(deviation).abs() <= DEVIATION_MAX_MS;
        match state.suspicion {
            Some((since, known)) if same(known) => {
                if monotonic.saturating_sub(since) >= PROBATION {
                    *state = State {
                        wall_ms,
                        monotonic,
                        suspicion: None,
                    };
                    return wall_ms;
                }
            }
            _ => {
                tracing::warn!(
                    deviation_ms = deviation,
                    "wall clock jumped, not believed yet"
                );
                state.suspicion = Some((monotonic, deviation));
            }
        }
        expected_ms
    }
}

#[cfg(test)]
mod tests {
    use cairn_platform::ManualClock;

    use super::*;

    const HOUR_MS: i64 = 60 * 60 * 1_000;

    #[test]
    fn a_jump_is_believed_after_a_day() {
        let clock = ManualClock::at(1_000 * HOUR_MS);
        let steady = SteadyClock::new(Arc::new(clock.clone()));
        clock.advance(Duration::from_hours(720));
        assert_eq!(steady.now_ms(), 1_720 * HOUR_MS, "plain passing of time");
        for jump in [9_000, -1_000] {
            let before = steady.now_ms();
            clock.jump_to(before + jump * HOUR_MS);
            assert_eq!(steady.now_ms(), before, "jump of {jump} h");
            clock.advance(Duration::from_hours(23));
            assert_eq!(steady.now_ms(), before + 23 * HOUR_MS);
            clock.jump_to(before + 23 * HOUR_MS);
            assert_eq!(steady.now_ms(), before + 23 * HOUR_MS, "it came back");
        }
        let before = steady.now_ms();
        clock.jump_to(before + 9_000 * HOUR_MS);
        assert_eq!(steady.now_ms(), before);
        clock.advance(PROBATION);
        assert_eq!(steady.now_ms(), before + 9_024 * HOUR_MS);
    }
}
