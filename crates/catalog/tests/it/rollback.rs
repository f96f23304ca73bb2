//! A database that has lost acknowledged changes is not opened (C5): every frame of the write-ahead log is
//! damaged in turn, older copies are put back, and the witness that tells of it is itself bent, lost and
//! behind.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cairn_catalog::identity::{NewAccessKey, NewAccount};
use cairn_catalog::{Catalog, CatalogError};
use cairn_model::AccountId;
use cairn_platform::ManualClock;
use tempfile::TempDir;

const DATABASE: &str = "catalog.sqlite";
const LOG: &str = "catalog.sqlite-wal";
const KEPT_LOG: &str = "catalog.sqlite-wal.kept";
const WITNESS: &str = "catalog.sqlite.changes";
const KEY: &str = "AKIAREVOKED";
const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const FRAME_BYTES: usize = FRAME_HEADER_BYTES + 4096;
/// Where the witness has its second slot.
const BLOCK_BYTES: usize = 4096;
/// A slot of version 1 that states seven changes.
const SEVEN: [u8; 32] = *b"\xfaCAIRNCH\x01\0\0\0\xcd\x8d\xeb\x3e\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The catalog's files as a killed process leaves them.
type Files = BTreeMap<&'static str, Vec<u8>>;

fn account() -> AccountId {
    "012345678901".parse().expect("an account")
}

async fn open(folder: &Path) -> Result<Catalog, CatalogError> {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    Catalog::open(&folder.join(DATABASE), clock).await
}

fn files_in(folder: &Path) -> Files {
    let read = |name| Some((name, std::fs::read(folder.join(name)).ok()?));
    [DATABASE, LOG, WITNESS]
        .into_iter()
        .filter_map(read)
        .collect()
}

fn folder_with(files: &Files) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, contents) in files {
        std::fs::write(folder.path().join(name), contents).expect("writes");
    }
    folder
}

async fn set_key(catalog: &Catalog, active: bool) {
    let mut write = catalog.begin().await.expect("begins");
    let mut edit = write.identities(account());
    let set = edit.set_key_active(None, KEY, active).await;
    set.expect("the key is there");
    write.commit().await.expect("commits");
}

async fn key_is_active(catalog: &Catalog) -> bool {
    let key = catalog.resolve_access_key(KEY).await.expect("reads");
    key.expect("the key is there").active
}

/// Three changes: a key is made, used for a while, and turned off. Gives the files after each of them,
/// with all three in the write-ahead log.
async fn revoked() -> [Files; 3] {
    let folder = tempfile::tempdir().expect("a folder");
    // A clean end brings the schema into the database, so that the log holds the changes only.
    open(folder.path()).await.expect("opens").close().await;
    let catalog = open(folder.path()).await.expect("opens");
    let mut write = catalog.begin().await.expect("begins");
    let new = NewAccount {
        account: account(),
        name: "test".to_owned(),
    };
    write.create_account(new).await.expect("is new");
    let key = NewAccessKey {
        key_id: KEY.to_owned(),
        user_id: None,
        secret_sealed: vec![1, 2, 3],
    };
    let made = write.identities(account()).create_access_key(key).await;
    made.expect("is new");
    write.commit().await.expect("commits");
    let made = files_in(folder.path());
    let mut write = catalog.begin().await.expect("begins");
    write.put_setting("used", b"once").await.expect("stores");
    write.commit().await.expect("commits");
    let used = files_in(folder.path());
    set_key(&catalog, false).await;
    let off = files_in(folder.path());
    catalog.close().await;
    [made, used, off]
}

/// Opens damaged files; how many changes were held and committed if that is why they are refused.
async fn opened(files: &Files) -> Option<(u64, u64)> {
    let folder = folder_with(files);
    match open(folder.path()).await {
        Ok(catalog) => {
            catalog.close().await;
            None
        }
        Err(CatalogError::RolledBack {
            held, committed, ..
        }) => Some((held, committed)),
        Err(error) => panic!("refused for another reason: {error}"),
    }
}

fn flipped(files: &Files, name: &'static str, offset: usize) -> Files {
    let mut files = files.clone();
    files.get_mut(name).expect("is there")[offset] ^= 0x10;
    files
}

fn without(files: &Files, name: &'static str) -> Files {
    let mut files = files.clone();
    files.remove(name);
    files
}

