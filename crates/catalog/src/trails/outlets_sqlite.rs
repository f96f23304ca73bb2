//! The outlets' entry over the embedded database.

use async_trait::async_trait;
use cairn_model::TrailId;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::configuration::{ReadTrails as _, TrailView};
use super::delivery::{Delivered, NotificationMade};
use super::delivery_rows::{account, column, hash, number, region, stored, unreadable};
use super::outlets::{
    FeedId, FeedProgress, GivenUp, Lane, LaneFailure, LaneLoss, LaneUse, NOTIFICATIONS_MAX, Outlet,
    OutletsCatalog, PlannedFeed, RecordedFeed, WaitingNotification,
};
use crate::transaction::WriteTransaction;
use crate::{Catalog, CatalogError};

type Result<T> = std::result::Result<T, CatalogError>;

/// What a status calls it when no more notifications are kept for a topic.
const TOO_MANY: &str = "TooManyNotificationsWaiting";

/// What a feed or notification holds of its lane's count, and what is given up by it.
const FAILING_BEFORE: &str = "coalesce((SELECT failing_ms FROM outlet_lanes \
     WHERE outlet = ? AND owner = ? AND target = ?), 0)";

#[async_trait]
impl OutletsCatalog for Catalog {
    async fn waiting_lanes(&self) -> Result<Vec<Lane>> {
        let rows = sqlx::query(
            "SELECT 'topic' AS outlet, trail_id AS owner, topic_arn AS target \
                 FROM notifications_waiting \
             UNION ALL SELECT DISTINCT outlet, owner, target FROM trail_feeds",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_("listing outlets"))?;
        rows.iter().map(lane_of).collect()
    }

