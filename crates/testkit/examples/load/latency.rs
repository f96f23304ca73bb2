//! Percentiles of durations.

use std::time::Duration;

use serde_json::{Value, json};

/// Milliseconds at the usual places of a sorted list.
pub(crate) fn summary(mut durations: Vec<Duration>) -> Value {
    durations.sort_unstable();
    let at = |per_mille: usize| {
        let index = (durations.len() * per_mille / 1000).min(durations.len().saturating_sub(1));
        durations
            .get(index)
            .map_or(0.0, |duration| milliseconds(*duration))
    };
    json!({ "p50_ms": at(500), "p90_ms": at(900), "p99_ms": at(990), "max_ms": at(1000) })
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
