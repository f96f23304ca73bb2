//! What a crash leaves, and what a disk that lies does: orphans are swept, answers survive, damage is told.

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use crate::Fixture;

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let fixture = Fixture::with_bucket().await;
    fixture
        .done("PUT", "/bucket/a", &[("x-amz-meta-k", "v")], b"first")
        .await;
    fixture.done("PUT", "/bucket/b", &[], b"second").await;
    fixture.done("DELETE", "/bucket/b", &[], b"").await;
    let fixture = fixture.restart().await;
    let got = fixture.done("GET", "/bucket/a", &[], b"").await;
    assert_eq!(
        (got.body.as_slice(), got.header("x-amz-meta-k")),
        (b"first".as_slice(), "v")
    );
    let gone = ("GET", "/bucket/b");
    fixture.refused(gone, &[], b"", (404, "NoSuchKey")).await;
}

#[tokio::test]
async fn files_that_nobody_knows_go_when_they_are_old() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/a", &[], b"kept").await;
    let kept = fixture.body_files();
    let orphan = kept[0].with_file_name(format!("{}{}", &name(&kept[0])[..2], "0".repeat(30)));
    std::fs::write(&orphan, b"half a bo").expect("what a crash leaves");
    // By the clock of the store the file is from its future, and then a day old.
    assert_eq!(fixture.buckets.sweep().await.expect("a sweep"), 0);
    let age = |path| {
        std::fs::metadata(path)
            .expect("a file")
            .modified()
            .expect("a time")
    };
    let since = age(&orphan)
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let written_ms = i64::try_from(since.as_millis()).expect("a time of ours");
    fixture.clock.jump_to(written_ms + 23 * 3_600_000);
    assert_eq!(
        fixture.buckets.sweep().await.expect("a sweep"),
        0,
        "a day is not over"
    );
    fixture.clock.jump_to(written_ms + 25 * 3_600_000);
    assert_eq!(fixture.buckets.sweep().await.expect("a sweep"), 1);
    assert_eq!(fixture.body_files(), kept);
    assert_eq!(
        fixture.done("GET", "/bucket/a", &[], b"").await.body,
        b"kept"
    );
}

fn name(path: &std::path::Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_object() {
    let fixture = Fixture::with_bucket().await;
    let pieces = (0..20).map(|_| Ok(Bytes::from(vec![1; 65_536])));
    let broken = stream::iter(pieces).chain(stream::iter([Err(std::io::Error::other("gone"))]));
    let frames = broken.map(|piece| piece.map(http_body::Frame::data));
    let body = s3s::Body::http_body_unsync(http_body_util::StreamBody::new(frames));
    let owner = [("x-test-caller", "reader")];
    let answer = fixture.send_body("PUT", "/bucket/f", &owner, body).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("<Code>IncompleteBody</Code>"),
        "{}",
        answer.text()
    );
    let gone = ("GET", "/bucket/f");
    fixture.refused(gone, &[], b"", (404, "NoSuchKey")).await;
    assert!(
        fixture.body_files().is_empty(),
        "what was written of it is gone"
    );
}

#[tokio::test]
async fn a_disk_that_takes_no_files_fails_puts_and_serves_reads() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/a", &[], b"there").await;
    let objects = fixture.folder.path().join("buckets/objects");
    let aside = fixture.folder.path().join("aside");
    // Every place for a new file is gone, but for that of the object that is there.
    let used = fixture.body_files()[0]
        .parent()
        .expect("a folder")
        .to_owned();
    for folder in std::fs::read_dir(&objects).expect("the store's folder") {
        let folder = folder.expect("an entry").path();
        if folder != used {
            std::fs::rename(&folder, aside.with_extension(name(&folder))).expect("renamed");
        }
    }
    let mut refused = 0;
    for number in 0..8 {
        let answer = fixture
            .ask("PUT", &format!("/bucket/n{number}"), &[], b"new")
            .await;
        refused += usize::from(answer.status == 500);
        let got = fixture.done("GET", "/bucket/a", &[], b"").await;
        assert_eq!(got.body, b"there");
    }
    assert!(refused >= 7, "one of 256 folders is left");
    let notes = fixture.gatekeeper.witnessed.lock().expect("unpoisoned");
    let told = notes
        .iter()
        .filter(|(_, outcome)| outcome.defect.is_some())
        .count();
    assert_eq!(told, refused, "the log learns of each");
}

#[tokio::test]
async fn a_damaged_body_is_an_error_and_never_wrong_bytes() {
    let fixture = Fixture::with_bucket().await;
    let bytes = vec![7; 600_000];
    fixture.done("PUT", "/bucket/f", &[], &bytes).await;
    let file = fixture.body_files().pop().expect("one body");
    let sound = std::fs::read(&file).expect("the file");
    let mut damaged = sound.clone();
    damaged[2000] ^= 1;
    std::fs::write(&file, &damaged).expect("the file");
    let get = ("GET", "/bucket/f");
    fixture.refused(get, &[], b"", (500, "InternalError")).await;
    let late = [("range", "bytes=300000-300010")];
    assert_eq!(
        fixture.ask("GET", "/bucket/f", &late, b"").await.body,
        [7; 11]
    );
    // Later damage breaks the answer off: its head has left already.
    let mut damaged = sound.clone();
    let last = damaged.len() - 100;
    damaged[last] ^= 1;
    std::fs::write(&file, &damaged).expect("the file");
    let got = fixture.ask("GET", "/bucket/f", &[], b"").await;
    assert!(got.status == 200 && got.is_broken);
    let copy = [("x-amz-copy-source", "/bucket/f")];
    fixture
        .refused(("PUT", "/bucket/g"), &copy, b"", (500, "InternalError"))
        .await;
    let counted = fixture
        .buckets
        .counters
        .bodies_damaged
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(counted, 3);
    std::fs::remove_file(&file).expect("the file");
    fixture.refused(get, &[], b"", (500, "InternalError")).await;
}

#[tokio::test]
async fn the_store_has_one_owner() {
    let fixture = Fixture::with_bucket().await;
    let config = cairn_bucket::BucketsConfig {
        folder: fixture.folder.path().join("buckets"),
        ..cairn_bucket::BucketsConfig::default()
    };
    let key = cairn_platform::MasterKey::from_hex(&"5a".repeat(32)).expect("a key");
    let clock = std::sync::Arc::new(fixture.clock.clone());
    let entropy = std::sync::Arc::new(cairn_platform::SystemEntropy::new());
    let second = cairn_bucket::Buckets::open(config, key, clock, entropy).await;
    assert!(matches!(
        second,
        Err(cairn_bucket::BucketsError::InUse { .. })
    ));
}
