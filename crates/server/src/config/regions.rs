//! Which Regions are enabled, for every account or for one (DESIGN 2.9 as it stands in the reference).

use std::collections::{BTreeMap, BTreeSet};

use cairn_model::{AccountId, Region};

/// The enabled Regions of every account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionRules {
    every_account: BTreeSet<Region>,
    exceptions: BTreeMap<AccountId, BTreeSet<Region>>,
}

impl RegionRules {
    /// Rules from a list for all accounts and lists for some.
    pub fn new(
        every_account: BTreeSet<Region>,
        exceptions: BTreeMap<AccountId, BTreeSet<Region>>,
    ) -> Self {
        Self {
            every_account,
            exceptions,
        }
    }

    /// True if `account` may be called, and may receive events, in `region`.
    pub fn is_enabled(&self, account: AccountId, region: &Region) -> bool {
        self.exceptions
            .get(&account)
            .unwrap_or(&self.every_account)
            .contains(region)
    }

    /// The Regions that are enabled for `account`, in order.
    pub fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Region> {
        self.exceptions
            .get(&account)
            .unwrap_or(&self.every_account)
            .iter()
    }

    /// The Regions of accounts without an exception, in order.
    pub fn of_every_account(&self) -> impl Iterator<Item = &Region> {
        self.every_account.iter()
    }
}
