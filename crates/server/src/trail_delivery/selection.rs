//! Which reads and writes of objects become events: those of the lake, and those that a trail selects.

use std::sync::Arc;

use cairn_model::RoutingHeader;
use cairn_trails::Trails;

use crate::bucket_gate::{LakeAlone, SelectsData};

/// The lake and the trails.
#[derive(Debug)]
pub(crate) struct LakeAndTrails {
    lake: LakeAlone,
    trails: Arc<Trails>,
}

impl LakeAndTrails {
    pub(crate) fn new(lake_bucket: &str, trails: Arc<Trails>) -> Self {
        Self {
            lake: LakeAlone::new(lake_bucket),
            trails,
        }
    }
}

impl SelectsData for LakeAndTrails {
    fn selects(&self, header: &RoutingHeader<'_>) -> bool {
        self.lake.selects(header) || self.trails.selects(header)
    }
}
