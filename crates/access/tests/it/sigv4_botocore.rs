//! Requests that AWS's own Python client signed.

use cairn_access::sigv4::ServiceRules;
use serde_json::Value;

use crate::client::{NOW_MS, Wire, pair};

// Proves: A1
#[test]
fn requests_signed_by_botocore_are_accepted() {
    let text = include_str!("../fixtures/botocore-signed-requests.json");
    let fixture: Value = serde_json::from_str(text).expect("the fixture is JSON");
    let requests = fixture["requests"].as_array().expect("a list");
    assert_eq!(requests.len(), 21);
    for request in requests {
        let member = |name: &str| request[name].as_str().expect("a string").to_owned();
        let headers = request["headers"].as_array().expect("a list").iter();
        let service = if member("service") == "s3" {
            "s3"
        } else {
            "cloudtrail"
        };
        let rules = if service == "s3" {
            ServiceRules::S3
        } else {
            ServiceRules::STANDARD
        };
        let wire = Wire {
            method: member("method"),
            path: member("path"),
            query: member("query"),
            headers: headers
                .map(|one| {
                    pair(
                        one[0].as_str().expect("a name"),
                        one[1].as_str().expect("a value"),
                    )
                })
                .collect(),
            body: member("body").into_bytes(),
            now_ms: NOW_MS,
            rules,
            service,
        };
        let signed = wire
            .authenticate()
            .unwrap_or_else(|error| panic!("{request:#}\n{error}"));
        assert_eq!(signed.scope().service, member("service"));
        let session = member("name").contains("session");
        assert_eq!(
            signed.security_token(),
            session.then_some("FwoGZXIvYXdzE//+=")
        );
        assert_eq!(
            signed.presigned_seconds().is_some(),
            member("name").starts_with("presigned")
        );

        let bent = Wire {
            method: "DELETE".to_owned(),
            ..wire
        };
        assert!(bent.authenticate().is_err(), "{request:#}");
    }
}
