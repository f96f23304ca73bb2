//! Identities through the catalog's own interface: what lasts, what leaves no trace, what caches see.

use std::sync::Arc;

use cairn_catalog::identity::{
    IdPrefix, Identity, IdentityKind, KeyUse, NewAccessKey, NewAccount, NewIdentity,
    SnapshotPolicy, access_key_account, new_access_key_id, new_secret, new_unique_id,
};
use cairn_catalog::{Catalog, CatalogError};
use cairn_model::AccountId;
use cairn_platform::{ManualClock, SeededEntropy};

fn account() -> AccountId {
    "012345678901".parse().expect("an account")
}

async fn open(folder: &tempfile::TempDir) -> Catalog {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    Catalog::open(&folder.path().join("catalog.sqlite"), clock)
        .await
        .expect("opens")
}

fn user(name: &str) -> NewIdentity {
    NewIdentity {
        id: format!("AIDA{name}"),
        kind: IdentityKind::User,
        name: name.to_owned(),
        path: "/".to_owned(),
        boundary_arn: None,
        role: None,
        tags: Vec::new(),
    }
}

async fn with_user(folder: &tempfile::TempDir, name: &str) -> (Catalog, Identity) {
    let catalog = open(folder).await;
    let mut write = catalog.begin().await.expect("begins");
    let new = NewAccount {
        account: account(),
        name: "test".to_owned(),
    };
    write.create_account(new).await.expect("is new");
    let made = write
        .identities(account())
        .create_identity(user(name))
        .await
        .expect("is new");
    write.commit().await.expect("commits");
    (catalog, made)
}

fn key(key_id: &str, user_id: Option<&str>) -> NewAccessKey {
    NewAccessKey {
        key_id: key_id.to_owned(),
        user_id: user_id.map(str::to_owned),
        secret_sealed: vec![1, 2, 3],
    }
}

#[tokio::test]
async fn what_is_committed_lasts_and_what_is_not_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, ana) = with_user(&folder, "Ana").await;
    let version = catalog.identity_version();
    let mut dropped = catalog.begin().await.expect("begins");
    dropped
        .identities(account())
        .create_identity(user("Bob"))
        .await
        .expect("is new");
    drop(dropped);
    assert_eq!(catalog.identity_version(), version);
    catalog.close().await;
    drop(catalog);
    let catalog = open(&folder).await;
    assert_eq!(catalog.identity_version(), version);
    let mut read = catalog.read().await.expect("begins");
    let mut view = read.identities(account());
    let users = view
        .identities_of_kind(IdentityKind::User, "/")
        .await
        .expect("reads");
    assert_eq!(users, [ana]);
}

#[tokio::test]
async fn caches_never_show_a_policy_or_key_that_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, ana) = with_user(&folder, "Ana").await;
    let mut write = catalog.begin().await.expect("begins");
    let mut edit = write.identities(account());
    edit.put_inline_policy(&ana, "p", "{}")
        .await
        .expect("stores");
    edit.create_access_key(key("AKIA1", Some(&ana.id)))
        .await
        .expect("is new");
    write.commit().await.expect("commits");
    let policies = async || {
        let snapshot = catalog
            .identity_snapshot(account(), &ana.id)
            .await
            .expect("reads");
        snapshot.expect("exists").policies.clone()
    };
    let active = async || {
        let record = catalog.resolve_access_key("AKIA1").await.expect("reads");
        record.expect("exists").active
    };
    for _ in 0..2 {
        let document = "{}".to_owned();
        assert_eq!(
            policies().await,
            [SnapshotPolicy::Document {
                name: "p".to_owned(),
                document
            }]
        );
        assert!(active().await);
    }
    let mut write = catalog.begin().await.expect("begins");
    let mut edit = write.identities(account());
    edit.delete_inline_policy(&ana, "p").await.expect("deletes");
    edit.set_key_active(Some(&ana.id), "AKIA1", false)
        .await
        .expect("changes");
    write.commit().await.expect("commits");
    assert_eq!(policies().await, []);
    assert!(!active().await);
    let other: AccountId = "999999999999".parse().expect("an account");
    let foreign = catalog
        .identity_snapshot(other, &ana.id)
        .await
        .expect("reads");
    assert_eq!(foreign, None, "an ID counts in its own account only");
}

#[tokio::test]
async fn a_key_without_a_user_is_the_root_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, _) = with_user(&folder, "Ana").await;
    let mut write = catalog.begin().await.expect("begins");
    write
        .identities(account())
        .create_access_key(key("AKIA2", None))
        .await
        .expect("is new");
    write.commit().await.expect("commits");
    let record = catalog
        .resolve_access_key("AKIA2")
        .await
        .expect("reads")
        .expect("exists");
    assert_eq!(
        (record.user.clone(), record.account.account),
        (None, account())
    );
    assert!(!format!("{record:?}").contains("secret"), "{record:?}");
    assert_eq!(
        catalog.resolve_access_key("AKIA3").await.expect("reads"),
        None
    );
}

