//! The trails as they are configured at one position of the log, and which of them take an event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cairn_catalog::trails::ChainChange;
use cairn_model::selectors::CompiledSelectors;
use cairn_model::{AccountId, EventClass, Region, RoutingHeader, Trail, TrailId};

/// Where the events of global services are recorded (TRL-042).
const GLOBAL_REGION: &str = "us-east-1";
/// The services whose events belong to no Region of their own (TRL-042).
const GLOBAL_SOURCES: [&str; 3] = [
    "cloudfront.amazonaws.com",
    "iam.amazonaws.com",
    "sts.amazonaws.com",
];

/// The Regions that are enabled for an account.
pub(crate) type EnabledRegions = Arc<dyn Fn(AccountId) -> Vec<Region> + Send + Sync>;

/// A trail with its selectors made ready.
#[derive(Clone, Debug)]
pub(crate) struct ActiveTrail {
    pub(crate) trail: Trail,
    /// None if they do not compile: they did when they were put, so a newer build has other rules. Such a
    /// trail takes every event of its account rather than none.
    selectors: Option<CompiledSelectors>,
}

/// All trails at one position.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveTrails {
    by_account: HashMap<AccountId, Vec<Arc<ActiveTrail>>>,
    /// Trails whose configuration this build cannot read: they take nothing, and are not deleted.
    unreadable: HashSet<TrailId>,
}

impl ActiveTrail {
    pub(crate) fn new(trail: Trail) -> Self {
        let selectors = trail.settings.event_selectors.compile();
        if let Err(error) = &selectors {
            tracing::error!(trail = trail.arn(), %error, "a trail's selectors cannot be used");
        }
        Self {
            selectors: selectors.ok(),
            trail,
        }
    }

    /// Whether the trail collects the event (SEL-090, TRL-090).
    fn takes(&self, event: &RoutingHeader<'_>, insight_type: Option<&str>) -> bool {
        let settings = &self.trail.settings;
        if !(self.trail.logging.is_on && self.trail.covers(&event.region)) {
            return false;
        }
        // Insights events are selected by their type, not by event selectors (TRL-125, SEL-006).
        if event.class == EventClass::Insight {
            let mut wanted = settings.insight_selectors.iter();
            return wanted.any(|selector| Some(selector.insight_type.as_str()) == insight_type);
        }
        let selectors = self.selectors.as_ref();
        (settings.includes_global_service_events || !is_global(event))
            && selectors.is_none_or(|selectors| selectors.take(event))
    }

    fn has_digests(&self) -> bool {
        self.trail.logging.is_on && self.trail.settings.validates_log_files
    }

    /// The Regions of which the trail has digests, with events or without (REC-241).
    fn digest_regions(&self, enabled: &EnabledRegions) -> Vec<Region> {
        if self.trail.settings.is_multi_region {
            enabled(self.trail.account)
        } else {
            vec![self.trail.home_region.clone()]
        }
    }
}

fn is_global(event: &RoutingHeader<'_>) -> bool {
    event.region.as_str() == GLOBAL_REGION && GLOBAL_SOURCES.contains(&&*event.event_source)
}

impl ActiveTrails {
    pub(crate) fn new(trails: Vec<Trail>) -> Self {
        let mut active = Self::default();
        for trail in trails {
            active.insert(Arc::new(ActiveTrail::new(trail)));
        }
        active
    }

    /// The trails that collect the event, in no particular order. `insight_type` is that of an Insights event
    /// in the layout of trails: no header states it.
    pub(crate) fn takers<'s>(
        &'s self,
        event: &RoutingHeader<'_>,
        insight_type: Option<&str>,
    ) -> impl Iterator<Item = &'s Arc<ActiveTrail>> {
        let of_account = self.by_account.get(&event.account);
        of_account
            .into_iter()
            .flatten()
            .filter(move |trail| trail.takes(event, insight_type))
    }

    /// Whether a trail logs at all.
    pub(crate) fn any_logs(&self) -> bool {
        self.all().any(|active| active.trail.logging.is_on)
    }

    pub(crate) fn get(&self, id: &TrailId) -> Option<&Arc<ActiveTrail>> {
        self.by_account
            .values()
            .flatten()
            .find(|active| active.trail.id == *id)
    }

    /// The same, with trails that cannot be read.
    pub(crate) fn with_unreadable(mut self, unreadable: Vec<TrailId>) -> Self {
        self.unreadable.extend(unreadable);
        self
    }

    /// False if the trail is deleted, or was never there.
    pub(crate) fn exists(&self, id: &TrailId) -> bool {
        self.unreadable.contains(id) || self.get(id).is_some()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ActiveTrail>> {
        self.by_account.values().flatten()
    }

    /// Puts another version, or none, in the place of what the trail was, and says what becomes of its
    /// chains of digests at `at_ms`. A chain that goes on takes the new version over.
    pub(crate) fn apply(
        &mut self,
        id: &TrailId,
        next: Option<Trail>,
        enabled: &EnabledRegions,
        at_ms: i64,
    ) -> Vec<ChainChange> {
        self.remove(id);
        let Some(trail) = next else {
            return vec![close_all(id, at_ms)];
        };
        let active = Arc::new(ActiveTrail::new(trail));
        let mut changes = Vec::new();
        if !active.has_digests() {
            changes.push(close_all(id, at_ms));
        } else if !active.trail.settings.is_multi_region {
            changes.push(ChainChange::CloseOthers {
                trail: id.clone(),
                region: active.trail.home_region.clone(),
                at_ms,
            });
        }
        if active.has_digests() {
            let regions = active.digest_regions(enabled);
            changes.extend(open_all(&active, regions, at_ms));
        }
        self.insert(active);
        changes
    }

    /// Chains that are missing because a Region was enabled since (TRL-035).
    pub(crate) fn chains(&self, enabled: &EnabledRegions, at_ms: i64) -> Vec<ChainChange> {
        let mut changes = Vec::new();
        for active in self.all().filter(|active| active.has_digests()) {
            changes.extend(open_all(active, active.digest_regions(enabled), at_ms));
        }
        changes
    }

    fn insert(&mut self, active: Arc<ActiveTrail>) {
        let of_account = self.by_account.entry(active.trail.account).or_default();
        of_account.push(active);
    }

    fn remove(&mut self, id: &TrailId) {
        for of_account in self.by_account.values_mut() {
            of_account.retain(|active| active.trail.id != *id);
        }
        self.unreadable.remove(id);
    }
}

fn close_all(id: &TrailId, at_ms: i64) -> ChainChange {
    ChainChange::CloseAll {
        trail: id.clone(),
        at_ms,
    }
}

fn open_all(active: &ActiveTrail, regions: Vec<Region>, at_ms: i64) -> Vec<ChainChange> {
    let trail = &active.trail;
    let open = |region| open_chain(trail, trail.account, region, at_ms);
    regions.into_iter().map(open).collect()
}

/// The beginning of a chain, or the version by which an open one goes on.
pub(crate) fn open_chain(
    trail: &Trail,
    account: AccountId,
    region: Region,
    at_ms: i64,
) -> ChainChange {
    ChainChange::Open {
        trail: trail.id.clone(),
        version: trail.version,
        account,
        region,
        // Digests tell times to the second.
        at_ms: at_ms.div_euclid(1000) * 1000,
    }
}
