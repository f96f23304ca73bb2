//! Where the lake's heavy work runs: making rows, encoding, merging. Acknowledging events comes first, so
//! this work takes the processor time that requests leave. If it falls too far behind, it takes an equal
//! share until it has caught up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_platform::IdleThreads;
use tokio::sync::oneshot;

use crate::error::LakeError;

/// The writer, the flush that it has started, and maintenance can each have one piece of work under way.
const THREADS: usize = 3;

/// Runs heavy work off the async threads.
#[derive(Debug)]
pub(crate) struct Workers {
    idle: IdleThreads,
    /// True while the tables lag behind the log by more than is allowed.
    behind: AtomicBool,
}

impl Workers {
    pub(crate) fn start() -> Result<Self, LakeError> {
        let idle = IdleThreads::start("lake", THREADS);
        Ok(Self {
            idle: idle.map_err(|error| LakeError::TaskLost(error.to_string()))?,
            behind: AtomicBool::new(false),
        })
    }

    /// Notes whether the tables lag too far; work begun from now on goes by it.
    pub(crate) fn set_behind(&self, behind: bool) {
        if self.behind.swap(behind, Ordering::Relaxed) != behind {
            tracing::info!(behind, "the tables' share of the processor changes");
        }
    }

    /// True while the tables lag too far.
    pub(crate) fn are_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, LakeError> + Send + 'static,
    {
        if self.are_behind() {
            let done = tokio::task::spawn_blocking(work).await;
            return done.unwrap_or_else(|lost| Err(LakeError::TaskLost(lost.to_string())));
        }
        let (tell, told) = oneshot::channel();
        self.idle.run(move || {
            let done = catch_unwind(AssertUnwindSafe(work));
            // Whoever asked may have gone away.
            let _ = tell.send(done.unwrap_or_else(|_| {
                Err(LakeError::TaskLost("a piece of work panicked".to_owned()))
            }));
        });
        told.await
            .unwrap_or_else(|lost| Err(LakeError::TaskLost(lost.to_string())))
    }
}
