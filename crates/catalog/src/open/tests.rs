//! Connections that are less durable than promised are refused, whoever made them so.

use super::*;

fn options(folder: &tempfile::TempDir) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(folder.path().join("catalog.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
}

async fn refused(options: SqliteConnectOptions) -> &'static str {
    match pool(1, options).await {
        Err(CatalogError::Unsafe { setting, .. }) => setting,
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("not refused"),
    }
}

// Proves: R10
#[tokio::test]
async fn a_connection_that_may_lose_commits_is_refused() {
    // A database for each case: a refused connection closes in its own time.
    let folder = || tempfile::tempdir().expect("a folder");
    let safe = folder();
    pool(1, options(&safe))
        .await
        .expect("is safe")
        .close()
        .await;
    let normal = folder();
    let unsynced = options(&normal).synchronous(SqliteSynchronous::Normal);
    assert_eq!(refused(unsynced).await, "synchronous");
    let unchecked = folder();
    assert_eq!(
        refused(options(&unchecked).foreign_keys(false)).await,
        "foreign_keys"
    );
    let rollback = folder();
    let delete = options(&rollback).journal_mode(SqliteJournalMode::Delete);
    assert_eq!(refused(delete).await, "journal_mode");
}

// Proves: R10
#[test]
fn an_sqlite_without_the_repair_of_the_wal_reset_race_is_too_old() {
    for (version, enough) in [
        ("3.51.3", true),
        ("3.52.0", true),
        ("4.0", true),
        ("3.51.2", false),
        ("x", false),
    ] {
        assert_eq!(
            is_at_least(version, SQLITE_VERSION_MIN),
            enough,
            "{version}"
        );
    }
}
