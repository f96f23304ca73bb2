//! Files that an earlier build wrote can still be read: `fixtures/lake-1` holds a small table with one data
//! file and one hot object, as the build that introduced the format wrote it.

use std::path::Path;
use std::sync::Arc;

use cairn_catalog::lake::{Commit, CommitKind, HotObject, HotRange, LakeCatalog};
use cairn_lake::Lake;
use cairn_model::Sequence;
use serde_json::Value;

use crate::stage::{PARTITION, Stage, check_rows, events, history};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lake-1");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("it can be made");
    for entry in std::fs::read_dir(from).expect("the fixture exists") {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).expect("an entry");
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).expect("it can be copied");
        }
    }
}

/// A lake over a copy of the fixture.
pub(crate) async fn first_version(stage: &Stage) -> Arc<Lake> {
    copy(Path::new(FIXTURE), &stage.lake_folder());
    let text = std::fs::read(Path::new(FIXTURE).join("state.json")).expect("the fixture exists");
    let state: Value = serde_json::from_slice(&text).expect("it is JSON");
    let number = |value: &Value| value.as_u64().expect("a number");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    stage.append(&events(0..6)).await;

    let (writer, table) = ("lake", history());
    let epoch = stage
        .catalog
        .acquire_writer(writer)
        .await
        .expect("the role can be taken");
    let committed = Sequence(number(&state["committed_end"]));
    let kind = CommitKind::Create {
        metadata: text(&state["metadata"]),
        start: vec![(PARTITION, committed)],
    };
    let (table_id, expected_metadata) = (table.clone(), String::new());
    let commit = Commit {
        table: table_id,
        writer,
        epoch,
        expected_metadata,
        kind,
    };
    LakeCatalog::commit(stage.catalog.as_ref(), commit)
        .await
        .expect("a new table");
    let range = committed..Sequence(number(&state["hot"]["end"]));
    let object = HotObject {
        object: text(&state["hot"]["object"]),
        partition: PARTITION,
        range: range.clone(),
        rows: number(&state["hot"]["rows"]),
        bytes: number(&state["hot"]["bytes"]),
        checksum: u32::try_from(number(&state["hot"]["checksum"])).expect("a checksum"),
    };
    let hot = HotRange {
        table,
        partition: PARTITION,
        range,
        object: Some(object),
    };
    stage
        .catalog
        .register_hot(writer, epoch, vec![hot])
        .await
        .expect("it follows on");

    stage.open().await
}

#[tokio::test]
async fn the_first_version_can_be_read_and_continued() {
    let stage = Stage::new().await;
    let lake = first_version(&stage).await;
    let sent = events(0..6);
    assert_eq!(lake.status().counts.rebuilt_hot_objects, 0);
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!((view.files.len(), view.hot.len()), (1, 1));
    check_rows(&lake, &view, &sent).await;
    lake.flush().await.expect("it works");
    let view = lake.read_view(&history()).expect("the table exists");
    assert_eq!((view.files.len(), view.hot.len()), (2, 0));
    check_rows(&lake, &view, &sent).await;
}
