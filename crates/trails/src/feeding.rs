//! What log groups and buses have in common: a spooled file is opened, and its events go in groups that are the same
//! whenever the file is read, so that what was sent can be told by two numbers.

use std::io;
use std::sync::Arc;

use cairn_catalog::trails::{FeedProgress, Lane, RecordedFeed};
use tokio::sync::OwnedSemaphorePermit;

use crate::delivery::SPOOL_DAMAGED;
use crate::error::TrailsError;
use crate::feed_file::FeedFile;
use crate::outlets::Trouble;
use crate::trails::Shared;

/// Memory of a group of events, beside the file.
const GROUP_BYTES: u64 = 3 << 20;

/// A feed that is open.
#[derive(Debug)]
pub(crate) struct OpenFeed {
    pub(crate) recorded: RecordedFeed,
    pub(crate) file: FeedFile,
    /// Bounds what is in memory (R18).
    _room: Option<OwnedSemaphorePermit>,
}

/// Opens the oldest feed of a lane where it was left; none if none waits. One whose file is damaged is given up.
pub(crate) async fn open_next(
    shared: &Arc<Shared>,
    lane: &Lane,
) -> Result<Option<OpenFeed>, Trouble> {
    loop {
        let Some(recorded) = shared.outlets.catalog().next_feed(lane).await? else {
            return Ok(None);
        };
        let feed = &recorded.feed;
        let room = shared
            .outlets
            .room_for(feed.bytes.saturating_add(GROUP_BYTES))
            .await;
        let opening = {
            let (spool, feed, sent) = (shared.spool.clone(), feed.clone(), recorded.sent_events);
            tokio::task::spawn_blocking(move || {
                let packed = spool.read_checked(&feed.spooled, feed.bytes, &feed.object_sha256)?;
                let opened = FeedFile::new(packed).and_then(|mut file| {
                    file.skip(sent)?;
                    Ok(file)
                });
                opened.map_err(|_| damaged(&feed.spooled))
            })
        };
        match opening
            .await
            .map_err(TrailsError::of_thread("opening a file to feed"))?
        {
            Ok(file) => {
                return Ok(Some(OpenFeed {
                    recorded,
                    file,
                    _room: room,
                }));
            }
            Err(error) if is_lost(&error) => give_up(shared, lane, &recorded).await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Calls what reads from the file off the async threads.
pub(crate) async fn read<T: Send + 'static>(
    mut file: FeedFile,
    name: &str,
    gather: impl FnOnce(&mut FeedFile) -> io::Result<T> + Send + 'static,
) -> Result<(FeedFile, T), Trouble> {
    let reading = tokio::task::spawn_blocking(move || gather(&mut file).map(|read| (file, read)));
    let read = reading
        .await
        .map_err(TrailsError::of_thread("reading a file to feed"))?;
    // Its bytes were compared with their hash, so this does not happen.
    Ok(read.map_err(|_| damaged(name))?)
}

/// Records how far a feed has come, and lets go of its file if nothing is left.
pub(crate) async fn record(
    shared: &Arc<Shared>,
    (lane, spooled): (&Lane, &str),
    progress: &FeedProgress,
) -> Result<(), Trouble> {
    shared.outlets.catalog().record_fed(lane, progress).await?;
    if progress.is_done {
        shared.release_spooled(spooled).await;
    }
    Ok(())
}

fn damaged(name: &str) -> TrailsError {
    TrailsError::SpoolDamaged {
        name: name.to_owned(),
    }
}

/// A damaged file, or one that was set aside because it is.
fn is_lost(error: &TrailsError) -> bool {
    matches!(
        error,
        TrailsError::SpoolDamaged { .. }
            | TrailsError::Spool(cairn_platform::DiskError::NotFound { .. })
    )
}

async fn give_up(
    shared: &Arc<Shared>,
    lane: &Lane,
    recorded: &RecordedFeed,
) -> Result<(), Trouble> {
    let events = recorded.feed.events.saturating_sub(recorded.sent_events);
    tracing::error!(
        outlet = ?lane.outlet,
        owner = lane.owner,
        target = lane.target,
        file = recorded.feed.spooled,
        events,
        "a spooled file is damaged: a log group or bus does not get its events"
    );
    shared
        .outlets
        .catalog()
        .record_feed_lost(lane, recorded.id, events, SPOOL_DAMAGED)
        .await?;
    shared.outlets.counters.add_events(lane.outlet, 0, events);
    shared.release_spooled(&recorded.feed.spooled).await;
    Ok(())
}
