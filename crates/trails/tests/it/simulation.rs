//! Cuts, digests and puts of a node in the order of virtual time, as its own loops would make them.

use std::time::Duration;

use cairn_platform::Clock as _;
use cairn_trails::PutSteps;

use crate::stage::Stage;

/// A node on a stage whose clock it moves.
pub(crate) struct Simulation {
    pub(crate) stage: Stage,
    steps: PutSteps,
    pub(crate) settings: Settings,
    next_cut: Duration,
    /// `eventID`s of everything that was sent.
    pub(crate) sent: Vec<String>,
    /// Most bytes that were in the spool.
    pub(crate) spool_bytes_max: u64,
}

/// How time passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Between two cuts, before each of which an event comes.
    pub(crate) cut_interval: Duration,
    /// The least that passes between two looks at what is due.
    pub(crate) step_min: Duration,
    /// Whether events come.
    pub(crate) is_sending: bool,
    /// Whether the wall clock stands still meanwhile.
    pub(crate) is_frozen: bool,
}

impl Simulation {
    /// A node as it is after a start.
    pub(crate) async fn start(mut stage: Stage, settings: Settings) -> Self {
        stage.restart().await;
        Self {
            steps: stage.trails.put_steps(),
            next_cut: stage.clock.monotonic(),
            stage,
            settings,
            sent: Vec::new(),
            spool_bytes_max: 0,
        }
    }

    /// Lets time pass.
    pub(crate) async fn run(&mut self, time: Duration) {
        let clock = std::sync::Arc::clone(&self.stage.clock);
        let until = clock.monotonic() + time;
        loop {
            if clock.monotonic() >= self.next_cut {
                self.next_cut = clock.monotonic() + self.settings.cut_interval;
                self.cut().await;
            }
            let mut pause = self.steps.start_due().await;
            while self.steps.end_one().await {
                pause = self.steps.start_due().await;
            }
            let now = clock.monotonic();
            if now >= until {
                return;
            }
            let next = whole_millis(pause.max(self.settings.step_min));
            let wall_ms = clock.now_ms();
            clock.advance(
                next.min(until.saturating_sub(now))
                    .min(self.next_cut.saturating_sub(now)),
            );
            if self.settings.is_frozen {
                clock.jump_to(wall_ms);
            }
        }
    }

    /// Files that wait for their bucket.
    pub(crate) async fn waiting(&self) -> u64 {
        let used = self.stage.trails.spool_use().await.expect("reads");
        used.iter().map(|one| one.files).sum()
    }

    /// All that was sent, sorted.
    pub(crate) fn sent_ids(&self) -> Vec<String> {
        let mut sent = self.sent.clone();
        sent.sort_unstable();
        sent
    }

    async fn cut(&mut self) {
        if self.settings.is_sending {
            self.sent.push(self.stage.event("us-east-1", "A").await);
        }
        self.stage.trails.cut_now().await.expect("cuts");
        self.stage.trails.sign_now().await.expect("signs");
        self.steps.tell();
        let spooled = self.stage.spooled();
        let sizes = spooled.iter().filter_map(|path| path.metadata().ok());
        let bytes: u64 = sizes.map(|file| file.len()).sum();
        self.spool_bytes_max = self.spool_bytes_max.max(bytes);
    }
}

/// The wall clock counts no parts of milliseconds.
pub(crate) fn whole_millis(pause: Duration) -> Duration {
    let millis = u64::try_from(pause.as_millis()).expect("days at most");
    Duration::from_millis(millis + 1)
}
