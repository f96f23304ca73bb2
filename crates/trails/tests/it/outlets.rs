//! What goes one way must not be harmed by what goes another: topics, log groups and buses that fail, are changed,
//! or refuse single events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cairn_catalog::trails::{
    FeedId, FeedProgress, Lane, LaneFailure, LaneLoss, LaneUse, Outlet, OutletsCatalog,
    RecordedFeed, WaitingNotification,
};
use cairn_catalog::{Catalog, CatalogError};
use cairn_model::LogGroup;
use cairn_platform::ServiceFailure;
use cairn_trails::TrailsConfig;
use tokio::sync::{Semaphore, watch};

use crate::feeds::{trouble, writing};
use crate::notifications::{OTHER, TOPIC, denied, telling, topic};
use crate::stage::{BUCKET, Stage, next, trail};

const DAY: Duration = Duration::from_hours(24);
/// Longer than any pause between attempts.
const PAUSE: Duration = Duration::from_mins(6);
/// Until something that must happen has happened.
const PATIENCE: Duration = Duration::from_secs(30);

/// The catalog's entry, which counts, and which holds the answer that nothing waits for a topic.
#[derive(Debug)]
struct WatchedCatalog {
    catalog: Arc<Catalog>,
    /// How often lanes were listed, and on how many of these something waited.
    lists: watch::Sender<u64>,
    /// Told when an answer is held.
    is_held: Semaphore,
    /// What lets one go.
    may_go: Semaphore,
    progresses: AtomicU64,
}

impl WatchedCatalog {
    fn new(catalog: Arc<Catalog>) -> Arc<Self> {
        Arc::new(Self {
            catalog,
            lists: watch::channel(0).0,
            is_held: Semaphore::new(0),
            may_go: Semaphore::new(0),
            progresses: AtomicU64::new(0),
        })
    }
}

type Answer<T> = Result<T, CatalogError>;

#[async_trait]
impl OutletsCatalog for WatchedCatalog {
    async fn waiting_lanes(&self) -> Answer<Vec<Lane>> {
        let lanes = self.catalog.waiting_lanes().await?;
        if !lanes.is_empty() {
            self.lists.send_modify(|lists| *lists += 1);
        }
        Ok(lanes)
    }

    async fn waiting_notifications(
        &self,
        lane: &Lane,
        count_max: u32,
    ) -> Answer<Vec<WaitingNotification>> {
        let waiting = self.catalog.waiting_notifications(lane, count_max).await?;
        if waiting.is_empty() {
            self.is_held.add_permits(1);
            self.may_go.acquire().await.expect("stays open").forget();
        }
        Ok(waiting)
    }

    async fn next_feed(&self, lane: &Lane) -> Answer<Option<RecordedFeed>> {
        self.catalog.next_feed(lane).await
    }

    async fn record_notified(
        &self,
        lane: &Lane,
        ids: &[i64],
        attempted_ms: i64,
        notified_ms: i64,
    ) -> Answer<()> {
        let recorded = self
            .catalog
            .record_notified(lane, ids, attempted_ms, notified_ms);
        recorded.await
    }

    async fn record_fed(&self, lane: &Lane, progress: &FeedProgress) -> Answer<()> {
        self.progresses.fetch_add(1, Ordering::Relaxed);
        self.catalog.record_fed(lane, progress).await
    }

    async fn record_lane_failure(&self, failure: &LaneFailure) -> Answer<LaneLoss> {
        self.catalog.record_lane_failure(failure).await
    }

    async fn record_feed_lost(
        &self,
        lane: &Lane,
        feed: FeedId,
        events: u64,
        error: &str,
    ) -> Answer<()> {
        self.catalog
            .record_feed_lost(lane, feed, events, error)
            .await
    }

    async fn lane_use(&self) -> Answer<Vec<LaneUse>> {
        self.catalog.lane_use().await
    }

    async fn is_spooled(&self, name: &str) -> Answer<bool> {
        self.catalog.is_spooled(name).await
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, what).await;
    waited.expect("what must happen happens")
}

// Proves: R15, R18, SEL-010
#[tokio::test]
async fn a_bus_that_is_down_takes_no_room_of_another() {
    let mut stage = Stage::with(|config| TrailsConfig {
        spool_trail_bytes_max: 2_000,
        ..config
    })
    .await;
    stage.add_buses().await;
    stage.told.buses.break_region("us-east-1", trouble());
    let mut made = trail("all");
    made.settings.is_multi_region = true;
    stage.create(&made).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        stage.event("us-east-1", "A").await;
        ids.push(stage.event("eu-west-1", "B").await);
        stage.deliver_and_feed().await;
        stage.clock.advance(PAUSE);
    }
    let lost = stage.trails.outlet_counts().lost_bus_events;
    assert!(0 < lost && lost < 20, "the room of the one is full: {lost}");
    assert_eq!(stage.bus_ids("eu-west-1"), ids);
    assert!(stage.bus_ids("us-east-1").is_empty());
}

