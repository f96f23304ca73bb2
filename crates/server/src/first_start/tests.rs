//! First starts in an empty folder, repeated ones, and those that an earlier crash left behind.

use std::sync::Arc;

use cairn_catalog::Catalog;
use cairn_catalog::identity::CredentialRecord;
use cairn_platform::{ManualClock, SeededEntropy};

use super::*;

async fn world(folder: &Path) -> World {
    let entropy = Arc::new(SeededEntropy::new(7));
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let catalog = Catalog::open(&folder.join("catalog.sqlite"), Arc::clone(&clock) as _).await;
    let catalog = catalog.expect("opens");
    let key = open_master_key(&catalog, folder, None, entropy.as_ref()).await;
    World {
        catalog: Arc::new(catalog),
        master_key: key.expect("is made or read"),
        clock,
        entropy,
    }
}

fn first(folder: &Path, port: u16) -> FirstStart {
    FirstStart {
        data_dir: folder.to_owned(),
        account: "123456789012".parse().expect("an account"),
        administrator: "admin".to_owned(),
        region: "us-east-1".parse().expect("a Region"),
        listen: SocketAddr::from(([0, 0, 0, 0], port)),
        s3_listen: SocketAddr::from(([127, 0, 0, 1], 4511)),
        tls: false,
    }
}

fn value<'a>(file: &'a str, name: &str) -> &'a str {
    let line = file
        .lines()
        .find(|line| line.starts_with(name))
        .expect("the line is there");
    line.split_once(" = ").expect("a value").1
}

#[tokio::test]
async fn a_new_catalog_beside_an_old_log_is_refused_before_credentials_are_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = folder.path().join("credentials");
    std::fs::write(&credentials, "those of the lost catalog").expect("writes");
    std::fs::create_dir(folder.path().join(LOG_FOLDER)).expect("a folder");
    std::fs::write(folder.path().join("log/segment"), "events").expect("writes");
    let world = world(folder.path()).await;
    let refused = ensure(&world, &first(folder.path(), 4510)).await;
    assert!(matches!(refused, Err(FirstStartError::NoCatalog { .. })));
    let kept = std::fs::read_to_string(&credentials).expect("is there");
    assert_eq!(kept, "those of the lost catalog");
    assert_eq!(world.catalog.accounts().await.expect("reads").len(), 0);
}

#[tokio::test]
async fn the_first_start_leaves_credentials_that_open_the_account_and_the_second_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    let left = beside(&folder.path().join("credentials"));
    std::fs::write(left, "by a crash, for all to read").expect("writes");
    ensure(&world, &first(folder.path(), 4510))
        .await
        .expect("sets up");
    let credentials =
        std::fs::read_to_string(folder.path().join("credentials")).expect("is written");
    let key_id = value(&credentials, "aws_access_key_id");
    let record = world
        .catalog
        .resolve_access_key(key_id)
        .await
        .expect("reads")
        .expect("the key exists");
    let context = CredentialRecord::secret_context(record.account.account, key_id);
    let secret = world
        .master_key
        .open(&context, &record.secret_sealed)
        .expect("opens");
    assert_eq!(
        secret.as_slice(),
        value(&credentials, "aws_secret_access_key").as_bytes()
    );
    assert_eq!(
        record.user.as_ref().map(|user| user.name.as_str()),
        Some("admin")
    );

    let config = folder.path().join("config");
    let added = "\n[profile night]\nrole_arn = arn:aws:iam::123456789012:role/Night\n";
    let held = std::fs::read_to_string(&config).expect("is written");
    std::fs::write(&config, format!("{held}{added}")).expect("writes");
    ensure(&world, &first(folder.path(), 9000))
        .await
        .expect("starts again");
    let again = std::fs::read_to_string(folder.path().join("credentials")).expect("is there");
    assert_eq!(again, credentials);
    let config = std::fs::read_to_string(folder.path().join("config")).expect("is written");
    assert_eq!(value(&config, "endpoint_url"), "http://127.0.0.1:9000");
    assert!(config.ends_with(added), "{config}");
    assert_eq!(config.matches("[default]").count(), 1, "{config}");
    assert!(
        config.contains("endpoint_url = http://127.0.0.1:4511"),
        "{config}"
    );
    for name in ["credentials", "config", "master.key"] {
        let metadata = std::fs::metadata(folder.path().join(name)).expect("exists");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_crash_before_the_commit_leaves_a_node_that_still_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("credentials"), "left by a crash").expect("writes");
    let world = world(folder.path()).await;
    ensure(&world, &first(folder.path(), 4510))
        .await
        .expect("sets up");
    let credentials =
        std::fs::read_to_string(folder.path().join("credentials")).expect("is written");
    let key_id = value(&credentials, "aws_access_key_id");
    assert!(
        world
            .catalog
            .resolve_access_key(key_id)
            .await
            .expect("reads")
            .is_some()
    );
}