    async fn waiting_notifications(
        &self,
        lane: &Lane,
        count_max: u32,
    ) -> Result<Vec<WaitingNotification>> {
        let rows = sqlx::query(
            "SELECT id, trail_arn, bucket, object_key FROM trail_notifications \
             WHERE trail_id = ? AND topic_arn = ? ORDER BY id LIMIT ?",
        )
        .bind(&lane.owner)
        .bind(&lane.target)
        .bind(i64::from(count_max))
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_("listing notifications"))?;
        let read = rows.iter().map(|row| {
            Ok(WaitingNotification {
                id: column(row, "id")?,
                trail_arn: column(row, "trail_arn")?,
                bucket: column(row, "bucket")?,
                object_key: column(row, "object_key")?,
            })
        });
        read.collect()
    }

    async fn next_feed(&self, lane: &Lane) -> Result<Option<RecordedFeed>> {
        let row = sqlx::query(
            "SELECT id, account, region, spooled, byte_count, object_sha256, event_count, \
                 sent_events, sent_batches, created_ms \
             FROM trail_feeds WHERE outlet = ? AND owner = ? AND target = ? ORDER BY id LIMIT 1",
        )
        .bind(lane.outlet.word())
        .bind(&lane.owner)
        .bind(&lane.target)
        .fetch_optional(&self.readers)
        .await
        .map_err(CatalogError::while_("reading a feed"))?;
        row.map(|row| {
            Ok(RecordedFeed {
                id: FeedId(column(&row, "id")?),
                feed: PlannedFeed {
                    lane: lane.clone(),
                    account: account(&row)?,
                    region: region(&row)?,
                    spooled: column(&row, "spooled")?,
                    bytes: number(&row, "byte_count")?,
                    object_sha256: hash(&row, "object_sha256")?,
                    events: number(&row, "event_count")?,
                    created_ms: column(&row, "created_ms")?,
                },
                sent_events: number(&row, "sent_events")?,
                sent_batches: number(&row, "sent_batches")?,
            })
        })
        .transpose()
    }

    async fn record_notified(
        &self,
        lane: &Lane,
        ids: &[i64],
        attempted_ms: i64,
        notified_ms: i64,
    ) -> Result<()> {
        let during = "recording a notification";
        let mut transaction = self.begin().await?;
        let connection = transaction.connection();
        for id in ids {
            sqlx::query("DELETE FROM trail_notifications WHERE id = ?")
                .bind(id)
                .execute(&mut *connection)
                .await
                .map_err(CatalogError::while_(during))?;
        }
        if is_current(connection, lane).await? {
            sqlx::query(
                "INSERT INTO trail_status (trail_id, notification_attempt_ms, notification_ms) \
                 VALUES (?1, ?2, ?3) ON CONFLICT (trail_id) DO UPDATE \
                 SET notification_attempt_ms = ?2, notification_ms = ?3, notification_error = NULL",
            )
            .bind(&lane.owner)
            .bind(attempted_ms)
            .bind(notified_ms)
            .execute(&mut *connection)
            .await
            .map_err(CatalogError::while_(during))?;
        }
        forget_idle(connection, lane).await?;
        transaction.commit().await
    }

    async fn record_fed(&self, lane: &Lane, progress: &FeedProgress) -> Result<()> {
        let during = "recording what was sent";
        let mut transaction = self.begin().await?;
        let connection = transaction.connection();
        let moved = if progress.is_done {
            sqlx::query("DELETE FROM trail_feeds WHERE id = ?").bind(progress.id.0)
        } else {
            sqlx::query("UPDATE trail_feeds SET sent_events = ?2, sent_batches = ?3 WHERE id = ?1")
                .bind(progress.id.0)
                .bind(stored(progress.sent_events))
                .bind(stored(progress.sent_batches))
        };
        moved
            .execute(&mut *connection)
            .await
            .map_err(CatalogError::while_(during))?;
        let delivered_ms = progress.delivered_ms;
        if let Some(delivered_ms) = delivered_ms.filter(|_| lane.outlet == Outlet::Logs)
            && is_current(connection, lane).await?
        {
            sqlx::query(
                "INSERT INTO trail_status (trail_id, logs_delivery_ms) VALUES (?1, ?2) \
                 ON CONFLICT (trail_id) DO UPDATE \
                 SET logs_delivery_ms = ?2, logs_delivery_error = NULL",
            )
            .bind(&lane.owner)
            .bind(delivered_ms)
            .execute(&mut *connection)
            .await
            .map_err(CatalogError::while_(during))?;
        }
        let loss = LaneLoss {
            events: progress.refused_events,
            ..LaneLoss::default()
        };
        add_lost(connection, lane, &loss).await?;
        if progress.is_done {
            forget_idle(connection, lane).await?;
        }
        transaction.commit().await
    }

    async fn record_lane_failure(&self, failure: &LaneFailure) -> Result<LaneLoss> {
        let mut transaction = self.begin().await?;
        let connection = transaction.connection();
        let lane = &failure.lane;
        let failing_ms: i64 = sqlx::query_scalar(
            "INSERT INTO outlet_lanes (outlet, owner, target, failing_ms) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (outlet, owner, target) DO UPDATE SET failing_ms = failing_ms + ?4 \
             RETURNING failing_ms",
        )
        .bind(lane.outlet.word())
        .bind(&lane.owner)
        .bind(&lane.target)
        .bind(failure.failing_ms)
        .fetch_one(&mut *connection)
        .await
        .map_err(CatalogError::while_("recording an attempt"))?;
        // What was recorded when the count stood no higher than this is given up, or what comes first.
        let (before_ms, count_max) = match failure.given_up {
            GivenUp::TriedFor(period_ms) => (failing_ms.saturating_sub(period_ms), i64::MAX),
            GivenUp::Oldest(count) => (i64::MAX, stored(count)),
        };
        let lost = (before_ms, count_max);
        let loss = match lane.outlet {
            Outlet::Topic => lose_notifications(connection, lane, lost).await?,
            Outlet::Logs | Outlet::Bus => lose_feeds(connection, lane, lost).await?,
        };
        tell_failure(connection, lane, failure.attempted_ms, &failure.error).await?;
        add_lost(connection, lane, &loss).await?;
        forget_idle(connection, lane).await?;
        transaction.commit().await?;
        Ok(loss)
    }

    async fn record_feed_lost(
        &self,
        lane: &Lane,
        feed: FeedId,
        events: u64,
        error: &str,
    ) -> Result<()> {
        let mut transaction = self.begin().await?;
        let now_ms = transaction.now_ms();
        let connection = transaction.connection();
        sqlx::query("DELETE FROM trail_feeds WHERE id = ?")
            .bind(feed.0)
            .execute(&mut *connection)
            .await
            .map_err(CatalogError::while_("giving a feed up"))?;
        let loss = LaneLoss {
            events,
            ..LaneLoss::default()
        };
        tell_failure(connection, lane, now_ms, error).await?;
        add_lost(connection, lane, &loss).await?;
        forget_idle(connection, lane).await?;
        transaction.commit().await
    }

    async fn lane_use(&self) -> Result<Vec<LaneUse>> {
        let rows = sqlx::query(
            "SELECT 'topic' AS outlet, trail_id AS owner, topic_arn AS target, \
                 waiting, 0 AS bytes, 0 AS own_bytes, coalesce((SELECT created_ms \
                     FROM trail_notifications AS n \
                     WHERE n.trail_id = w.trail_id AND n.topic_arn = w.topic_arn \
                     ORDER BY n.id LIMIT 1), 0) AS oldest \
             FROM notifications_waiting AS w \
             UNION ALL SELECT outlet, owner, target, count(*), sum(byte_count), \
                 sum(CASE WHEN EXISTS (SELECT 1 FROM trail_files AS f \
                     WHERE f.spooled = trail_feeds.spooled) THEN 0 ELSE byte_count END), \
                 min(created_ms) FROM trail_feeds GROUP BY outlet, owner, target",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_("measuring outlets"))?;
        let used = rows.iter().map(|row| {
            Ok(LaneUse {
                lane: lane_of(row)?,
                waiting: number(row, "waiting")?,
                bytes: number(row, "bytes")?,
                own_bytes: number(row, "own_bytes")?,
                oldest_ms: column(row, "oldest")?,
            })
        });
        used.collect()
    }

    async fn is_spooled(&self, name: &str) -> Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM trail_files WHERE spooled = ?1) \
                 OR EXISTS (SELECT 1 FROM trail_feeds WHERE spooled = ?1)",
        )
        .bind(name)
        .fetch_one(&self.readers)
        .await
        .map_err(CatalogError::while_("asking for a spooled file"))
    }
}

