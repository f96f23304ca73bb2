//! ARNs: what is read is what was written, and its parts put together again are the whole.
#![no_main]

use cairn_model::Arn;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(arn) = text.parse::<Arn>() {
        assert_eq!(arn.as_str(), text);
        let parts = [arn.partition(), arn.service(), arn.region(), arn.account()].join(":");
        assert_eq!(format!("arn:{parts}:{}", arn.resource()), text);
        assert!(arn.resource().ends_with(arn.resource_name()));
        assert!(
            arn.resource_kind()
                .is_none_or(|kind| arn.resource().starts_with(kind))
        );
    }
});
