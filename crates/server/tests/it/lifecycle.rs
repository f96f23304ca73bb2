//! Stop, restart, recovery, and who may look into DATA_DIR.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cairn_catalog::{Catalog, OutboxEntry, OutboxRecord};
use cairn_eventlog::RecordKind;
use cairn_model::{Completion, canonicalize};
use cairn_platform::{Clock, ManualClock, SystemClock};
use cairn_testkit::{TestApp, TestAppBuilder, management_event};
use serde_json::json;

fn now() -> String {
    let millis = cairn_platform::Clock::now_ms(&cairn_platform::SystemClock::new());
    chrono::DateTime::from_timestamp_millis(millis)
        .expect("now is a time")
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

// Proves: P1, R11
#[tokio::test]
async fn after_a_restart_everything_is_there_and_retries_are_still_known() {
    let app = TestApp::start().await;
    let batch = management_event("one", &now()).to_string();
    assert_eq!(
        app.client().put_events(batch.as_bytes()).await.json()["accepted"],
        1
    );
    let credentials = app.client().credentials;
    let app = app.restart().await;
    assert_eq!(
        app.client().credentials.access_key_id,
        credentials.access_key_id
    );
    let report = app.client().put_events(batch.as_bytes()).await.json();
    assert_eq!(
        (&report["accepted"], &report["duplicates"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(app.lookup_until(("EventId", "one"), 1).await.len(), 1);
    let app = app.restart().await;
    assert_eq!(app.lookup_until(("EventId", "one"), 1).await.len(), 1);
    app.stop().await;
}

/// An outbox entry as a crash between the mutation's commit and the log leaves it.
async fn owe(data_dir: &std::path::Path, json: &'static str) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let catalog = Catalog::open(&data_dir.join("catalog.sqlite"), clock)
        .await
        .expect("nobody else runs");
    let account = "123456789012".parse().expect("twelve digits");
    let mut new_event_id = || panic!("the event has its ID");
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    let event =
        canonicalize(&Bytes::from_static(json.as_bytes()), &mut completion).expect("a valid event");
    let mut header = Vec::new();
    event.header.encode(&mut header);
    let record = OutboxRecord {
        kind: RecordKind::Event as u8,
        header,
        body: event.json.to_vec(),
    };
    let mut transaction = catalog.begin().await.expect("the catalog is open");
    transaction
        .enqueue(OutboxEntry {
            records: vec![record],
        })
        .await
        .expect("it fits");
    transaction.commit().await.expect("it is durable");
    catalog.close().await;
}

// Proves: R21
#[tokio::test]
async fn what_a_crashed_mutation_owes_the_log_gets_there_once() {
    let owed = management_event("owed", &now()).to_string().leak();
    let app = TestApp::start()
        .await
        .restart_after(async |folder| owe(folder, owed).await)
        .await;
    assert_eq!(app.lookup_until(("EventId", "owed"), 1).await.len(), 1);
    // As if the crash had come after the append: the log holds the event, the outbox still has it.
    let app = app
        .restart_after(async |folder| owe(folder, owed).await)
        .await;
    app.lookup_until(("EventName", "LookupEvents"), 1).await;
    assert_eq!(app.lookup_until(("EventId", "owed"), 1).await.len(), 1);
    let metrics = app.client().unsigned("GET", "/metrics").await.text();
    assert!(metrics.contains("cairn_outbox_entries 0"), "{metrics}");
    app.stop().await;
}

/// The metadata files of event history.
fn metadata_files(data_dir: &Path) -> Vec<PathBuf> {
    let folder = data_dir.join("lake/event-history/metadata");
    let files = std::fs::read_dir(folder).expect("the table is there");
    let paths = files.map(|file| file.expect("can be listed").path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(".metadata.json"))
        .collect()
}

/// Changes a bit in each, or changes it back.
fn flip_a_bit(files: &[PathBuf]) {
    for path in files {
        let mut content = std::fs::read(path).expect("is there");
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(path, content).expect("can be written");
    }
}

// Proves: C5
#[tokio::test]
async fn events_are_accepted_while_the_tables_cannot_be_read_and_shown_once_they_can() {
    let clock = ManualClock::at(1_780_272_000_000);
    let event = |id: &str| management_event(id, "2026-05-31T00:00:00Z").to_string();
    let app = TestAppBuilder::default().at(clock).start().await;
    let report = app.client().put_events(event("before").as_bytes()).await;
    assert_eq!(report.json()["accepted"], 1);
    let files = metadata_files(&app.data_dir());
    assert!(!files.is_empty());
    let app = app.restart_after(async |_| flip_a_bit(&files)).await;
    let client = app.client();

    let report = client.put_events(event("meanwhile").as_bytes()).await;
    assert_eq!(report.json()["accepted"], 1);
    let retry = client.put_events(event("before").as_bytes()).await;
    assert_eq!(retry.json()["duplicates"], 1);
    let user = "Action=CreateUser&UserName=meanwhile";
    assert_eq!(client.query("iam", user).await.status, 200);
    let refused = client.lookup(("EventId", "before")).await;
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (503, "ServiceUnavailable")
    );
    let metrics = client.unsigned("GET", "/metrics").await.text();
    assert!(metrics.contains("cairn_lake_closed 1"), "{metrics}");
    let health = client.unsigned("GET", "/healthz").await;
    let told = "ok, but the lake's tables cannot be read\n";
    assert_eq!((health.status, health.text().as_str()), (200, told));

    flip_a_bit(&files);
    app.eventually("the lake is open", async || {
        client.lookup(("EventId", "before")).await.status == 200
    })
    .await;
    for id in ["before", "meanwhile"] {
        assert_eq!(app.lookup_until(("EventId", id), 1).await.len(), 1, "{id}");
    }
    let made = app.lookup_until(("EventName", "CreateUser"), 1).await;
    assert_eq!(made[0]["requestParameters"]["userName"], "meanwhile");
    let metrics = client.unsigned("GET", "/metrics").await.text();
    assert!(metrics.contains("cairn_lake_closed 0"), "{metrics}");
    app.stop().await;
}

#[tokio::test]
async fn secrets_of_data_dir_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::start().await;
    for name in [
        "credentials",
        "config",
        "master.key",
        "catalog.sqlite",
        "catalog.sqlite.changes",
    ] {
        let path = app.data_dir().join(name);
        let mode = std::fs::metadata(&path).expect(name).permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let mode = std::fs::metadata(app.data_dir())
        .expect("DATA_DIR")
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o700);
    app.stop().await;
}

#[tokio::test]
async fn a_second_server_does_not_open_the_same_folder() {
    let app = TestApp::start().await;
    let lock = app.data_dir().join("catalog.sqlite.lock");
    let file = std::fs::File::open(lock).expect("the lock exists");
    assert!(file.try_lock().is_err(), "the running server holds it");
    app.stop().await;
    file.try_lock().expect("a stopped server has let go");
}
