//! What every implementation of the lake's catalog must do. [`check`] takes a fresh, empty catalog and
//! panics with the broken promise.

use cairn_model::{PartitionId, Sequence};

use super::{
    Commit, CommitKind, Generation, HotObject, HotRange, LakeCatalog, LakeCatalogError, TableId,
    TableState, WriterEpoch,
};

const WRITER: &str = "lake";
const PARTITION: PartitionId = PartitionId(0);

/// Runs every check, each on a table of its own.
pub(super) async fn check(catalog: &dyn LakeCatalog) {
    let epoch = catalog
        .acquire_writer(WRITER)
        .await
        .expect("the role can be taken");
    let run = Run { catalog, epoch };
    run.a_table_is_created_once().await;
    run.an_append_moves_pointer_and_position_together().await;
    run.an_append_that_does_not_follow_on_changes_nothing()
        .await;
    run.an_append_on_other_metadata_changes_nothing().await;
    run.hot_ranges_join_and_are_retired_by_their_append().await;
    run.a_range_that_cuts_a_hot_object_is_refused().await;
    run.an_advance_never_drops_hot_rows().await;
    run.hot_ranges_of_several_tables_are_all_or_nothing().await;
    run.a_damaged_hot_object_is_replaced_in_place().await;
    run.leases_keep_garbage_until_they_expire().await;
    run.a_superseded_writer_changes_nothing().await;
}

struct Run<'a> {
    catalog: &'a dyn LakeCatalog,
    epoch: WriterEpoch,
}