// Proves: R18, R15
#[tokio::test]
async fn beyond_a_limit_notifications_are_not_kept_and_are_counted() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.told.topics.break_topic(TOPIC, denied());
    stage.event("us-east-1", "A").await;
    stage.deliver_and_tell().await;
    // As if it were one of so many.
    stage
        .execute("UPDATE notifications_waiting SET waiting = 200000")
        .await;
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    assert_eq!(stage.keys(BUCKET, "/CloudTrail/").len(), 2);
    let status = stage.status(&made).await;
    assert_eq!(status.notifications_lost, 1);
    let told = status.notification_error.as_deref();
    assert_eq!(told, Some("TooManyNotificationsWaiting"));
    assert_eq!(stage.trails.outlet_counts().lost_notifications, 1);
    let used = stage.trails.lane_use().await.expect("measures");
    assert_eq!(used[0].waiting, 200_000, "they are not counted each time");
    // One less, and there is room for one more.
    stage
        .execute("UPDATE notifications_waiting SET waiting = 199999")
        .await;
    stage.event("us-east-1", "C").await;
    stage.deliver().await;
    assert_eq!(stage.status(&made).await.notifications_lost, 1);
    stage
        .execute("UPDATE notifications_waiting SET waiting = 2")
        .await;
    stage.told.topics.mend_topic(TOPIC);
    stage.trails.tell_now().await;
    assert_eq!(stage.keys_told(TOPIC).len(), 2);
    let used = stage.trails.lane_use().await.expect("measures");
    assert!(used.is_empty(), "{used:?}");
}

// Proves: R15
#[tokio::test]
async fn after_a_trail_is_deleted_an_attempt_in_vain_ends_what_was_tried_alone() {
    let mut stage = Stage::with_group().await;
    let mut made = writing(trail("all"));
    made.settings.sns_topic = Some(topic(TOPIC));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    let second = stage.event("us-east-1", "B").await;
    stage.deliver().await;
    stage.delete(&made).await;
    stage.deliver().await;
    stage.told.logs.script([Err(trouble())]);
    stage.trails.tell_now().await;
    assert!(stage.logged_ids().is_empty());
    assert_eq!(stage.keys_told(TOPIC).len(), 2);
    stage.clock.advance(PAUSE);
    stage.trails.tell_now().await;
    assert_eq!(stage.logged_ids(), [second]);
    assert_eq!(stage.trails.outlet_counts().lost_logs_events, 1);
    assert!(stage.spooled().is_empty());
}

// Proves: TRL-078, TRL-081
#[tokio::test]
async fn a_status_speaks_of_the_topic_that_the_trail_has_now() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    stage.told.topics.break_topic(TOPIC, denied());
    stage.event("us-east-1", "A").await;
    stage.deliver_and_tell().await;
    assert!(stage.status(&made).await.notification_error.is_some());
    let changed = next(&made, |trail| trail.settings.sns_topic = Some(topic(OTHER)));
    stage.change(&changed).await;
    stage.event("us-east-1", "B").await;
    stage.clock.advance(PAUSE);
    stage.deliver_and_tell().await;
    // The topic before fails once more.
    stage.clock.advance(PAUSE);
    let attempts = stage.told.topics.attempts();
    stage.trails.tell_now().await;
    assert_eq!(stage.told.topics.attempts(), attempts + 1);
    let status = stage.status(&changed).await;
    assert_eq!(status.notification_error, None);
    // It is told of what waits for it, and that is no news of the other.
    stage.told.topics.mend_topic(TOPIC);
    stage.clock.advance(PAUSE);
    stage.trails.tell_now().await;
    assert_eq!(stage.keys_told(TOPIC).len(), 1);
    assert_eq!(stage.status(&changed).await, status);
}

