//! The clock that tests move.

use std::time::Duration;

use cairn_platform::{Clock as _, ManualClock};

/// Whether a sleep ends while nobody moves the clock and others get some turns.
async fn ends_alone(clock: &ManualClock, duration: Duration) -> bool {
    let others = async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = clock.sleep(duration) => true,
        () = others => false,
    }
}

#[tokio::test]
async fn only_a_sleep_of_no_time_ends_while_the_clock_stands_still() {
    let clock = ManualClock::at(0);
    assert!(ends_alone(&clock, Duration::ZERO).await);
    assert!(!ends_alone(&clock, Duration::from_millis(1)).await);
    let sleeper = clock.sleep(Duration::from_millis(1));
    clock.advance(Duration::from_millis(1));
    sleeper.await;
}