#[tokio::test]
async fn a_use_noted_while_uses_are_written_is_not_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, ana) = with_user(&folder, "Ana").await;
    let mut write = catalog.begin().await.expect("begins");
    write
        .identities(account())
        .create_access_key(key("AKIA4", Some(&ana.id)))
        .await
        .expect("new");
    write.commit().await.expect("commits");
    let version = catalog.identity_version();
    let at = |used_ms| KeyUse {
        used_ms,
        service: "iam".to_owned(),
        region: "r".to_owned(),
    };
    catalog.note_key_use("AKIA4", at(1));
    let writing = catalog.write_key_uses();
    let mut writing = Box::pin(writing);
    // Once polled, the writer has taken what it will write; the second use comes after that.
    assert!(futures_poll(&mut writing).await.is_none());
    catalog.note_key_use("AKIA4", at(2));
    writing.await.expect("writes");
    assert_eq!(catalog.noted_key_use("AKIA4"), Some(at(2)));
    catalog.write_key_uses().await.expect("writes");
    let mut read = catalog.read().await.expect("begins");
    let held = read
        .identities(account())
        .access_key("AKIA4")
        .await
        .expect("reads");
    assert_eq!(held.expect("exists").last_use, Some(at(2)));
    assert_eq!(
        catalog.identity_version(),
        version,
        "a use changes nothing that caches hold"
    );
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn mutations_wait_for_one_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, _) = with_user(&folder, "Ana").await;
    let catalog = Arc::new(catalog);
    let mut writers = Vec::new();
    for writer in 0..12 {
        let catalog = Arc::clone(&catalog);
        writers.push(tokio::spawn(async move {
            for round in 0..5 {
                let mut write = catalog.begin().await.expect("begins");
                let count = write
                    .setting("count")
                    .await
                    .expect("reads")
                    .unwrap_or_default();
                let name = format!("u{writer}-{round}");
                write
                    .identities(account())
                    .create_identity(user(&name))
                    .await
                    .expect("is new");
                let next = count.len() + 1;
                write
                    .put_setting("count", &vec![0; next])
                    .await
                    .expect("stores");
                write.commit().await.expect("commits");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("does not panic");
    }
    assert_eq!(
        catalog
            .setting("count")
            .await
            .expect("reads")
            .map(|c| c.len()),
        Some(60)
    );
}

#[tokio::test]
async fn refusals_say_what_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalog, ana) = with_user(&folder, "Ana").await;
    let mut write = catalog.begin().await.expect("begins");
    let again = write
        .identities(account())
        .create_identity(user("ANA"))
        .await;
    assert!(
        matches!(again, Err(CatalogError::EntityAlreadyExists(_))),
        "{again:?}"
    );
    let mut edit = write.identities(account());
    let detached = edit
        .detach_policy(&ana, "arn:aws:iam::aws:policy/None")
        .await;
    assert!(
        matches!(detached, Err(CatalogError::NoSuchEntity(_))),
        "{detached:?}"
    );
    let large = format!("\"{}\"", "x".repeat(3_000));
    let inline = edit.put_inline_policy(&ana, "p", &large).await;
    assert!(
        matches!(
            inline,
            Err(CatalogError::LimitExceeded { limit: 2_048, .. })
        ),
        "{inline:?}"
    );
}

#[test]
fn an_access_key_id_keeps_its_account_where_aws_keeps_it() {
    let entropy = SeededEntropy::new(3);
    for number in ["000000000000", "012345678901", "999999999999"] {
        let account: AccountId = number.parse().expect("an account");
        let key_id = new_access_key_id(IdPrefix::AccessKey, account, &entropy);
        assert_eq!(key_id.len(), 20);
        assert_eq!(access_key_account(&key_id), Some(account), "{key_id}");
    }
    // A published example of a key that AWS gave.
    let published = access_key_account("ASIAQNZGKIQY56JQ7WML").expect("has the form");
    assert_eq!(published.as_str(), "029608264753");
    for wrong in ["", "AKIA", "AKIA0000000000000000", "ÄKIAQNZGKIQY56JQ7WML"] {
        assert_eq!(access_key_account(wrong), None, "{wrong}");
    }
    let (id, secret) = (
        new_unique_id(IdPrefix::Role, &entropy),
        new_secret(&entropy),
    );
    assert_eq!((id.len(), secret.len()), (21, 40));
    assert!(id.starts_with("AROA"));
}
