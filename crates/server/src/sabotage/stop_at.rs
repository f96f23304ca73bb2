//! The end of the process at a named point, as `kill -9` makes it: no thread goes on, nothing is unwound,
//! flushed or told. What the points are stands in the `failpoints` of each crate.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// `wanted` is `NAME:N`: the point, and at which of its visits the process ends.
pub(super) fn arm(wanted: &str) {
    let (point, visit) = wanted
        .rsplit_once(':')
        .expect("the fault names a point and a visit");
    let visit: u64 = visit.parse().expect("the visit is a number");
    let visits = AtomicU64::new(0);
    let stop = move || {
        if visits.fetch_add(1, Ordering::SeqCst) + 1 == visit {
            // No thread of a process comes back from this; were it refused, an abort is as sudden.
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort();
        }
    };
    fail::cfg_callback(point, stop).expect("a callback needs no action to be read");
}
