//! Connections that are less durable than promised are refused, whoever made them so. A change stands
//! whether or not its witness can be written.

use cairn_platform::{ManualClock, SimDisk, SimFaults};

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

// Proves: C6
#[tokio::test]
async fn a_change_stands_though_its_witness_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog.sqlite");
    let disk = SimDisk::new(1);
    let made = disk.create_dir_all(folder.path());
    made.expect("an empty disk");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
    let opened = Catalog::open_on(&disk, &path, Arc::clone(&clock)).await;
    let catalog = opened.expect("opens");
    for value in ["one", "two"] {
        let write_fails_at = Some(1);
        disk.set_faults(SimFaults {
            write_fails_at,
            ..SimFaults::default()
        });
        let mut write = catalog.begin().await.expect("begins");
        let stored = write.put_setting("x", value.as_bytes()).await;
        stored.expect("stores");
        write.commit().await.expect("is durable");
    }
    catalog.close().await;
    drop(catalog);
    assert_eq!(Witness::open(&disk, &path).expect("opens").found(), Some(0));
    let opened = Catalog::open_on(&disk.kill(), &path, clock).await;
    let catalog = opened.expect("opens ahead of its witness");
    let stored = catalog.setting("x").await.expect("reads");
    assert_eq!(stored.as_deref(), Some(&b"two"[..]));
    catalog.close().await;
}
