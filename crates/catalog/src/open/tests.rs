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
    let folder = tempfile::tempdir().expect("a folder");
    pool(1, options(&folder))
        .await
        .expect("is safe")
        .close()
        .await;
    let normal = options(&folder).synchronous(SqliteSynchronous::Normal);
    assert_eq!(refused(normal).await, "synchronous");
    assert_eq!(
        refused(options(&folder).foreign_keys(false)).await,
        "foreign_keys"
    );
    let rollback = options(&folder).journal_mode(SqliteJournalMode::Delete);
    assert_eq!(refused(rollback).await, "journal_mode");
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