/// Records the feeds of a cut.
pub(super) async fn insert_feed(
    connection: &mut SqliteConnection,
    feed: &PlannedFeed,
) -> Result<()> {
    let text = format!(
        "INSERT INTO trail_feeds (outlet, owner, target, account, region, spooled, byte_count, \
             object_sha256, event_count, created_ms, failing_before_ms) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {FAILING_BEFORE})"
    );
    let lane = &feed.lane;
    sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(lane.outlet.word())
        .bind(&lane.owner)
        .bind(&lane.target)
        .bind(feed.account.as_str())
        .bind(feed.region.as_str())
        .bind(&feed.spooled)
        .bind(stored(feed.bytes))
        .bind(&feed.object_sha256[..])
        .bind(stored(feed.events))
        .bind(feed.created_ms)
        .bind(lane.outlet.word())
        .bind(&lane.owner)
        .bind(&lane.target)
        .execute(connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("recording a feed"))
}

/// Makes the notification of a log file that its bucket has just taken, if the trail, as it was when the file was
/// made, has a topic for which not too many wait. Call before the file's row goes.
pub(super) async fn notify_of(
    transaction: &mut WriteTransaction,
    delivered: &Delivered,
) -> Result<NotificationMade> {
    let during = "making a notification";
    let row = sqlx::query(
        "SELECT trail_id, version, bucket, object_key FROM trail_files \
         WHERE id = ? AND delivered_ms IS NULL AND kind = 'log'",
    )
    .bind(delivered.id.0)
    .fetch_optional(transaction.connection())
    .await
    .map_err(CatalogError::while_(during))?;
    let Some(row) = row else {
        return Ok(NotificationMade::None);
    };
    let trail_id = TrailId(column(&row, "trail_id")?);
    let version = number(&row, "version")?;
    let trail = match transaction.trails().version(&trail_id, version).await {
        Err(CatalogError::NoSuchEntity(_)) => return Ok(NotificationMade::None),
        found => found?,
    };
    let topic = trail
        .as_ref()
        .and_then(|trail| trail.settings.sns_topic.as_ref());
    let (Some(trail), Some(topic)) = (&trail, topic) else {
        return Ok(NotificationMade::None);
    };
    let lane = Lane {
        outlet: Outlet::Topic,
        owner: trail_id.0,
        target: topic.arn.clone(),
    };
    if waiting_for(transaction.connection(), &lane).await? >= NOTIFICATIONS_MAX {
        let loss = LaneLoss {
            notifications: 1,
            ..LaneLoss::default()
        };
        let (connection, at_ms) = (transaction.connection(), delivered.delivered_ms);
        tell_failure(connection, &lane, at_ms, TOO_MANY).await?;
        add_lost(connection, &lane, &loss).await?;
        return Ok(NotificationMade::Dropped);
    }
    let text = format!(
        "INSERT INTO trail_notifications (trail_id, trail_arn, topic_arn, bucket, object_key, \
             created_ms, failing_before_ms) VALUES (?, ?, ?, ?, ?, ?, {FAILING_BEFORE})"
    );
    let (bucket, key): (String, String) = (column(&row, "bucket")?, column(&row, "object_key")?);
    sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(&lane.owner)
        .bind(trail.arn())
        .bind(&lane.target)
        .bind(bucket)
        .bind(key)
        .bind(delivered.delivered_ms)
        .bind(Outlet::Topic.word())
        .bind(&lane.owner)
        .bind(&lane.target)
        .execute(transaction.connection())
        .await
        .map_err(CatalogError::while_(during))?;
    Ok(NotificationMade::Waiting)
}

