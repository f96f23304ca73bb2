//! Every background loop of the server, in one place. A loop that ends although nobody stopped it takes
//! the process down with it: a server that quietly stops doing half its work is worse than none.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cairn_bucket::Due;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bucket_gate::{BucketGate, LAKE_BUCKET};
use crate::error::StartError;
use crate::kms;
use crate::pipeline::Server;
use crate::sabotage;

/// How often the last uses of access keys are written down.
const KEY_USES_INTERVAL: Duration = Duration::from_mins(1);
/// How often files are looked for that a crash has left among the bodies of objects.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);
/// How often the sealed segments of the event log are read and compared with their checksums (R6).
const SCRUB_INTERVAL: Duration = Duration::from_hours(24);

/// How often keys are looked for that are to be deleted, or to get new material.
const KEYS_INTERVAL: Duration = Duration::from_mins(1);

type Loop = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The running loops.
#[derive(Debug)]
pub(crate) struct Background {
    loops: JoinSet<(&'static str, Result<(), String>)>,
    stop: watch::Sender<bool>,
}

impl Background {
    /// Starts every loop.
    pub(crate) fn start(server: &Arc<Server>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut background = Self {
            loops: JoinSet::new(),
            stop,
        };
        for (name, task) in [
            ("lake", lake(server, stopped.clone())),
            ("trails", trails(server, stopped.clone())),
            ("outbox", outbox(server, stopped.clone())),
            ("waiting room", waiting_room(server, stopped.clone())),
            ("key uses", key_uses(server, stopped.clone())),
            ("keys", keys(server, stopped.clone())),
            ("scrub", scrub(server, stopped.clone())),
            ("access logs", access_logs(server, stopped.clone())),
            ("buckets", buckets(server, stopped)),
        ] {
            background.loops.spawn(async move { (name, task.await) });
        }
        background
    }

    /// Completes when a loop has ended by itself.
    pub(crate) async fn stopped(&mut self) -> StartError {
        match self.loops.join_next().await {
            Some(Ok((part, Ok(())))) => StartError::PartStopped {
                part,
                reason: "it returned".into(),
            },
            Some(Ok((part, Err(reason)))) => StartError::PartStopped { part, reason },
            Some(Err(panicked)) => StartError::PartStopped {
                part: "a loop",
                reason: panicked.to_string(),
            },
            None => std::future::pending().await,
        }
    }

    /// Tells every loop to finish what it has, and waits.
    pub(crate) async fn stop(mut self) {
        // Without receivers there is nobody left to tell.
        let _ = self.stop.send(true);
        while let Some(ended) = self.loops.join_next().await {
            if let Ok((part, Err(reason))) = ended {
                tracing::error!(part, reason, "a background loop did not end well");
            }
        }
    }
}

fn lake(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> Loop {
    let keeper = Arc::clone(&server.lake);
    Box::pin(async move {
        if sabotage::stops_the_lake() {
            // A sender that is gone stops it as well.
            let _ = stop.wait_for(|stopped| *stopped).await;
            return Ok(());
        }
        keeper.run(stop).await.map_err(|error| error.to_string())
    })
}

fn trails(server: &Arc<Server>, stop: watch::Receiver<bool>) -> Loop {
    let trails = Arc::clone(&server.trails);
    Box::pin(async move { trails.run(stop).await.map_err(|error| error.to_string()) })
}

fn outbox(server: &Arc<Server>, stop: watch::Receiver<bool>) -> Loop {
    let outbox = Arc::clone(&server.outbox);
    Box::pin(async move {
        outbox.run(stop).await;
        Ok(())
    })
}

fn waiting_room(server: &Arc<Server>, stop: watch::Receiver<bool>) -> Loop {
    let server = Arc::clone(server);
    Box::pin(async move {
        let (doors, clock) = (Arc::clone(&server.doors), Arc::clone(&server.clock));
        server.waiting_room.run(doors, clock, stop).await;
        Ok(())
    })
}

fn key_uses(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> Loop {
    let server = Arc::clone(server);
    Box::pin(async move {
        while pause(&server, KEY_USES_INTERVAL, &mut stop).await {
            if let Err(error) = server.world.catalog.write_key_uses().await {
                tracing::warn!(error = %error, "the last uses of access keys could not be written");
            }
        }
        Ok(())
    })
}

fn keys(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> Loop {
    let server = Arc::clone(server);
    Box::pin(async move {
        while pause(&server, KEYS_INTERVAL, &mut stop).await {
            if let Err(error) = kms::keep_appointments(&server).await {
                tracing::warn!(error = %error, "what keys are due for could not be done");
            }
        }
        Ok(())
    })
}

fn scrub(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> Loop {
    let server = Arc::clone(server);
    Box::pin(async move {
        while pause(&server, SCRUB_INTERVAL, &mut stop).await {
            let report = server.log.scrub().await;
            for damage in &report.damage {
                tracing::error!(
                    segment = damage.segment,
                    offset = damage.offset,
                    reason = damage.reason,
                    "a segment of the event log is damaged"
                );
            }
        }
        Ok(())
    })
}

fn buckets(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> Loop {
    let server = Arc::clone(server);
    Box::pin(async move {
        while pause(&server, SWEEP_INTERVAL, &mut stop).await {
            match server.buckets.sweep().await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "swept bodies that no object has"),
                Err(error) => tracing::warn!(error = %error, "bodies could not be swept"),
            }
        }
        Ok(())
    })
}

/// Delivers what is full at once, and everything after each interval and at the end.
fn access_logs(server: &Arc<Server>, mut stop: watch::Receiver<bool>) -> Loop {
    let gate = BucketGate {
        server: Arc::clone(server),
        lake_bucket: LAKE_BUCKET,
    };
    Box::pin(async move {
        let (clock, log) = (&gate.server.clock, &gate.server.access_log);
        let interval = gate.server.config.access_log_interval;
        let mut next = clock.sleep(interval);
        loop {
            let due = tokio::select! {
                () = &mut next => Due::All,
                () = log.full() => Due::Full,
                _ = stop.wait_for(|stop| *stop) => Due::Last,
            };
            log.flush(&gate, due).await;
            match due {
                Due::Full => {}
                Due::All => next = clock.sleep(interval),
                Due::Last => return Ok(()),
            }
        }
    })
}

/// `false` if the loop has to end.
async fn pause(server: &Server, interval: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = server.clock.sleep(interval) => true,
        _ = stop.wait_for(|stop| *stop) => false,
    }
}