// Proves: C5
#[tokio::test]
async fn no_damaged_frame_of_the_write_ahead_log_takes_back_a_change_unseen() {
    let [.., files] = revoked().await;
    assert_eq!(opened(&files).await, None);
    let log = &files[LOG];
    let frames = (log.len() - LOG_HEADER_BYTES) / FRAME_BYTES;
    assert!(frames >= 3, "a frame for each change at least: {frames}");
    for frame in 0..frames {
        let start = LOG_HEADER_BYTES + frame * FRAME_BYTES;
        // Page number, salt, checksum, and the page itself at both ends.
        for offset in [3, 8, 16, FRAME_HEADER_BYTES, FRAME_BYTES - 1] {
            let seen = opened(&flipped(&files, LOG, start + offset)).await;
            let (held, committed) = seen.unwrap_or_else(|| panic!("frame {frame}, byte {offset}"));
            assert!(held < 3 && committed == 3, "{held} of {committed}");
        }
        let mut cut = files.clone();
        cut.insert(LOG, log[..start + FRAME_BYTES / 2].to_vec());
        assert!(opened(&cut).await.is_some(), "cut within frame {frame}");
    }
    for offset in 0..LOG_HEADER_BYTES {
        let seen = opened(&flipped(&files, LOG, offset)).await;
        assert_eq!(seen, Some((0, 3)), "byte {offset} of the header");
    }
    assert_eq!(opened(&without(&files, LOG)).await, Some((0, 3)));
}

/// What the test above is worth: the same damage, and nobody to tell of it.
#[tokio::test]
async fn without_its_witness_a_revoked_key_would_work_again() {
    let [.., files] = revoked().await;
    let last_byte = files[LOG].len() - 1;
    let damaged = flipped(&files, LOG, last_byte);
    assert_eq!(opened(&damaged).await, Some((2, 3)));
    let folder = folder_with(&without(&damaged, WITNESS));
    let catalog = open(folder.path()).await.expect("opens");
    assert!(key_is_active(&catalog).await, "the change was rolled back");
    catalog.close().await;
}

// Proves: C5
#[tokio::test]
async fn an_older_copy_is_refused_until_the_operator_removes_the_witness() {
    let folder = tempfile::tempdir().expect("a folder");
    let [older, _, newer] = revoked().await;
    for (name, contents) in &newer {
        std::fs::write(folder.path().join(name), contents).expect("writes");
    }
    for name in [DATABASE, LOG] {
        std::fs::write(folder.path().join(name), &older[name]).expect("writes");
    }
    for _ in 0..2 {
        let refused = open(folder.path()).await.expect_err("is refused");
        let text = refused.to_string();
        let witness = folder.path().join(WITNESS).display().to_string();
        for part in ["holds 1 changes", "3 were committed", witness.as_str()] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!refused.is_retryable());
    }
    std::fs::remove_file(folder.path().join(WITNESS)).expect("removes");
    let catalog = open(folder.path()).await.expect("opens");
    assert!(key_is_active(&catalog).await, "as the operator chose");
    catalog.close().await;
    drop(catalog);
    open(folder.path()).await.expect("opens again");
}

// Proves: C5
#[tokio::test]
async fn a_witness_that_is_behind_refuses_nothing_and_catches_up() {
    // As a kill after each commit leaves them, and between a commit and its statement.
    let states = revoked().await;
    for files in &states {
        assert_eq!(opened(files).await, None);
    }
    let [made, _, off] = states;
    let mut behind = off.clone();
    behind.insert(WITNESS, made[WITNESS].clone());
    let folder = folder_with(&behind);
    let catalog = open(folder.path()).await.expect("opens");
    assert!(!key_is_active(&catalog).await);
    let mut older = files_in(folder.path());
    older.insert(DATABASE, off[DATABASE].clone());
    older.insert(LOG, off[LOG].clone());
    // The start has made durable what it found, which is one change more, and stated it.
    assert_eq!(opened(&older).await, Some((3, 4)));
    set_key(&catalog, true).await;
    let now = files_in(folder.path());
    assert_eq!(opened(&now).await, None);
    older.insert(WITNESS, now[WITNESS].clone());
    assert_eq!(opened(&older).await, Some((3, 5)));
    catalog.close().await;
}