#[tokio::test]
async fn a_master_key_is_made_once_and_no_other_is_taken_in_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.key");
    let world = world(folder.path()).await;
    let (catalog, entropy) = (Arc::clone(&world.catalog), SeededEntropy::new(1));
    let open = async |configured: Option<&Path>| {
        open_master_key(&catalog, folder.path(), configured, &entropy).await
    };
    let made = std::fs::read_to_string(&path).expect("is made before the first start");
    assert_eq!(
        made.trim(),
        open(None).await.expect("is read").to_hex().as_str()
    );
    let elsewhere = folder.path().join("elsewhere.key");
    let error = open(Some(&elsewhere))
        .await
        .expect_err("is no place for a new key");
    assert!(
        matches!(error, FirstStartError::NoMasterKey { .. }),
        "{error}"
    );
    std::fs::write(&elsewhere, "not a key").expect("writes");
    let error = open(Some(&elsewhere)).await.expect_err("is refused");
    assert!(
        matches!(error, FirstStartError::MasterKey { .. }),
        "{error}"
    );

    ensure(&world, &first(folder.path(), 4510))
        .await
        .expect("sets up");
    let other = MasterKey::generate(&entropy).to_hex();
    std::fs::write(&elsewhere, other.as_bytes()).expect("writes");
    let error = open(Some(&elsewhere)).await.expect_err("opens nothing");
    assert!(
        matches!(error, FirstStartError::OtherMasterKey { .. }),
        "{error}"
    );
    std::fs::rename(&path, &elsewhere).expect("moves");
    let error = open(None).await.expect_err("is not made again");
    assert!(
        matches!(error, FirstStartError::NoMasterKey { .. }),
        "{error}"
    );
    assert!(!path.exists(), "nothing is written in its place");
    open(Some(&elsewhere)).await.expect("is the same key");
}

// Proves: R21
#[tokio::test]
async fn whoever_holds_the_data_gets_in_again_and_it_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    assert_eq!(
        recover(&world, folder.path(), "admin")
            .await
            .expect("reads"),
        None
    );
    let started = first(folder.path(), 4510);
    ensure(&world, &started).await.expect("sets up");
    let path = folder.path().join("credentials");
    let lost = std::fs::read_to_string(&path).expect("is written");
    let (lost_id, resolve) = (value(&lost, "aws_access_key_id"), |key_id: String| {
        let catalog = Arc::clone(&world.catalog);
        async move { catalog.resolve_access_key(&key_id).await.expect("reads") }
    });
    for administrator in ["admin", "second"] {
        let account = recover(&world, folder.path(), administrator)
            .await
            .expect("recovers");
        assert_eq!(account, Some(started.account));
        let found = std::fs::read_to_string(&path).expect("is written");
        let key_id = value(&found, "aws_access_key_id");
        let record = resolve(key_id.to_owned()).await.expect("exists");
        let user = record.user.clone().expect("is a user");
        assert_eq!(user.name, administrator);
        let snapshot = world
            .catalog
            .identity_snapshot(started.account, &user.id)
            .await;
        assert_eq!(snapshot.expect("reads").expect("exists").policies.len(), 1);
        let pending = world.catalog.outbox_pending(10).await.expect("reads");
        let record = &pending.last().expect("an event waits").1.records[0];
        let event: serde_json::Value = serde_json::from_slice(&record.body).expect("is JSON");
        assert_eq!(event["serviceEventDetails"]["accessKeyId"], key_id);
        assert_eq!(event["eventName"], "RecoverAdministrator");
        let header = cairn_model::RoutingHeader::decode(&record.header).expect("is a header");
        assert_eq!(header.account, started.account);
        assert!(
            !event
                .to_string()
                .contains(value(&found, "aws_secret_access_key"))
        );
    }
    assert!(
        resolve(lost_id.to_owned()).await.is_none(),
        "the lost key is gone"
    );
}

#[tokio::test]
async fn a_recovery_that_is_not_committed_leaves_the_credentials_that_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    ensure(&world, &first(folder.path(), 4510))
        .await
        .expect("sets up");
    let path = folder.path().join("credentials");
    let before = std::fs::read_to_string(&path).expect("is written");
    // The new file has no place to be written to, so nothing may change.
    std::fs::create_dir(folder.path().join("credentials.new")).expect("is made");
    let failed = recover(&world, folder.path(), "admin").await;
    assert!(matches!(failed, Err(FirstStartError::File { .. })));
    let after = std::fs::read_to_string(&path).expect("is still there");
    assert_eq!(after, before);
    let key_id = value(&before, "aws_access_key_id");
    let record = world.catalog.resolve_access_key(key_id).await;
    assert!(record.expect("reads").is_some_and(|record| record.active));
}

#[tokio::test]
async fn a_config_that_cannot_be_read_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    let own = b"[profile own]\ncomment = caf\xe9\n";
    std::fs::write(&config, own).expect("writes");
    let world = world(folder.path()).await;
    let refused = ensure(&world, &first(folder.path(), 4510)).await;
    assert!(matches!(refused, Err(FirstStartError::File { path, .. }) if path == config));
    assert_eq!(std::fs::read(&config).expect("is there"), own);
}