// Proves: TRL-080
#[tokio::test]
async fn a_status_speaks_of_the_log_group_that_the_trail_has_now() {
    let mut stage = Stage::new().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.deliver_and_feed().await;
    assert!(stage.status(&made).await.logs_delivery_error.is_some());
    let changed = next(&made, |trail| {
        let before = trail.settings.log_group.take();
        trail.settings.log_group = before.map(|group| LogGroup {
            arn: group.arn.replace("CloudTrail/logs", "other"),
            ..group
        });
    });
    stage.change(&changed).await;
    stage.told.logs.create_group("other");
    stage.event("us-east-1", "B").await;
    stage.clock.advance(PAUSE);
    stage.deliver_and_feed().await;
    stage.clock.advance(PAUSE);
    stage.trails.tell_now().await;
    let status = stage.status(&changed).await;
    assert_eq!(status.logs_delivery_error, None);
    assert!(status.logs_delivery_ms.is_some());
    stage.told.logs.create_group("CloudTrail/logs");
    stage.clock.advance(PAUSE);
    stage.trails.tell_now().await;
    assert_eq!(stage.told.logs.streams().len(), 2);
    assert_eq!(stage.status(&changed).await, status);
}

// Proves: R15
#[tokio::test]
async fn a_file_that_its_disk_does_not_give_back_is_tried_again_and_told() {
    let mut stage = Stage::with_group().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    let id = stage.event("us-east-1", "A").await;
    stage.trails.cut_now().await.expect("cuts");
    let (file, elsewhere) = (stage.spooled().remove(0), tempfile::tempdir());
    let away = elsewhere.expect("a folder");
    let away = away.path().join("away");
    std::fs::copy(&file, &away).expect("copies");
    std::fs::remove_file(&file).expect("removes");
    stage.trails.tell_now().await;
    let status = stage.status(&made).await;
    assert_eq!(
        status.logs_delivery_error.as_deref(),
        Some("SpoolUnreadable")
    );
    assert_eq!(status.logs_events_lost, 0);
    std::fs::copy(&away, &file).expect("copies");
    stage.clock.advance(PAUSE);
    stage.trails.tell_now().await;
    assert_eq!(stage.logged_ids(), [id]);
    assert_eq!(stage.status(&made).await.logs_delivery_error, None);
}

// Proves: R15
#[tokio::test]
async fn a_damaged_file_is_kept_aside_and_given_up_by_all_who_need_it() {
    let mut stage = Stage::with_group().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.trails.cut_now().await.expect("cuts");
    let file = stage.spooled().remove(0);
    std::fs::write(&file, b"damaged").expect("writes");
    stage.trails.tell_now().await;
    stage.trails.deliver_now().await.expect("delivers");
    let status = stage.status(&made).await;
    assert_eq!((status.logs_events_lost, status.events_lost), (1, 1));
    assert_eq!(status.delivery_error.as_deref(), Some("SpoolDamaged"));
    let kept = stage.spooled().remove(0);
    let name = kept.file_name().expect("a name").to_string_lossy();
    assert!(name.starts_with("damaged-"), "{name}");
}

// Proves: R15, TRL-147
#[tokio::test]
async fn what_comes_while_a_step_finds_nothing_is_not_forgotten() {
    let mut stage = Stage::new().await;
    let watched = WatchedCatalog::new(Arc::clone(&stage.catalog));
    stage.told.catalog = Some(Arc::clone(&watched) as _);
    stage.restart().await;
    stage.create(&telling("all", TOPIC)).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    let (stop, stopped) = watch::channel(false);
    let trails = Arc::clone(&stage.trails);
    let running = tokio::spawn(async move { trails.run(stopped).await });
    // The first is told; the step behind it found nothing, and does not know yet.
    in_time(watched.is_held.acquire())
        .await
        .expect("open")
        .forget();
    assert_eq!(stage.keys_told(TOPIC).len(), 1);
    let mut lists = watched.lists.subscribe();
    lists.borrow_and_update();
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    in_time(lists.changed()).await.expect("lists");
    watched.may_go.add_permits(1);
    // The step that tells the second, and the one that finds nothing behind it.
    in_time(watched.is_held.acquire())
        .await
        .expect("open")
        .forget();
    assert_eq!(stage.keys_told(TOPIC), stage.keys(BUCKET, "/CloudTrail/"));
    watched.may_go.add_permits(100);
    stop.send_replace(true);
    in_time(running).await.expect("no panic").expect("runs");
}

// Proves: SEL-010
#[tokio::test]
async fn a_bus_gets_calls_at_once_and_progress_is_recorded_now_and_then() {
    let mut stage = Stage::new().await;
    let watched = WatchedCatalog::new(Arc::clone(&stage.catalog));
    stage.told.catalog = Some(Arc::clone(&watched) as _);
    stage.add_buses().await;
    stage.create(&trail("all")).await;
    let mut ids = Vec::new();
    for _ in 0..1_200 {
        ids.push(stage.event("us-east-1", "A").await);
    }
    // The answer to one of the second call of the last window but one.
    stage.told.buses.lose_answer_after(18 * 6 + 1);
    stage.deliver_and_feed().await;
    assert!(stage.told.buses.most_at_once() >= 6);
    let progresses = watched.progresses.load(Ordering::Relaxed);
    assert!(progresses <= 3, "20 windows, {progresses} records");
    stage.restart().await;
    stage.trails.tell_now().await;
    let mut put = stage.bus_ids("us-east-1");
    put.sort_unstable();
    assert_eq!(put.len(), 1_210, "one call is repeated");
    put.dedup();
    assert_eq!(put, ids);
    assert!(stage.spooled().is_empty());
}

