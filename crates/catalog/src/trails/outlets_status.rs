//! What GetTrailStatus tells of topics and log groups.

use cairn_model::TrailId;
use sqlx::SqliteConnection;

use super::configuration::TrailView;
use super::delivery_rows::stored;
use super::outlets::{Lane, LaneLoss, Outlet};
use crate::CatalogError;

type Result<T> = std::result::Result<T, CatalogError>;

/// Whether the trail tells this target as it is configured now. What waits for one that was changed or removed
/// is sent all the same; the trail's status speaks of what it has now.
pub(super) async fn is_current(connection: &mut SqliteConnection, lane: &Lane) -> Result<bool> {
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

/// Tells the owner, if the trail still has the target. Of buses only metrics tell.
pub(super) async fn tell_failure(
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