async fn waiting_for(connection: &mut SqliteConnection, topic: &Lane) -> Result<u64> {
    let row = sqlx::query(
        "SELECT waiting FROM notifications_waiting WHERE trail_id = ? AND topic_arn = ?",
    )
    .bind(&topic.owner)
    .bind(&topic.target)
    .fetch_optional(connection)
    .await
    .map_err(CatalogError::while_("counting notifications"))?;
    row.map_or(Ok(0), |row| number(&row, "waiting"))
}

/// Whether the trail tells this target as it is configured now. What waits for one that was changed or removed
/// is sent all the same; the trail's status speaks of what it has now.
async fn is_current(connection: &mut SqliteConnection, lane: &Lane) -> Result<bool> {
    if lane.outlet == Outlet::Bus {
        return Ok(false);
    }
    let owner = TrailId(lane.owner.clone());
    let trail = match (TrailView { connection }).current(&owner).await {
        // Readers of the log leave such a trail as it was.
        Err(CatalogError::Unreadable { .. }) => return Ok(true),
        found => found?,
    };
    let settings = trail.as_ref().map(|trail| &trail.settings);
    let target = settings.and_then(|settings| match lane.outlet {
        Outlet::Topic => settings.sns_topic.as_ref().map(|topic| &topic.arn),
        Outlet::Logs => settings.log_group.as_ref().map(|group| &group.arn),
        Outlet::Bus => None,
    });
    Ok(target == Some(&lane.target))
}

async fn lose_notifications(
    connection: &mut SqliteConnection,
    lane: &Lane,
    (before_ms, count_max): (i64, i64),
) -> Result<LaneLoss> {
    let lost = sqlx::query(
        "DELETE FROM trail_notifications WHERE id IN (SELECT id FROM trail_notifications \
             WHERE trail_id = ? AND topic_arn = ? AND failing_before_ms <= ? ORDER BY id LIMIT ?)",
    )
    .bind(&lane.owner)
    .bind(&lane.target)
    .bind(before_ms)
    .bind(count_max)
    .execute(connection)
    .await
    .map_err(CatalogError::while_("giving notifications up"))?;
    Ok(LaneLoss {
        notifications: lost.rows_affected(),
        ..LaneLoss::default()
    })
}

async fn lose_feeds(
    connection: &mut SqliteConnection,
    lane: &Lane,
    (before_ms, count_max): (i64, i64),
) -> Result<LaneLoss> {
    let during = "giving feeds up";
    let rows = sqlx::query(
        "DELETE FROM trail_feeds WHERE id IN (SELECT id FROM trail_feeds \
             WHERE outlet = ? AND owner = ? AND target = ? AND failing_before_ms <= ? \
             ORDER BY id LIMIT ?) \
         RETURNING spooled, max(event_count - sent_events, 0) AS events",
    )
    .bind(lane.outlet.word())
    .bind(&lane.owner)
    .bind(&lane.target)
    .bind(before_ms)
    .bind(count_max)
    .fetch_all(connection)
    .await
    .map_err(CatalogError::while_(during))?;
    let mut loss = LaneLoss::default();
    for row in &rows {
        loss.events = loss.events.saturating_add(number(row, "events")?);
        loss.spooled.push(column(row, "spooled")?);
    }
    Ok(loss)
}

