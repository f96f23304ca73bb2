//! Keys through the catalog's own interface.

use std::sync::Arc;

use cairn_catalog::identity::{NewAccount, Tag};
use cairn_catalog::keys::{Alias, KeyDeletion, KeyRotation, KmsKey, MaterialFacts, ReadKeys};
use cairn_catalog::{Catalog, CatalogError, WriteTransaction};
use cairn_model::{AccountId, Region};
use cairn_platform::ManualClock;

const NOW_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 86_400_000;
/// What stands for sealed material.
const SEALED: &[u8] = b"canary-of-sealed-material-0123456789";

fn account() -> AccountId {
    "012345678901".parse().expect("an account")
}

fn region() -> Region {
    "eu-west-1".parse().expect("a Region")
}

fn key(id: &str) -> KmsKey {
    KmsKey {
        account: account(),
        region: region(),
        id: id.to_owned(),
        created_ms: NOW_MS,
        description: "for trails".to_owned(),
        policy: "{}".to_owned(),
        is_enabled: true,
        version: 1,
        deletion: None,
        rotation: None,
    }
}

fn alias(name: &str, key_id: &str) -> Alias {
    Alias {
        name: name.to_owned(),
        key_id: key_id.to_owned(),
        created_ms: NOW_MS,
        updated_ms: NOW_MS,
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    catalog: Catalog,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let catalog = Catalog::open(&folder.path().join("catalog.sqlite"), clock).await;
        let fixture = Self {
            folder,
            catalog: catalog.expect("opens"),
        };
        fixture
            .change(async |write| {
                let new = NewAccount {
                    account: account(),
                    name: "test".to_owned(),
                };
                write.create_account(new).await.expect("is new");
            })
            .await;
        fixture
    }

    async fn change(&self, work: impl AsyncFnOnce(&mut WriteTransaction)) {
        let mut write = self.catalog.begin().await.expect("begins");
        work(&mut write).await;
        write.commit().await.expect("commits");
    }

    async fn insert(&self, key: &KmsKey) {
        let facts = MaterialFacts {
            version: 1,
            created_ms: NOW_MS,
            is_on_demand: false,
        };
        self.change(async |write| {
            write.insert_kms_key(key).await.expect("is new");
            write
                .add_kms_material(key, facts, SEALED)
                .await
                .expect("writes");
        })
        .await;
    }

    async fn find(&self, id: &str) -> Option<KmsKey> {
        let mut read = self.catalog.read().await.expect("begins");
        read.keys()
            .find((account(), &region()), id)
            .await
            .expect("reads")
    }
}

#[tokio::test]
async fn a_key_is_read_as_it_was_written() {
    let fixture = Fixture::new().await;
    let mut written = key("a");
    fixture.insert(&written).await;
    assert_eq!(fixture.find("a").await, Some(written.clone()));
    written.is_enabled = false;
    written.description = String::new();
    written.deletion = Some(KeyDeletion {
        due_ms: NOW_MS + 7 * DAY_MS,
        window_days: 7,
    });
    written.rotation = Some(KeyRotation {
        period_days: 90,
        from_ms: NOW_MS,
    });
    fixture
        .change(async |write| write.put_kms_key(&written).await.expect("is there"))
        .await;
    assert_eq!(fixture.find("a").await, Some(written.clone()));
    let mut write = fixture.catalog.begin().await.expect("begins");
    let twice = write.insert_kms_key(&written).await;
    assert!(
        matches!(twice, Err(CatalogError::EntityAlreadyExists(_))),
        "{twice:?}"
    );
    let missing = write.put_kms_key(&key("b")).await;
    assert!(
        matches!(missing, Err(CatalogError::NoSuchEntity(_))),
        "{missing:?}"
    );
}

