//! The metrics page: what it names, and what damage does to it.

use std::collections::BTreeSet;
use std::path::Path;

use cairn_platform::ManualClock;
use cairn_testkit::{TestApp, TestAppBuilder};

async fn scrape(app: &TestApp) -> String {
    let answer = app.client().unsigned("GET", "/metrics").await;
    assert_eq!(answer.status, 200);
    answer.text()
}

fn value(page: &str, name: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("{name} is not in\n{page}"));
    line.parse().expect("a number")
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_metric_exists() {
    let builder = TestAppBuilder::default().with("ingest.requests_burst", "1");
    let app = builder
        .with("ingest.requests_per_second", "1")
        // Time stands still, so no token comes back.
        .at(ManualClock::at(1_700_000_000_000))
        .start()
        .await;
    // Families with labels appear with their first value: a refused event, a caller beyond its rate,
    // a request of nobody known.
    let client = app.client();
    assert_eq!(client.put_events(b"{}").await.status, 400);
    let beyond = client.put_events(b"{}").await;
    assert_eq!(beyond.error(), "ThrottlingException");
    assert_eq!(client.unsigned("POST", "/events").await.status, 403);
    let page = scrape(&app).await;
    let named: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let text = std::fs::read_to_string(docs).expect("the page is there");
    let documented: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `cairn_")?.split('`').next())
        .map(|name| name.trim_end_matches("_total"))
        .collect();
    let named: BTreeSet<&str> = named
        .into_iter()
        .filter_map(|name| name.strip_prefix("cairn_"))
        .collect();
    assert_eq!(named, documented);
    app.stop().await;
}

// Proves: R4
#[tokio::test]
async fn damage_that_the_log_found_is_on_the_page() {
    let app = TestApp::start().await;
    let admin = app.client();
    for _ in 0..200 {
        admin
            .cloudtrail("LookupEvents", &serde_json::json!({}))
            .await;
    }
    assert_eq!(value(&scrape(&app).await, "cairn_log_damages").to_bits(), 0);
    let app = app
        .restart_after(async |data_dir| {
            let mut segments: Vec<_> = std::fs::read_dir(data_dir.join("log"))
                .expect("the log's folder")
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.extension().is_some_and(|end| end == "segment"))
                .collect();
            segments.sort();
            let mut bytes = std::fs::read(&segments[0]).expect("a segment");
            // Two whole frames; others follow, so this is no torn end.
            let middle = bytes.len() / 2;
            bytes[middle..middle + 8192].fill(0xff);
            std::fs::write(&segments[0], bytes).expect("a segment");
        })
        .await;
    let page = scrape(&app).await;
    assert!(value(&page, "cairn_log_damages") >= 1.0, "{page}");
    assert_eq!(value(&page, "cairn_log_no_space").to_bits(), 0);
    app.stop().await;
}
