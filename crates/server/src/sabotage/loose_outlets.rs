//! The outlets' entry in the catalog, which gives everything up at the first failure: what a test that breaks topics,
//! log groups and buses must find out.

use std::sync::Arc;

use async_trait::async_trait;
use cairn_catalog::CatalogError;
use cairn_catalog::trails::{
    FeedId, FeedProgress, GivenUp, Lane, LaneFailure, LaneLoss, LaneUse, OutletsCatalog,
    RecordedFeed, WaitingNotification,
};

type Result<T> = std::result::Result<T, CatalogError>;

#[derive(Debug)]
pub(super) struct LooseOutlets {
    pub(super) catalog: Arc<dyn OutletsCatalog>,
}

#[async_trait]
impl OutletsCatalog for LooseOutlets {
    async fn record_lane_failure(&self, failure: &LaneFailure) -> Result<LaneLoss> {
        let last = LaneFailure {
            given_up: GivenUp::TriedFor(0),
            ..failure.clone()
        };
        self.catalog.record_lane_failure(&last).await
    }

    async fn waiting_lanes(&self) -> Result<Vec<Lane>> {
        self.catalog.waiting_lanes().await
    }

    async fn waiting_notifications(
        &self,
        lane: &Lane,
        count_max: u32,
    ) -> Result<Vec<WaitingNotification>> {
        self.catalog.waiting_notifications(lane, count_max).await
    }

    async fn next_feed(&self, lane: &Lane) -> Result<Option<RecordedFeed>> {
        self.catalog.next_feed(lane).await
    }

    async fn record_notified(
        &self,
        lane: &Lane,
        ids: &[i64],
        attempted_ms: i64,
        notified_ms: i64,
    ) -> Result<()> {
        let recorded = self
            .catalog
            .record_notified(lane, ids, attempted_ms, notified_ms);
        recorded.await
    }

    async fn record_fed(&self, lane: &Lane, progress: &FeedProgress) -> Result<()> {
        self.catalog.record_fed(lane, progress).await
    }

    async fn record_feed_lost(
        &self,
        lane: &Lane,
        feed: FeedId,
        events: u64,
        error: &str,
    ) -> Result<()> {
        let recorded = self.catalog.record_feed_lost(lane, feed, events, error);
        recorded.await
    }

    async fn lane_use(&self) -> Result<Vec<LaneUse>> {
        self.catalog.lane_use().await
    }

    async fn is_spooled(&self, name: &str) -> Result<bool> {
        self.catalog.is_spooled(name).await
    }
}
