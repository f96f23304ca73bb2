"""Reads the server's stores as a stranger would, and compares them with the ledger.

Nothing of Cairn's own code is used: the catalog is opened as SQLite, tables through pyiceberg from
their metadata file, hot objects as Arrow IPC. Invariants I1, I2, I4 and I5 and rule R21 of the
reliability register.
"""

import itertools
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.ipc
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import StaticTable

from .calls import AGENT, CallLedger, call_problems
from .ledger import Ledger, Outcome, content_hash

LOCATION_PREFIX = "s3://cairn-lake/"
HISTORY = "event-history"
INSIGHTS = "insights-events"


class FolderFileIO(PyArrowFileIO):
    """Tables name their files by bucket address; this maps them to the lake's folder."""

    def local(self, location: str) -> str:
        """The file behind an address."""
        assert location.startswith(LOCATION_PREFIX), f"{location} is outside the lake"
        return str(Path(self.properties["cairn.folder"]) / location[len(LOCATION_PREFIX) :])

    def new_input(self, location: str):
        """A file to read."""
        return super().new_input(self.local(location))

    def new_output(self, location: str):
        """Never used: the oracle only reads."""
        raise AssertionError(f"the oracle writes nothing, not even {location}")


@dataclass
class StoredEvent:
    """One row: what the oracle compares."""

    event_id: str
    json: bytes
    sequence: int


@dataclass
class TableState:
    """What the catalog says about a table at one moment."""

    metadata: str
    hot_objects: list[tuple[str, int, int, int]]
    positions: dict[int, tuple[int, int]]