// Proves: R15, SEL-010
#[tokio::test]
async fn an_event_that_a_bus_refuses_for_good_is_given_up_at_once() {
    let mut stage = Stage::with_buses().await;
    stage.create(&trail("all")).await;
    stage.told.buses.refuse("\"Bad\"", "MalformedDetail");
    let mut ids = vec![stage.event("us-east-1", "A").await];
    stage.event("us-east-1", "Bad").await;
    ids.push(stage.event("us-east-1", "B").await);
    stage.deliver_and_feed().await;
    assert_eq!(stage.bus_ids("us-east-1"), ids);
    let counts = stage.trails.outlet_counts();
    assert_eq!((counts.bus_events, counts.lost_bus_events), (2, 1));
    assert!(stage.spooled().is_empty());
}

// Proves: R15, SEL-010
#[tokio::test]
async fn an_event_that_a_bus_always_refuses_holds_up_others_for_a_bounded_time() {
    let mut stage = Stage::with_buses().await;
    stage.create(&trail("all")).await;
    stage.told.buses.refuse("\"Bad\"", "SomeFailure");
    let mut ids = vec![stage.event("us-east-1", "A").await];
    stage.event("us-east-1", "Bad").await;
    stage.deliver_and_feed().await;
    ids.push(stage.event("us-east-1", "B").await);
    for _ in 0..48 {
        stage.clock.advance(PAUSE);
        stage.deliver_and_feed().await;
    }
    assert_eq!(stage.trails.outlet_counts().lost_bus_events, 0);
    assert_eq!(stage.bus_ids("us-east-1"), ids[..1]);
    stage.clock.advance(PAUSE);
    stage.trails.tell_now().await;
    assert_eq!(stage.trails.outlet_counts().lost_bus_events, 1);
    assert_eq!(stage.bus_ids("us-east-1"), ids);
    // A bus that takes nothing at all is in trouble itself, and nothing is given up.
    stage.told.buses.refuse("\"eventID\"", "InternalFailure");
    stage.event("us-east-1", "C").await;
    for _ in 0..60 {
        stage.clock.advance(PAUSE);
        stage.deliver_and_feed().await;
    }
    assert_eq!(stage.trails.outlet_counts().lost_bus_events, 1);
    assert_eq!(stage.spooled().len(), 1);
}

// Proves: TRL-080
#[tokio::test]
async fn a_batch_of_which_everything_is_refused_is_no_delivery() {
    let mut stage = Stage::with_group().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.told.logs.script([Ok(1)]);
    stage.deliver_and_feed().await;
    let status = stage.status(&made).await;
    assert_eq!(
        (status.logs_delivery_ms, status.logs_events_lost),
        (None, 1)
    );
}

// Proves: TRL-158
#[tokio::test]
async fn a_file_of_more_batches_than_a_step_has_is_sent_whole() {
    let mut stage = Stage::with_group().await;
    stage.create(&writing(trail("all"))).await;
    let mut ids = Vec::new();
    for day in 0..70 {
        ids.push(stage.large_event(10, day * 86_400_000).await);
    }
    stage.deliver_and_feed().await;
    assert_eq!(stage.logged_ids(), ids);
    assert_eq!(stage.told.logs.batches().len(), 70);
}

// Proves: R15
#[tokio::test]
async fn the_time_that_an_idle_lane_has_failed_is_forgotten() {
    let mut stage = Stage::new().await;
    let made = telling("all", TOPIC);
    stage.create(&made).await;
    let throttled = ServiceFailure::new("Throttling", "scripted");
    stage.told.topics.break_topic(TOPIC, throttled);
    stage.event("us-east-1", "A").await;
    stage.deliver_and_tell().await;
    // Somebody has made room behind our back.
    stage.execute("DELETE FROM trail_notifications").await;
    stage.trails.tell_now().await;
    stage.clock.advance(40 * DAY);
    stage.event("us-east-1", "B").await;
    stage.deliver_and_tell().await;
    assert_eq!(stage.status(&made).await.notifications_lost, 0);
    let used = stage.trails.lane_use().await.expect("measures");
    assert_eq!((used[0].lane.outlet, used[0].waiting), (Outlet::Topic, 1));
}
