//! A change stands whether or not its witness can be written.

use cairn_platform::{ManualClock, SimDisk, SimFaults};

use super::*;

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