/// Tells the owner, if the trail still has the target. Of buses only metrics tell.
async fn tell_failure(
    connection: &mut SqliteConnection,
    lane: &Lane,
    attempted_ms: i64,
    error: &str,
) -> Result<()> {
    if !is_current(connection, lane).await? {
        return Ok(());
    }
    let text = match lane.outlet {
        Outlet::Topic => {
            "INSERT INTO trail_status (trail_id, notification_attempt_ms, notification_error) \
             VALUES (?1, ?2, ?3) ON CONFLICT (trail_id) DO UPDATE \
             SET notification_attempt_ms = ?2, notification_error = ?3"
        }
        Outlet::Logs => {
            "INSERT INTO trail_status (trail_id, logs_delivery_error) VALUES (?1, ?3) \
             ON CONFLICT (trail_id) DO UPDATE SET logs_delivery_error = ?3"
        }
        Outlet::Bus => return Ok(()),
    };
    sqlx::query(text)
        .bind(&lane.owner)
        .bind(attempted_ms)
        .bind(error)
        .execute(connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("recording an outlet's trouble"))
}

/// Counts what a trail's topics or log groups will not get. A trail that was deleted has nobody to be told.
pub(super) async fn add_lost(
    connection: &mut SqliteConnection,
    lane: &Lane,
    loss: &LaneLoss,
) -> Result<()> {
    if lane.outlet == Outlet::Bus || loss.notifications + loss.events == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO trail_status (trail_id, notifications_lost, logs_events_lost) \
         SELECT trail_id, ?2, ?3 FROM trails WHERE trail_id = ?1 \
         ON CONFLICT (trail_id) DO UPDATE SET notifications_lost = notifications_lost + ?2, \
             logs_events_lost = logs_events_lost + ?3",
    )
    .bind(&lane.owner)
    .bind(stored(loss.notifications))
    .bind(stored(loss.events))
    .execute(connection)
    .await
    .map(drop)
    .map_err(CatalogError::while_("counting what an outlet lost"))
}

/// Tells of events that the spool had no room for.
pub(super) async fn count_lost_feed(
    connection: &mut SqliteConnection,
    (lane, events): (&Lane, u64),
    now_ms: i64,
    error: &str,
) -> Result<()> {
    let loss = LaneLoss {
        events,
        ..LaneLoss::default()
    };
    tell_failure(connection, lane, now_ms, error).await?;
    add_lost(connection, lane, &loss).await
}

/// A lane on which nothing waits begins anew.
async fn forget_idle(connection: &mut SqliteConnection, lane: &Lane) -> Result<()> {
    let text = match lane.outlet {
        Outlet::Topic => {
            "DELETE FROM outlet_lanes WHERE outlet = ?1 AND owner = ?2 AND target = ?3 \
             AND NOT EXISTS (SELECT 1 FROM trail_notifications \
                 WHERE trail_id = ?2 AND topic_arn = ?3)"
        }
        Outlet::Logs | Outlet::Bus => {
            "DELETE FROM outlet_lanes WHERE outlet = ?1 AND owner = ?2 AND target = ?3 \
             AND NOT EXISTS (SELECT 1 FROM trail_feeds \
                 WHERE outlet = ?1 AND owner = ?2 AND target = ?3)"
        }
    };
    sqlx::query(text)
        .bind(lane.outlet.word())
        .bind(&lane.owner)
        .bind(&lane.target)
        .execute(connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("forgetting an outlet's trouble"))
}

fn lane_of(row: &SqliteRow) -> Result<Lane> {
    let outlet: String = column(row, "outlet")?;
    let outlet = match outlet.as_str() {
        "topic" => Outlet::Topic,
        "logs" => Outlet::Logs,
        "bus" => Outlet::Bus,
        _ => return Err(unreadable("outlet", outlet)),
    };
    Ok(Lane {
        outlet,
        owner: column(row, "owner")?,
        target: column(row, "target")?,
    })
}
