//! A wall clock for decisions that cannot be taken back: what is too old to keep.
//!
//! When the wall clock jumps (an operator, a broken NTP server), the time here goes on from where it was
//! by the monotonic clock, until the new wall time has proved itself for a day. A process that starts
//! compares its wall clock with the newest time that an earlier one made durable, so a start with a wrong
//! clock is such a jump as well. Events are removed or turned away only if both times say that they are
//! old. So a jump of a year neither removes rows nor turns events away (S8).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_platform::{Clock, UnixMillis};

/// A deviation that still passes for drift or a leap.
const DEVIATION_MAX_MS: i64 = 60 * 60 * 1_000;
/// How long a new wall time must hold before it is believed.
const PROBATION: Duration = Duration::from_hours(24);
/// A process that was stopped for up to this long finds the wall clock ahead of the durable time. More
/// often than not the clock is right then: it is believed sooner, so that a machine that is switched off
/// every night does not fall behind for ever.
const OUTAGE_MAX_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// How long such a wall time must hold.
const PROBATION_AFTER_OUTAGE: Duration = Duration::from_hours(1);

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
    /// The newest time that an earlier process left behind, as long as nothing newer has been believed.
    durable_ms: Option<UnixMillis>,
    /// Since when the wall clock has shown another time, and how far off it is.
    suspicion: Option<(Duration, i64)>,
}

impl State {
    fn believed(wall_ms: UnixMillis, monotonic: Duration) -> Self {
        Self {
            wall_ms,
            monotonic,
            durable_ms: None,
            suspicion: None,
        }
    }

    fn probation(&self, deviation: i64) -> Duration {
        if self.durable_ms.is_some() && (0..=OUTAGE_MAX_MS).contains(&deviation) {
            PROBATION_AFTER_OUTAGE
        } else {
            PROBATION
        }
    }
}

impl SteadyClock {
    /// A clock that believes the wall clock, knowing nothing else.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State::believed(clock.now_ms(), clock.monotonic()));
        Self { clock, state }
    }

    /// Tells a time that an earlier process made durable: now cannot be before it, and hardly long after.
    pub(crate) fn anchor(&self, durable_ms: UnixMillis) {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let newest_ms = state
            .durable_ms
            .map_or(durable_ms, |known| known.max(durable_ms));
        *state = State {
            durable_ms: Some(newest_ms),
            ..State::believed(newest_ms, self.clock.monotonic())
        };
    }

    /// The time that is most likely right.
    pub(crate) fn now_ms(&self) -> UnixMillis {
        self.read(self.clock.now_ms())
    }

    /// The earliest time that it may be: for what is lost for good if it is not yet that late.
    pub(crate) fn earliest_ms(&self) -> UnixMillis {
        let wall_ms = self.clock.now_ms();
        self.read(wall_ms).min(wall_ms)
    }

    /// The latest time that it may be: for what must not come too early, counted from now.
    pub(crate) fn latest_ms(&self) -> UnixMillis {
        let wall_ms = self.clock.now_ms();
        self.read(wall_ms).max(wall_ms)
    }

    fn read(&self, wall_ms: UnixMillis) -> UnixMillis {
        let monotonic = self.clock.monotonic();
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let passed = monotonic.saturating_sub(state.monotonic);
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let expected_ms = state.wall_ms.saturating_add(passed_ms);
        let deviation = wall_ms.saturating_sub(expected_ms);
        if deviation.saturating_abs() <= DEVIATION_MAX_MS {
            *state = State::believed(wall_ms, monotonic);
            return wall_ms;
        }
        let same = |known: i64| known.abs_diff(deviation) <= DEVIATION_MAX_MS.unsigned_abs();
        match state.suspicion {
            Some((since, known)) if same(known) => {
                if monotonic.saturating_sub(since) >= state.probation(deviation) {
                    *state = State::believed(wall_ms, monotonic);
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
    #[test]
    fn a_start_with_another_time_than_the_durable_one_is_a_jump() {
        let (durable, year) = (1_000_000 * HOUR_MS, 8_784);
        for (hours, probation) in [(year, 24_u64), (-year, 24), (-2, 24), (8 * 24, 24), (60, 1)] {
            let clock = ManualClock::at(durable + hours * HOUR_MS);
            let steady = SteadyClock::new(Arc::new(clock.clone()));
            steady.anchor(durable);
            steady.anchor(durable - HOUR_MS);
            assert_eq!(steady.now_ms(), durable, "start {hours} h off");
            assert_eq!(steady.earliest_ms(), durable + (hours * HOUR_MS).min(0));
            assert_eq!(steady.latest_ms(), durable + (hours * HOUR_MS).max(0));
            clock.advance(Duration::from_secs(probation * 3_600 - 1));
            assert_eq!(
                steady.now_ms(),
                durable + probation.cast_signed() * HOUR_MS - 1_000
            );
            clock.advance(Duration::from_secs(1));
            assert_eq!(steady.now_ms(), clock.now_ms(), "start {hours} h off");
        }
        let clock = ManualClock::at(durable + HOUR_MS);
        let steady = SteadyClock::new(Arc::new(clock));
        steady.anchor(durable);
        assert_eq!(steady.now_ms(), durable + HOUR_MS, "a short stop");
    }
}