impl Run<'_> {
    async fn new_table(&self, name: &str) -> TableId {
        let table: TableId = name.parse().expect("a valid name");
        self.commit(&table, "", created("m0", 10))
            .await
            .expect("a new table can be created");
        table
    }

    async fn commit(
        &self,
        table: &TableId,
        expected: &str,
        kind: CommitKind,
    ) -> Result<Generation, LakeCatalogError> {
        self.commit_as(self.epoch, table, expected, kind).await
    }

    async fn commit_as(
        &self,
        epoch: WriterEpoch,
        table: &TableId,
        expected: &str,
        kind: CommitKind,
    ) -> Result<Generation, LakeCatalogError> {
        let (table, expected_metadata) = (table.clone(), expected.to_owned());
        let commit = Commit {
            table,
            writer: WRITER,
            epoch,
            expected_metadata,
            kind,
        };
        self.catalog.commit(commit).await
    }

    async fn register(&self, ranges: Vec<HotRange>) -> Result<(), LakeCatalogError> {
        self.catalog.register_hot(WRITER, self.epoch, ranges).await
    }

    async fn state(&self, table: &TableId) -> TableState {
        let state = self
            .catalog
            .table(table)
            .await
            .expect("a table can be read");
        state.expect("the table exists")
    }

    async fn a_table_is_created_once(&self) {
        let table = self.new_table("created-once").await;
        let again = self.commit(&table, "", created("other", 99)).await;
        assert!(
            matches!(again, Err(LakeCatalogError::TableExists(_))),
            "{again:?}"
        );
        let state = self.state(&table).await;
        assert_eq!(state.metadata, "m0");
        assert_eq!(state.position(PARTITION).committed_end, Sequence(10));
        assert_eq!(state.position(PARTITION).hot_end, Sequence(10));
        let tables = self.catalog.tables().await.expect("tables can be listed");
        assert!(tables.contains(&table));
    }

    async fn an_append_moves_pointer_and_position_together(&self) {
        let table = self.new_table("appended").await;
        let before = self.state(&table).await.generation;
        let after = self
            .commit(&table, "m0", appended(10, 20, "m1"))
            .await
            .expect("it follows on");
        let state = self.state(&table).await;
        assert_eq!((state.metadata.as_str(), state.generation), ("m1", after));
        assert!(after > before);
        assert_eq!(state.position(PARTITION).committed_end, Sequence(20));
        assert_eq!(state.position(PARTITION).hot_end, Sequence(20));
    }

    async fn an_append_that_does_not_follow_on_changes_nothing(&self) {
        let table = self.new_table("gap").await;
        for start in [9, 11] {
            let refused = self.commit(&table, "m0", appended(start, 20, "m1")).await;
            assert!(
                matches!(refused, Err(LakeCatalogError::PositionMoved { .. })),
                "start {start}: {refused:?}"
            );
        }
        let empty = self.commit(&table, "m0", appended(10, 10, "m1")).await;
        assert!(
            matches!(empty, Err(LakeCatalogError::OutOfRange(_))),
            "{empty:?}"
        );
        let state = self.state(&table).await;
        assert_eq!(
            (state.metadata.as_str(), state.generation),
            ("m0", Generation(1))
        );
    }

    async fn an_append_on_other_metadata_changes_nothing(&self) {
        let table = self.new_table("pointer").await;
        let refused = self.commit(&table, "m9", appended(10, 20, "m1")).await;
        let Err(LakeCatalogError::MetadataMoved { current, .. }) = refused else {
            panic!("not refused: {refused:?}");
        };
        assert_eq!(current, "m0");
        assert_eq!(
            self.state(&table).await.position(PARTITION).committed_end,
            Sequence(10)
        );
    }

    async fn hot_ranges_join_and_are_retired_by_their_append(&self) {
        let table = self.new_table("hot").await;
        self.register(vec![hot(&table, 10, 15, Some("h1"))])
            .await
            .expect("it follows on");
        self.register(vec![hot(&table, 15, 18, None)])
            .await
            .expect("it follows on");
        self.register(vec![hot(&table, 18, 30, Some("h2"))])
            .await
            .expect("it follows on");
        let gap = self.register(vec![hot(&table, 31, 40, Some("h3"))]).await;
        assert!(
            matches!(gap, Err(LakeCatalogError::PositionMoved { .. })),
            "{gap:?}"
        );
        let twice = self.register(vec![hot(&table, 18, 30, Some("h2"))]).await;
        assert!(
            matches!(twice, Err(LakeCatalogError::PositionMoved { .. })),
            "{twice:?}"
        );
        let state = self.state(&table).await;
        assert_eq!(names(&state), ["h1", "h2"]);
        assert_eq!(state.position(PARTITION).hot_end, Sequence(30));
        self.commit(&table, "m0", appended(10, 18, "m1"))
            .await
            .expect("it follows on");
        let state = self.state(&table).await;
        assert_eq!(names(&state), ["h2"]);
        assert_eq!(state.position(PARTITION).committed_end, Sequence(18));
        assert_eq!(state.position(PARTITION).hot_end, Sequence(30));
        let garbage = self
            .catalog
            .all_garbage(&table)
            .await
            .expect("garbage can be listed");
        assert_eq!(garbage, ["h1"]);
    }

    async fn a_range_that_cuts_a_hot_object_is_refused(&self) {
        let table = self.new_table("cut").await;
        self.register(vec![hot(&table, 10, 20, Some("h1"))])
            .await
            .expect("it follows on");
        let cut = self.commit(&table, "m0", appended(10, 15, "m1")).await;
        assert!(
            matches!(cut, Err(LakeCatalogError::OutOfRange(_))),
            "{cut:?}"
        );
        assert_eq!(names(&self.state(&table).await), ["h1"]);
    }

    async fn an_advance_never_drops_hot_rows(&self) {
        let table = self.new_table("advance").await;
        let range = Sequence(10)..Sequence(20);
        let advance = CommitKind::Advance {
            partition: PARTITION,
            range,
        };
        self.commit(&table, "m0", advance)
            .await
            .expect("it follows on");
        let state = self.state(&table).await;
        assert_eq!(state.metadata, "m0");
        assert_eq!(state.position(PARTITION).committed_end, Sequence(20));
        self.register(vec![hot(&table, 20, 30, Some("h1"))])
            .await
            .expect("it follows on");
        let range = Sequence(20)..Sequence(30);
        let over = CommitKind::Advance {
            partition: PARTITION,
            range,
        };
        let refused = self.commit(&table, "m0", over).await;
        assert!(
            matches!(refused, Err(LakeCatalogError::OutOfRange(_))),
            "{refused:?}"
        );
        assert_eq!(names(&self.state(&table).await), ["h1"]);
    }

    async fn hot_ranges_of_several_tables_are_all_or_nothing(&self) {
        let (one, two) = (
            self.new_table("first").await,
            self.new_table("second").await,
        );
        let ranges = vec![hot(&one, 10, 20, Some("h1")), hot(&two, 11, 20, None)];
        let refused = self.register(ranges).await;
        assert!(
            matches!(refused, Err(LakeCatalogError::PositionMoved { .. })),
            "{refused:?}"
        );
        assert_eq!(
            self.state(&one).await.position(PARTITION).hot_end,
            Sequence(10)
        );
        assert_eq!(names(&self.state(&one).await), [""; 0]);
    }

    async fn a_damaged_hot_object_is_replaced_in_place(&self) {
        let table = self.new_table("damaged").await;
        self.register(vec![hot(&table, 10, 20, Some("h1"))])
            .await
            .expect("it follows on");
        let replace = |damaged: &'static str, object| {
            self.catalog
                .replace_hot(WRITER, self.epoch, &table, damaged, object)
        };
        let unknown = replace("h9", None).await;
        assert!(
            matches!(unknown, Err(LakeCatalogError::NoSuchHotObject { .. })),
            "{unknown:?}"
        );
        replace("h1", Some(object("h2", 10, 20)))
            .await
            .expect("h1 is there");
        let state = self.state(&table).await;
        assert_eq!(names(&state), ["h2"]);
        assert_eq!(state.position(PARTITION).hot_end, Sequence(20));
        replace("h2", None).await.expect("h2 is there");
        assert_eq!(names(&self.state(&table).await), [""; 0]);
    }

    async fn leases_keep_garbage_until_they_expire(&self) {
        let table = self.new_table("leased").await;
        self.register(vec![hot(&table, 10, 20, Some("h1"))])
            .await
            .expect("it follows on");
        let view = self
            .catalog
            .lease("reader", &table, None, 0..1_000)
            .await
            .expect("a lease");
        assert_eq!(names(&view), ["h1"]);
        self.commit(&table, "m0", appended(10, 20, "m1"))
            .await
            .expect("it follows on");
        let now = async |now_ms| -> Vec<String> {
            let garbage = self.catalog.garbage(&table, now_ms, 10).await;
            garbage
                .expect("garbage can be listed")
                .into_iter()
                .map(|g| g.object)
                .collect()
        };
        assert_eq!(now(999).await, [""; 0], "the lease holds");
        assert_eq!(now(1_000).await, ["h1"], "the lease has expired");
        let current = self
            .catalog
            .lease("reader", &table, None, 2_000..9_000)
            .await
            .expect("a lease");
        assert_eq!(
            now(2_000).await,
            ["h1"],
            "the new lease does not see the object"
        );
        let since = Some(view.generation);
        self.catalog
            .lease("reader", &table, since, 2_000..9_000)
            .await
            .expect("a lease");
        assert_eq!(now(2_000).await, [""; 0], "the lease reaches back");
        self.catalog
            .release("reader", &table)
            .await
            .expect("it can be given up");
        assert_eq!(now(2_000).await, ["h1"]);
        let future = Some(Generation(current.generation.0 + 1));
        let refused = self
            .catalog
            .lease("reader", &table, future, 2_000..9_000)
            .await;
        assert!(
            matches!(refused, Err(LakeCatalogError::LeaseFromFuture { .. })),
            "{refused:?}"
        );
        let garbage = self
            .catalog
            .garbage(&table, 2_000, 10)
            .await
            .expect("garbage");
        let ids: Vec<i64> = garbage.iter().map(|garbage| garbage.id).collect();
        self.catalog
            .forget_garbage(&ids)
            .await
            .expect("it can be forgotten");
        assert_eq!(now(2_000).await, [""; 0]);
    }

    async fn a_superseded_writer_changes_nothing(&self) {
        let table = self.new_table("fenced").await;
        let newer = self
            .catalog
            .acquire_writer(WRITER)
            .await
            .expect("the role can be taken");
        assert!(newer > self.epoch);
        let commit = self.commit(&table, "m0", appended(10, 20, "m1")).await;
        assert!(
            matches!(commit, Err(LakeCatalogError::Fenced { .. })),
            "{commit:?}"
        );
        let register = self.register(vec![hot(&table, 10, 20, Some("h1"))]).await;
        assert!(
            matches!(register, Err(LakeCatalogError::Fenced { .. })),
            "{register:?}"
        );
        let state = self.state(&table).await;
        assert_eq!(
            (state.metadata.as_str(), state.generation),
            ("m0", Generation(1))
        );
        let kind = appended(10, 20, "m1");
        self.commit_as(newer, &table, "m0", kind)
            .await
            .expect("the newer writer may");
    }
}

fn created(metadata: &str, start: u64) -> CommitKind {
    CommitKind::Create {
        metadata: metadata.to_owned(),
        start: vec![(PARTITION, Sequence(start))],
    }
}

fn appended(start: u64, end: u64, metadata: &str) -> CommitKind {
    CommitKind::Append {
        partition: PARTITION,
        range: Sequence(start)..Sequence(end),
        metadata: metadata.to_owned(),
        garbage: Vec::new(),
    }
}

fn object(name: &str, start: u64, end: u64) -> HotObject {
    HotObject {
        object: name.to_owned(),
        partition: PARTITION,
        range: Sequence(start)..Sequence(end),
        rows: 1,
        bytes: 100,
        checksum: u32::MAX,
    }
}

fn hot(table: &TableId, start: u64, end: u64, name: Option<&str>) -> HotRange {
    HotRange {
        table: table.clone(),
        partition: PARTITION,
        range: Sequence(start)..Sequence(end),
        object: name.map(|name| object(name, start, end)),
    }
}

fn names(state: &TableState) -> Vec<&str> {
    state.hot.iter().map(|hot| hot.object.as_str()).collect()
}