#[tokio::test]
async fn keys_are_due_by_deletion_or_by_rotation() {
    let fixture = Fixture::new().await;
    let rotation = Some(KeyRotation {
        period_days: 90,
        from_ms: NOW_MS,
    });
    let deletion = Some(KeyDeletion {
        due_ms: NOW_MS + 7 * DAY_MS,
        window_days: 7,
    });
    for (id, deletion, rotation, is_enabled) in [
        ("idle", None, None, true),
        ("gone", deletion, rotation, true),
        ("rotates", None, rotation, true),
        ("disabled", None, rotation, false),
    ] {
        let key = KmsKey {
            deletion,
            rotation,
            is_enabled,
            ..key(id)
        };
        fixture.insert(&key).await;
        fixture
            .change(async |write| write.put_kms_key(&key).await.expect("is there"))
            .await;
    }
    let due = async |now_ms: i64| {
        let mut read = fixture.catalog.read().await.expect("begins");
        let due = read.keys().due(now_ms).await.expect("reads");
        due.into_iter().map(|key| key.id).collect::<Vec<String>>()
    };
    assert_eq!(due(NOW_MS + 7 * DAY_MS - 1).await, Vec::<String>::new());
    assert_eq!(due(NOW_MS + 7 * DAY_MS).await, ["gone"]);
    assert_eq!(due(NOW_MS + 90 * DAY_MS - 1).await, ["gone"]);
    assert_eq!(due(NOW_MS + 90 * DAY_MS).await, ["gone", "rotates"]);
}

#[tokio::test]
async fn a_deleted_key_takes_material_aliases_and_tags_with_it() {
    let fixture = Fixture::new().await;
    let (gone, kept) = (key("gone"), key("kept"));
    fixture.insert(&gone).await;
    fixture.insert(&kept).await;
    let tag = Tag {
        key: "Team".to_owned(),
        value: "audit".to_owned(),
    };
    let place_region = region();
    let place = (account(), &place_region);
    fixture
        .change(async |write| {
            for (name, id) in [
                ("alias/a", "gone"),
                ("alias/b", "gone"),
                ("alias/c", "kept"),
            ] {
                write
                    .insert_kms_alias(place, &alias(name, id))
                    .await
                    .expect("is new");
            }
            let arn = gone.arn();
            write
                .put_resource_tags(account(), &arn, &[tag])
                .await
                .expect("puts");
            write.move_kms_alias("alias/b", &kept).await.expect("moves");
        })
        .await;
    let mut read = fixture.catalog.read().await.expect("begins");
    let aliases = read
        .keys()
        .aliases(place, None, ("", 10))
        .await
        .expect("reads");
    let names: Vec<(&str, &str)> = aliases
        .iter()
        .map(|a| (a.name.as_str(), a.key_id.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("alias/a", "gone"),
            ("alias/b", "kept"),
            ("alias/c", "kept")
        ]
    );
    drop(read);
    fixture
        .change(async |write| write.delete_kms_key(&gone).await.expect("is there"))
        .await;
    assert_eq!(fixture.find("gone").await, None);
    let mut read = fixture.catalog.read().await.expect("begins");
    let mut view = read.keys();
    assert_eq!(view.material(&gone, 1).await.expect("reads"), None);
    assert_eq!(view.tags(&gone).await.expect("reads"), []);
    assert_eq!(view.alias(place, "alias/a").await.expect("reads"), None);
    assert_eq!(view.ids(place, "", 10).await.expect("reads"), ["kept"]);
    assert_eq!(
        view.material(&kept, 1).await.expect("reads").as_deref(),
        Some(SEALED)
    );
}

/// Nothing of the material is left in the database once the write-ahead log is in it.
#[tokio::test]
async fn what_a_deleted_key_held_is_overwritten() {
    let fixture = Fixture::new().await;
    fixture.insert(&key("gone")).await;
    let file = fixture.folder.path().join("catalog.sqlite");
    let holds = |bytes: Vec<u8>| bytes.windows(SEALED.len()).any(|part| part == SEALED);
    fixture.catalog.close().await;
    assert!(holds(std::fs::read(&file).expect("is there")));
    let Fixture { folder, catalog } = fixture;
    drop(catalog);
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let catalog = Catalog::open(&file, clock).await.expect("opens");
    let mut write = catalog.begin().await.expect("begins");
    write.delete_kms_key(&key("gone")).await.expect("is there");
    write.commit().await.expect("commits");
    catalog.close().await;
    assert!(!holds(std::fs::read(&file).expect("is there")));
    drop(folder);
}
