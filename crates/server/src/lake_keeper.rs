//! The lake while the server runs. Tables that cannot be read keep nobody waiting but lookups: doors and
//! log do not depend on them, and the lake is opened as soon as somebody has mended it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cairn_catalog::lake::LakeCatalog;
use cairn_eventlog::EventLog;
use cairn_lake::{Lake, LakeConfig, LakeError};
use cairn_platform::{Clock, Entropy};
use tokio::sync::watch;

/// Pause before tables that could not be read are read again, and told again if they still cannot.
const RETRY: Duration = Duration::from_secs(10);

/// Opens the lake, and keeps it going.
#[derive(Debug)]
pub(crate) struct LakeKeeper {
    config: LakeConfig,
    catalog: Arc<dyn LakeCatalog>,
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    opened: OnceLock<Arc<Lake>>,
}

impl LakeKeeper {
    /// Opens the lake; with tables that cannot be read it is left closed, and `run` tries again. An error is
    /// one that only whoever starts the server can mend: a wrong log or catalog, a wrong setting.
    pub(crate) async fn open(
        config: LakeConfig,
        catalog: Arc<dyn LakeCatalog>,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, LakeError> {
        let keeper = Self {
            config,
            catalog,
            log,
            clock,
            entropy,
            opened: OnceLock::new(),
        };
        keeper.open_unless_damaged().await?;
        Ok(keeper)
    }

    /// The lake; `None` while its tables cannot be read.
    pub(crate) fn lake(&self) -> Option<&Arc<Lake>> {
        self.opened.get()
    }

    /// Runs the lake until `stop` turns true, and opens it first if it is closed. An error means that this
    /// process must stop: an open lake that meets what it cannot go on from, such as damage, is closed by
    /// the next start.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), LakeError> {
        loop {
            if let Some(lake) = self.lake() {
                return lake.run(stop).await;
            }
            tokio::select! {
                () = self.clock.sleep(RETRY) => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            match self.open_unless_damaged().await {
                // The catalog or the log may be busy, or their disk full.
                Err(error) if error.is_retryable() => tell(&error),
                opened => opened?,
            }
        }
    }

    async fn open_unless_damaged(&self) -> Result<(), LakeError> {
        let opened = Lake::open(
            self.config.clone(),
            Arc::clone(&self.catalog),
            Arc::clone(&self.log),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        );
        match opened.await {
            Ok(lake) => {
                self.opened.get_or_init(|| lake);
                Ok(())
            }
            Err(error) if error.is_of_the_store() => {
                tell(&error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn tell(error: &LakeError) {
    tracing::error!(
        %error,
        "the lake's tables cannot be read: events are accepted and wait in the log"
    );
}
