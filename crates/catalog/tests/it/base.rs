//! Opening, durability settings, the outbox and settings.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use cairn_catalog::{
    Catalog, CatalogError, DrainedEntry, OutboxEntry, OutboxId, OutboxRecord, QuarantinedRecord,
};
use cairn_platform::ManualClock;

async fn open(folder: &tempfile::TempDir) -> Result<Catalog, CatalogError> {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    Catalog::open(&folder.path().join("catalog.sqlite"), clock).await
}

fn entry(text: &str) -> OutboxEntry {
    let record = |part: &str| OutboxRecord {
        kind: 1,
        header: format!("{text}-{part}-header").into_bytes(),
        body: format!("{text}-{part}").into_bytes(),
    };
    OutboxEntry {
        records: vec![record("event"), record("control")],
    }
}

fn drained(id: OutboxId) -> DrainedEntry {
    DrainedEntry {
        id,
        quarantined: Vec::new(),
    }
}

// Proves: R21
#[tokio::test]
async fn a_record_that_cannot_be_drained_is_kept_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder).await.expect("opens");
    let mut write = catalog.begin().await.expect("begins");
    let id = write.enqueue(entry("half")).await.expect("enqueues").0;
    write.commit().await.expect("commits");
    let half = DrainedEntry {
        id,
        quarantined: vec![QuarantinedRecord {
            ordinal: 1,
            reason: "it cannot be read".into(),
        }],
    };
    catalog.outbox_done(&[half]).await.expect("removes");
    assert_eq!(catalog.outbox_depth().await.expect("counts"), 0);
    assert_eq!(catalog.outbox_quarantined().await.expect("counts"), 1);
    let path = folder.path().join("catalog.sqlite");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await;
    let pool = pool.expect("connects");
    let kept: (i64, Vec<u8>, String) =
        sqlx::query_as("SELECT outbox_id, body, reason FROM outbox_quarantine")
            .fetch_one(&pool)
            .await
            .expect("one record");
    assert_eq!(
        kept,
        (id.0, b"half-control".to_vec(), "it cannot be read".into())
    );
    pool.close().await;
}

// Proves: R21
#[tokio::test]
async fn an_entry_appears_only_with_its_mutation_and_stays_until_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder).await.expect("opens");
    let mut dropped = catalog.begin().await.expect("begins");
    dropped
        .put_setting("trail", b"never")
        .await
        .expect("stores");
    dropped.enqueue(entry("never")).await.expect("enqueues");
    drop(dropped);
    let mut kept = catalog.begin().await.expect("begins");
    kept.put_setting("trail", b"kept").await.expect("stores");
    let first = kept.enqueue(entry("first")).await.expect("enqueues").0;
    kept.commit().await.expect("commits");
    let mut kept = catalog.begin().await.expect("begins");
    let second = kept.enqueue(entry("second")).await.expect("enqueues").0;
    kept.commit().await.expect("commits");
    catalog.close().await;
    drop(catalog);

    let catalog = open(&folder).await.expect("opens again");
    assert_eq!(
        catalog.setting("trail").await.expect("reads"),
        Some(b"kept".to_vec())
    );
    let pending = catalog.outbox_pending(10).await.expect("reads");
    assert_eq!(
        pending,
        [(first, entry("first")), (second, entry("second"))]
    );
    assert_eq!(
        catalog.outbox_pending(1).await.expect("reads"),
        [(first, entry("first"))]
    );
    assert_eq!(
        catalog.outbox_entry(first).await.expect("reads"),
        Some(entry("first"))
    );
    let done = [drained(first)];
    catalog.outbox_done(&done).await.expect("removes");
    catalog.outbox_done(&done).await.expect("removes again");
    assert_eq!(catalog.outbox_entry(first).await.expect("reads"), None);
    assert_eq!(
        catalog.outbox_pending(10).await.expect("reads"),
        [(second, entry("second"))]
    );
    assert_eq!(catalog.outbox_depth().await.expect("counts"), 1);
}

// Proves: R7
#[tokio::test]
async fn a_second_process_is_kept_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = open(&folder).await.expect("opens");
    let second = open(&folder).await.expect_err("is refused");
    assert!(matches!(second, CatalogError::InUse { .. }), "{second}");
}

#[tokio::test]
async fn the_files_are_readable_by_their_owner_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder).await.expect("opens");
    let mut write = catalog.begin().await.expect("begins");
    write.put_setting("x", b"y").await.expect("stores");
    write.commit().await.expect("commits");
    for file in std::fs::read_dir(folder.path()).expect("lists") {
        let file = file.expect("an entry");
        let mode = file.metadata().expect("has metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder).await.expect("opens");
    catalog.close().await;
    drop(catalog);
    let path = folder.path().join("catalog.sqlite");
    let mut bytes = std::fs::read(&path).expect("reads");
    let page = 4096;
    assert!(bytes.len() > 4 * page);
    bytes[page..3 * page].fill(0x5a);
    std::fs::write(&path, bytes).expect("writes");
    let error = open(&folder).await.expect_err("is refused");
    assert!(!error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_catalog_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(&folder).await.expect("opens");
    catalog.close().await;
    drop(catalog);
    let url = format!(
        "sqlite://{}",
        folder.path().join("catalog.sqlite").display()
    );
    let pool = sqlx::SqlitePool::connect(&url).await.expect("connects");
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', '', 1, x'00', 0)")
        .execute(&pool)
        .await
        .expect("inserts");
    pool.close().await;
    let error = open(&folder).await.expect_err("is refused");
    assert!(error.to_string().contains("9999"), "{error}");
}
