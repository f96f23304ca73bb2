//! Requests: whatever the bytes, the answer is a valid request that its type can hold, or an error of the caller.
#![no_main]

use cairn_api::authorization::{Scope, targets};
use cairn_api::cloudtrail::inputs::LookupEventsRequest;
use cairn_api::{ApiError, answer, operations, request, validate};
use libfuzzer_sys::fuzz_target;

// The first byte chooses the operation, the rest is the body.
fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else {
        return;
    };
    let rows = operations();
    let row = &rows[usize::from(*choice) % rows.len()];
    let protocol = row.service.protocol();
    let check = || -> Result<(), ApiError> {
        let request = request::read_body(row, body)?;
        validate(row, &request)?;
        let region = "us-east-1".parse().expect("a Region");
        let account = "123456789012".parse().expect("an account");
        assert!(
            !targets(
                row,
                &request,
                Scope {
                    account,
                    region: &region
                }
            )
            .is_empty()
        );
        if row.name == "LookupEvents" {
            let typed: LookupEventsRequest =
                request::typed(request).expect("a valid request has its type");
            assert!(
                typed
                    .max_results
                    .is_none_or(|count| (1..=50).contains(&count))
            );
        }
        Ok(())
    };
    if let Err(error) = check() {
        assert!(error.http_status(protocol) < 500, "{error}");
        assert!(
            error.message.len() < 64 * 1024,
            "a message of {} bytes",
            error.message.len()
        );
        assert!(!answer::failure(protocol, &error, "id").body.is_empty());
    }
});
