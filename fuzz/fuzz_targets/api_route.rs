//! Targets: what routes is named by the target, in one of the two spellings.
#![no_main]

use cairn_api::operations::{TARGET_PREFIX_LONG, TARGET_PREFIX_SHORT, route_rest};
use cairn_api::route;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|target: &str| {
    if let Ok(row) = route(target) {
        let spellings = [TARGET_PREFIX_LONG, TARGET_PREFIX_SHORT];
        assert!(
            spellings
                .iter()
                .any(|prefix| target == format!("{prefix}{}", row.name))
        );
    }
    if let Ok(row) = route_rest("POST", target) {
        assert_eq!(row.path, target);
    }
});