@dataclass
class Verdict:
    """The comparison's result. `problems` is empty when all invariants hold."""

    acknowledged: int = 0
    calls: int = 0
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing at all is wrong."""
        return not (self.lost or self.duplicates or self.altered or self.unsent or self.problems)

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.calls} calls, {len(self.lost)} lost, "
            f"{len(self.duplicates)} duplicates, {len(self.altered)} altered, "
            f"{len(self.unsent)} never sent, problems {self.problems[:5]}, "
            f"lost {self.lost[:5]}"
        )


class Oracle:
    """Reads one data directory. The server may run; then each table is read at one moment."""

    def __init__(self, data_dir: Path):
        self.data_dir = data_dir
        self.lake = data_dir / "lake"

    def catalog_path(self) -> Path:
        """The catalog's file."""
        return self.data_dir / "catalog.sqlite"

    def state(self, table: str) -> TableState:
        """Pointer, hot objects and positions, read in one transaction."""
        connection = sqlite3.connect(self.catalog_path(), timeout=30)
        try:
            connection.execute("BEGIN")
            (metadata,) = connection.execute(
                "SELECT metadata FROM lake_tables WHERE table_id = ?", (table,)
            ).fetchone()
            hot = connection.execute(
                "SELECT object, partition_id, start_sequence, end_sequence FROM lake_hot_objects"
                " WHERE table_id = ? ORDER BY partition_id, start_sequence",
                (table,),
            ).fetchall()
            positions = {
                partition: (committed, hot_end)
                for partition, committed, hot_end in connection.execute(
                    "SELECT partition_id, committed_end, hot_end FROM lake_positions"
                    " WHERE table_id = ?",
                    (table,),
                )
            }
            return TableState(metadata, hot, positions)
        finally:
            connection.close()

    def catalog_is_sound(self) -> bool:
        """SQLite's own check, on a copy so that nothing is repaired by looking."""
        source = self.catalog_path()
        copy = self.data_dir.parent / f"{self.data_dir.name}-catalog-copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in source.parent.glob(source.name + "*"):
            shutil.copy(path, copy / path.name)
        connection = sqlite3.connect(copy / source.name)
        try:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            connection.close()
            shutil.rmtree(copy, ignore_errors=True)

    def iceberg_table(self, table: str, metadata: str | None = None) -> StaticTable:
        """The table at its current metadata file."""
        key = metadata or self.state(table).metadata
        return StaticTable.from_metadata(
            LOCATION_PREFIX + key,
            {
                "py-io-impl": f"{__name__}.{FolderFileIO.__name__}",
                "cairn.folder": str(self.lake),
            },
        )

    def events(self, table: str = HISTORY) -> list[StoredEvent]:
        """Every row, committed and hot."""
        for _ in range(5):
            state = self.state(table)
            try:
                return self.committed_events(table, state) + self.hot_events(state)
            except FileNotFoundError:
                continue  # a running server retired the object between the two reads
        raise AssertionError("the table changes faster than it can be read")

    def committed_events(self, table: str, state: TableState) -> list[StoredEvent]:
        """The rows of the current snapshot."""
        scan = self.iceberg_table(table, state.metadata).scan(
            selected_fields=("eventid", "eventjson", "_sequence")
        )
        return rows(scan.to_arrow())

    def hot_events(self, state: TableState) -> list[StoredEvent]:
        """The rows that are visible but not yet in the table."""
        found = []
        for name, *_ in state.hot_objects:
            with pyarrow.memory_map(str(self.lake / name)) as source:
                found += rows(pyarrow.ipc.open_file(source).read_all())
        return found

    def verdict(
        self,
        ledger: Ledger,
        *,
        others=lambda event: False,
        calls: CallLedger | None = None,
        answered: set[str] | None = None,
        unselected: int = 0,
    ) -> Verdict:
        """I1, I2, I4 and I5. `others` recognises events that other parties sent (own calls).

        With `calls`, R21 too: `answered` are those that must be there, by default all that were.
        `unselected` records of the log belong to no table, as those of reads from the bucket do.
        """
        stored = self.events()
        verdict = Verdict(acknowledged=ledger.count(Outcome.ACKNOWLEDGED))
        if calls is not None:
            answered = calls.answered() if answered is None else answered
            verdict.calls = len(answered)
            verdict.problems += call_problems(stored, calls, answered, self.catalog_path())
        seen: dict[str, StoredEvent] = {}
        for event in stored:
            if event.event_id in seen:
                verdict.duplicates.append(event.event_id)
            seen[event.event_id] = event
        for event_id, expected in ledger.acknowledged().items():
            if event_id not in seen:
                verdict.lost.append(event_id)
            elif content_hash(seen[event_id].json) != expected:
                verdict.altered.append(event_id)
        for event_id, event in seen.items():
            if event_id not in ledger.entries and not others(event):
                verdict.unsent.append(event_id)
        verdict.problems += self.range_problems(stored, unselected)
        return verdict

    def range_problems(self, stored: list[StoredEvent], unselected: int) -> list[str]:
        """I4: what is committed and what is hot join without gap or overlap; no sequence twice."""
        problems = []
        state = self.state(HISTORY)
        for partition, (committed, hot_end) in state.positions.items():
            ranges = [hot[2:4] for hot in state.hot_objects if hot[1] == partition]
            for (_, end), (start, _) in itertools.pairwise(sorted(ranges)):
                if start < end:
                    problems.append(f"hot ranges overlap at {start}")
            for start, end in ranges:
                if start < committed or end > hot_end:
                    problems.append(f"hot range {start}..{end} outside {committed}..{hot_end}")
        sequences = sorted(event.sequence for event in stored)
        if len(sequences) != len(set(sequences)):
            problems.append("a sequence is stored twice")
        ends = [hot_end for _, hot_end in state.positions.values()]
        # Each record of the log that belongs to the history has its row (I5). Where the last
        # records belong to no table, its position need not have passed them.
        if not 0 <= sum(ends) - len(set(sequences)) <= unselected:
            problems.append(f"{len(set(sequences))} rows of {sum(ends)} records")
        problems += self.snapshot_problems()
        return problems

    def snapshot_problems(self) -> list[str]:
        """The log ranges that snapshots say they appended join without gap or overlap."""
        snapshots = sorted(
            self.iceberg_table(HISTORY).snapshots(), key=lambda snapshot: snapshot.sequence_number
        )
        ranges = []
        for snapshot in snapshots:
            summary = snapshot.summary.additional_properties
            start, end = (int(summary[f"cairn.position.0.{edge}"]) for edge in ("start", "end"))
            ranges.append((start, end))
        return joint_problems(ranges)


def joint_problems(ranges: list[tuple[int, int]]) -> list[str]:
    """Where ranges in order do not begin at the end of the one before, or end before they begin."""
    problems = [f"range {start}..{end} runs backwards" for start, end in ranges if end < start]
    for (_, end), (start, _) in itertools.pairwise(ranges):
        if start != end:
            problems.append(f"a snapshot ends at {end}, the next begins at {start}")
    return problems


def own_call(event: StoredEvent) -> bool:
    """Whether the event tells of a call to the server itself that no ledger knows."""
    if f'"userAgent":"{AGENT}'.encode() in event.json:
        return True  # looked at one by one, by their marks
    sources = (b"cloudtrail", b"iam", b"s3", b"sts")
    return any(
        b'"eventSource":"' + source + b'.amazonaws.com"' in event.json for source in sources
    )


def rows(batch: pyarrow.Table) -> list[StoredEvent]:
    """The compared columns of an Arrow table."""
    columns = (batch.column(name) for name in ("eventid", "eventjson", "_sequence"))
    return [
        StoredEvent(event_id.as_py(), as_bytes(json.as_py()), sequence.as_py())
        for event_id, json, sequence in zip(*columns, strict=True)
    ]


def as_bytes(value: str | bytes) -> bytes:
    """Column values as the bytes that were stored."""
    return value if isinstance(value, bytes) else value.encode()