// Proves: C5
#[tokio::test]
async fn one_torn_slot_of_the_witness_leaves_the_other() {
    let [made, _, off] = revoked().await;
    let mut older = made.clone();
    older.insert(WITNESS, off[WITNESS].clone());
    assert_eq!(opened(&older).await, Some((1, 3)));
    // Written in turn: two and three are stated now, and no byte of either is believed once it is bent.
    for byte in 0..SEVEN.len() {
        for slot in [0, BLOCK_BYTES] {
            let (held, committed) = opened(&flipped(&older, WITNESS, slot + byte))
                .await
                .expect("the other slot tells");
            assert_eq!(held, 1);
            assert!(committed == 2 || committed == 3, "{committed}");
        }
    }
}

#[tokio::test]
async fn a_damaged_or_missing_witness_is_told_and_made_anew() {
    let [_, used, off] = revoked().await;
    let both_bent = flipped(&flipped(&off, WITNESS, 20), WITNESS, BLOCK_BYTES + 20);
    let kinds = [
        ("empty", Some(Vec::new())),
        ("short", Some(SEVEN[..31].to_vec())),
        ("zeros", Some(vec![0; 2 * BLOCK_BYTES])),
        ("noise", Some(vec![0xa5; 3 * BLOCK_BYTES])),
        ("bent", Some(both_bent[WITNESS].clone())),
        ("missing", None),
    ];
    for (kind, contents) in kinds {
        let mut files = without(&off, WITNESS);
        files.extend(contents.map(|contents| (WITNESS, contents)));
        let folder = folder_with(&files);
        let told = Told::default();
        let listening = tracing::subscriber::set_default(told.subscriber());
        let catalog = open(folder.path()).await.expect("opens");
        drop(listening);
        assert!(!key_is_active(&catalog).await, "{kind}");
        catalog.close().await;
        let text = told.text();
        assert!(
            text.contains("WARN") && text.contains(WITNESS),
            "{kind}: {text}"
        );
        let mut older = used.clone();
        older.insert(WITNESS, files_in(folder.path())[WITNESS].clone());
        assert_eq!(opened(&older).await, Some((2, 4)), "{kind}");
    }
}

// Proves: C5
#[tokio::test]
async fn a_refused_start_keeps_the_damaged_log_and_a_sound_one_keeps_nothing() {
    let [.., files] = revoked().await;
    let damaged = flipped(&files, LOG, LOG_HEADER_BYTES + FRAME_BYTES);
    let folder = folder_with(&damaged);
    for _ in 0..2 {
        let refused = open(folder.path()).await;
        assert!(matches!(refused, Err(CatalogError::RolledBack { .. })));
        let kept = std::fs::read(folder.path().join(KEPT_LOG)).expect("is kept");
        assert!(kept == damaged[LOG], "as it was found");
    }
    let folder = folder_with(&files);
    let catalog = open(folder.path()).await.expect("opens");
    assert!(!folder.path().join(KEPT_LOG).exists());
    catalog.close().await;
}

#[tokio::test]
async fn a_first_start_and_a_sound_one_warn_of_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = Told::default();
    let _listening = tracing::subscriber::set_default(told.subscriber());
    for _ in 0..2 {
        let catalog = open(folder.path()).await.expect("opens");
        let mut write = catalog.begin().await.expect("begins");
        write.put_setting("x", b"y").await.expect("stores");
        write.commit().await.expect("commits");
        catalog.close().await;
    }
    assert_eq!(told.text(), "");
}

#[tokio::test]
async fn a_witness_of_version_1_is_read_as_it_was_written() {
    let mut files = Files::from([(WITNESS, SEVEN.to_vec())]);
    assert_eq!(opened(&files).await, Some((0, 7)));
    // Written today: seven changes in a new folder.
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = open(folder.path()).await.expect("opens");
    for _ in 0..7 {
        let write = catalog.begin().await.expect("begins");
        write.commit().await.expect("commits");
    }
    files = files_in(folder.path());
    let witness = &files[WITNESS];
    assert_eq!(witness.len(), 2 * BLOCK_BYTES);
    let slots = [&witness[..32], &witness[BLOCK_BYTES..BLOCK_BYTES + 32]];
    assert!(slots.contains(&&SEVEN[..]), "{slots:?}");
    catalog.close().await;
}

/// The warnings of a part of a test.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let told = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || told.clone())
            .finish()
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().expect("no holder panics").clone();
        String::from_utf8(bytes).expect("log lines are text")
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no holder panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
