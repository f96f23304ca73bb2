//! How much the spool may take yet. Each trail has a budget for its bucket and another for its log groups, so that
//! neither starves for the other; so has each bus. A file that several need counts once towards the total.

use std::collections::BTreeMap;

use cairn_catalog::trails::{Lane, Outlet};

/// Room in the spool.
#[derive(Clone, Debug)]
pub(crate) struct SpoolRoom {
    /// For all together.
    total: u64,
    /// For each budget.
    for_each: u64,
    /// What budgets hold already.
    used: BTreeMap<String, u64>,
}

impl SpoolRoom {
    pub(crate) fn new(total: u64, for_each: u64) -> Self {
        Self {
            total,
            for_each,
            used: BTreeMap::new(),
        }
    }

    /// Counts what is there: so much of a budget, of which `own` bytes are counted nowhere else.
    pub(crate) fn count(&mut self, budget: String, bytes: u64, own: u64) {
        let used = self.used.entry(budget).or_default();
        *used = used.saturating_add(bytes);
        self.total = self.total.saturating_sub(own);
    }

    /// The disk has no more than this.
    pub(crate) fn bound(&mut self, free: u64) {
        self.total = self.total.min(free);
    }

    /// Takes room for a file in each of the budgets that have it. Says which.
    pub(crate) fn take(&mut self, budgets: &[String], bytes: u64) -> Vec<bool> {
        if bytes > self.total {
            return vec![false; budgets.len()];
        }
        let mut taken = Vec::with_capacity(budgets.len());
        for budget in budgets {
            let used = self.used.entry(budget.clone()).or_default();
            let has_room = used.saturating_add(bytes) <= self.for_each;
            if has_room {
                *used += bytes;
            }
            taken.push(has_room);
        }
        if taken.contains(&true) {
            self.total -= bytes;
        }
        taken
    }
}

/// The budget of what goes to a log group or bus.
pub(crate) fn budget_of(lane: &Lane) -> String {
    match lane.outlet {
        Outlet::Logs | Outlet::Topic => format!("logs of {}", lane.owner),
        Outlet::Bus => format!("bus of {} in {}", lane.owner, lane.target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_apart_and_the_total_counts_a_file_once() {
        let (bucket, logs) = ("trail".to_owned(), "logs of trail".to_owned());
        let both = [bucket.clone(), logs.clone()];
        let mut room = SpoolRoom::new(100, 50);
        room.count(bucket, 30, 30);
        assert_eq!(room.take(&both, 20), [true, true]);
        assert_eq!(room.total, 50);
        assert_eq!(room.take(&both, 20), [false, true], "the bucket is full");
        assert_eq!(room.take(&both, 20), [false, false]);
        assert_eq!(room.total, 30, "what is refused takes nothing");
        room.bound(5);
        assert_eq!(room.take(&["other".to_owned()], 6), [false]);
        room.count(logs, 100, 100);
        assert_eq!(
            room.take(&["other".to_owned()], 1),
            [false],
            "the disk is full"
        );
    }
}
