//! How many trails a Region may have (TRL-018). A trail that covers every Region counts in each.

use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::trails::TrailView;
use cairn_model::{AccountId, Region, Trail};

use super::trails::catalog_failure;
use crate::config::RegionRules;

/// TRL-018
const TRAILS_PER_REGION_MAX: usize = 5;

/// Refuses a trail for which a Region has no room. `trail` itself, if it is there already, does not count.
pub(super) async fn require_room(
    trails: &mut TrailView<'_>,
    trail: &Trail,
    regions: &RegionRules,
) -> Result<(), ApiError> {
    let mut others = trails
        .of_account(trail.account)
        .await
        .map_err(catalog_failure)?;
    others.retain(|other| other.id != trail.id);
    match full_region(&others, trail, regions) {
        None => Ok(()),
        Some(region) => Err(exceeded(trail.account, &region)),
    }
}

/// The home Region first; then, of a trail that covers every Region, the others that have trails of their own.
fn full_region(others: &[Trail], trail: &Trail, regions: &RegionRules) -> Option<Region> {
    let is_full = |region: &Region| {
        others.iter().filter(|other| other.covers(region)).count() >= TRAILS_PER_REGION_MAX
    };
    let elsewhere = others
        .iter()
        .filter(|_| trail.settings.is_multi_region)
        .map(|other| &other.home_region)
        .filter(|region| regions.is_enabled(trail.account, region));
    let mut all = std::iter::once(&trail.home_region).chain(elsewhere);
    all.find(|region| is_full(region)).cloned()
}

fn exceeded(account: AccountId, region: &Region) -> ApiError {
    let message =
        format!("User: {account} already has {TRAILS_PER_REGION_MAX} trails in {region}.");
    ApiError::new(ErrorCode::MaximumNumberOfTrailsExceededException, message)
}
