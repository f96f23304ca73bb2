//! Encrypted connections, and what records say of them.

use std::path::Path;

use cairn_testkit::TestAppBuilder;
use serde_json::json;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fixtures")
        .join(name);
    path.display().to_string()
}

// Proves: REC-051, SEC-085
#[tokio::test]
async fn an_encrypted_call_is_recorded_with_its_version_and_suite() {
    let certificate = fixture("localhost.cert.pem");
    let app = TestAppBuilder::default()
        .with("tls.certificate_file", &certificate)
        .with("tls.private_key_file", &fixture("localhost.key.pem"))
        .start()
        .await;
    let pem = std::fs::read(&certificate).expect("the fixture is there");
    let client = app.client().over_tls(&pem);
    let answer = client
        .cloudtrail("LookupEvents", &json!({"MaxResults": 7}))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let event = loop {
        let answer = client.lookup(("EventName", "LookupEvents")).await.json();
        let events = answer["Events"].as_array().expect("a list").clone();
        if let Some(event) = events.last() {
            let text = event["CloudTrailEvent"]
                .as_str()
                .expect("a record")
                .to_owned();
            break serde_json::from_str::<serde_json::Value>(&text).expect("records are JSON");
        }
    };
    assert_eq!(
        event["tlsDetails"],
        json!({
            "tlsVersion": "TLSv1.3",
            "cipherSuite": event["tlsDetails"]["cipherSuite"],
            "clientProvidedHostHeader": app.address().to_string(),
        })
    );
    let suite = event["tlsDetails"]["cipherSuite"].as_str().expect("a text");
    assert!(suite.starts_with("TLS_"), "{suite}");
    app.stop().await;
}
