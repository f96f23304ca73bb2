//! Rates: token buckets by principal, or by account and Region, on the server's clock (R18).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_platform::Clock;

use crate::config::AdmissionConfig;

/// Buckets kept before the full ones, which remember nothing, are dropped.
const BUCKETS_SWEEP: usize = 10_000;
/// So often at most: a sweep looks at every bucket while all callers wait.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A token bucket for each key. A key that nobody uses costs nothing for long.
#[derive(Debug)]
pub(crate) struct RateLimit<K> {
    per_second: u64,
    burst: u64,
    clock: Arc<dyn Clock>,
    // Held for a few instructions, never across an await.
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    by_key: HashMap<K, Bucket>,
    swept_at: Duration,
}

/// Tokens are counted in millionths: one for each microsecond at one a second, so nothing is rounded.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    microtokens: u64,
    filled_at: Duration,
}

impl<K: Eq + Hash> RateLimit<K> {
    pub(crate) fn new(config: AdmissionConfig, clock: Arc<dyn Clock>) -> Self {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX / 1_000_000);
        Self {
            per_second: wide(config.requests_per_second),
            burst: wide(config.requests_burst),
            buckets: Mutex::new(Buckets {
                by_key: HashMap::new(),
                swept_at: clock.monotonic(),
            }),
            clock,
        }
    }

    /// Takes a token of `key`'s bucket; `false` if there is none.
    pub(crate) fn admit(&self, key: K) -> bool {
        let now = self.clock.monotonic();
        let full = self.burst * 1_000_000;
        let mut buckets = self.buckets.lock().expect("no holder of this lock panics");
        let is_due = now.saturating_sub(buckets.swept_at) >= SWEEP_INTERVAL;
        if is_due && buckets.by_key.len() > BUCKETS_SWEEP {
            buckets.swept_at = now;
            buckets
                .by_key
                .retain(|_, bucket| self.level(bucket, now) < full);
        }
        let bucket = buckets.by_key.entry(key).or_insert(Bucket {
            microtokens: full,
            filled_at: now,
        });
        bucket.microtokens = self.level(bucket, now);
        bucket.filled_at = now;
        let admitted = bucket.microtokens >= 1_000_000;
        if admitted {
            bucket.microtokens -= 1_000_000;
        }
        admitted
    }

    fn level(&self, bucket: &Bucket, now: Duration) -> u64 {
        let elapsed = now.saturating_sub(bucket.filled_at).as_micros();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let gained = elapsed.saturating_mul(self.per_second);
        bucket
            .microtokens
            .saturating_add(gained)
            .min(self.burst * 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use cairn_platform::ManualClock;

    use super::*;

    fn limit(requests_per_second: usize, requests_burst: usize) -> (RateLimit<u8>, ManualClock) {
        let clock = ManualClock::at(0);
        let config = AdmissionConfig {
            requests_per_second,
            requests_burst,
        };
        (RateLimit::new(config, Arc::new(clock.clone())), clock)
    }

    // Proves: OVR-092
    #[test]
    fn two_a_second_means_two_a_second() {
        let (limit, clock) = limit(2, 2);
        let admitted = |key| (0..5).filter(|_| limit.admit(key)).count();
        assert_eq!(admitted(1), 2);
        assert_eq!(admitted(2), 2, "another key has its own bucket");
        clock.advance(Duration::from_millis(500));
        assert_eq!(admitted(1), 1);
        clock.advance(Duration::from_mins(1));
        assert_eq!(
            admitted(1),
            2,
            "a pause does not save up more than the burst"
        );
    }

    #[test]
    fn frequent_questions_do_not_lose_fractions() {
        let (limit, clock) = limit(1, 1);
        assert!(limit.admit(0));
        let mut admitted = 0;
        for _ in 0..10_000 {
            clock.advance(Duration::from_millis(1));
            admitted += usize::from(limit.admit(0));
        }
        assert_eq!(admitted, 10);
    }

    #[test]
    fn buckets_that_remember_nothing_are_dropped() {
        let clock = ManualClock::at(0);
        let config = AdmissionConfig {
            requests_per_second: 1_000,
            requests_burst: 1,
        };
        let limit: RateLimit<usize> = RateLimit::new(config, Arc::new(clock.clone()));
        for key in 0..=BUCKETS_SWEEP {
            limit.admit(key);
        }
        clock.advance(Duration::from_secs(2));
        limit.admit(0);
        let kept = || limit.buckets.lock().expect("unpoisoned").by_key.len();
        assert_eq!(kept(), 1);
        for key in 0..=BUCKETS_SWEEP {
            limit.admit(key);
        }
        clock.advance(SWEEP_INTERVAL / 2);
        limit.admit(0);
        assert_eq!(kept(), BUCKETS_SWEEP + 1, "it was swept a moment ago");
        clock.advance(SWEEP_INTERVAL / 2);
        limit.admit(0);
        assert_eq!(kept(), 1);
    }
}
