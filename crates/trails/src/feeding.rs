//! What log groups and buses have in common: a spooled file is opened, and its events go in groups that are the same
//! whenever the file is read, so that what was sent can be told by two numbers.

use std::io;
use std::sync::Arc;

use cairn_catalog::trails::{FeedProgress, Lane, RecordedFeed};
use cairn_platform::ServiceFailure;
use tokio::sync::OwnedSemaphorePermit;

use crate::delivery::{SPOOL_DAMAGED, SPOOL_UNREADABLE};
use crate::error::TrailsError;
use crate::failpoints;
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
            .room_for(lane.outlet, feed.bytes.saturating_add(GROUP_BYTES))
            .await;
        let opening = {
            let (spool, feed, sent) = (shared.spool.clone(), feed.clone(), recorded.sent_events);
            tokio::task::spawn_blocking(move || {
                let read = spool.read_checked(&feed.spooled, feed.bytes, &feed.object_sha256);
                if matches!(read, Err(TrailsError::SpoolDamaged { .. })) {
                    spool.set_aside(&feed.spooled);
                }
                let packed = read?;
                let opened = FeedFile::new(packed).and_then(|mut file| {
                    file.skip(sent)?;
                    Ok(file)
                });
                opened.map_err(|_| damaged(&feed.spooled))
            })
        };
        let opened = opening.await;
        let opened = opened.map_err(TrailsError::of_thread("opening a file to feed"));
        match opened.flatten() {
            Ok(file) => {
                return Ok(Some(OpenFeed {
                    recorded,
                    file,
                    _room: room,
                }));
            }
            Err(TrailsError::SpoolDamaged { .. }) => give_up(shared, lane, &recorded).await?,
            Err(error) => return Err(unreadable(&feed.spooled, error)),
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
    let read = reading.await;
    let read = read.map_err(TrailsError::of_thread("reading a file to feed"));
    // Its bytes were compared with their hash, so that it is whole.
    let read = read.and_then(|read| read.map_err(|_| damaged(name)));
    read.map_err(|error| unreadable(name, error))
}

/// Records how far a feed has come, and lets go of its file if nothing is left.
pub(crate) async fn record(
    shared: &Arc<Shared>,
    (lane, spooled): (&Lane, &str),
    progress: &FeedProgress,
) -> Result<(), Trouble> {
    shared.outlets.catalog().record_fed(lane, progress).await?;
    failpoints::reach(failpoints::FEED_RECORDED);
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

/// A file that its disk does not give back now, or that cannot be read without a panic: it is tried as long as a
/// target that refuses, and told as one.
fn unreadable(name: &str, error: TrailsError) -> Trouble {
    if matches!(error, TrailsError::ThreadsEnded) {
        return error.into();
    }
    tracing::error!(file = name, %error, "a spooled file cannot be read");
    ServiceFailure::new(SPOOL_UNREADABLE, error.to_string()).into()
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
