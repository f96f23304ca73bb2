//! Stop, restart, recovery, and who may look into DATA_DIR.

use cairn_testkit::{TestApp, management_event};
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

#[tokio::test]
async fn secrets_of_data_dir_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::start().await;
    for name in ["credentials", "config", "master.key", "catalog.sqlite"] {
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
