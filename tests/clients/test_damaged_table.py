"""What docs/operations.md says of a damaged table, done as it stands there: no event is lost."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness.events import EventMaker
from harness.ledger import Ledger
from harness.oracle import HISTORY, Oracle
from harness.producer import Producer
from harness.server import ServerExited
from harness.waiting import eventually

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
#: Small segments and a short memory of event IDs, so that the log lets events go.
SHORT_LOG = {
    "CAIRN_LAKE_COMMIT_INTERVAL": "1s",
    "CAIRN_EVENTLOG_SEGMENT_BYTES": "4MiB",
    "CAIRN_EVENTLOG_PREALLOCATE_BYTES": "0B",
    "CAIRN_DEDUPLICATION_WINDOW": "1s",
}
#: The window, and what the server's counting in whole seconds may add.
FORGOTTEN_SECONDS = 3
BATCH = 250


def instructions(language: str) -> list[str]:
    """The pieces of code of the page's section, in order."""
    section = PAGE.read_text().split("## A damaged table\n")[1].split("\n## ")[0]
    blocks = re.findall(rf"^ *```{language}\n(.*?)^ *```$", section, re.S | re.M)
    return [textwrap.dedent(block) for block in blocks]


def run_sql(server, text: str) -> None:
    """What an operator does with sqlite3 while the server is stopped."""
    catalog = sqlite3.connect(server.data_dir / "catalog.sqlite", isolation_level=None)
    catalog.executescript(text)
    catalog.close()


def position(server) -> int:
    """Where the table ends."""
    query = re.search(r'"(SELECT.*)"', instructions("sh")[0])[1]
    catalog = sqlite3.connect(server.data_dir / "catalog.sqlite")
    (end,) = catalog.execute(query).fetchone()
    catalog.close()
    return end


def fill(server) -> set[str]:
    """Send events until the log has let the first ones go; returns all their IDs."""
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(47)

    def lets_go() -> bool:
        assert producer.send(maker.batch(BATCH)).document["accepted"] == BATCH
        return server.metrics()["cairn_log_start"] > 0

    eventually(lets_go, 60, "release of a segment")
    producer.close()
    return set(ledger.entries)


def send(server, batch: list[bytes]) -> set[str]:
    """One batch, accepted; returns its IDs."""
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    assert producer.send(batch).document["accepted"] == len(batch)
    producer.close()
    return set(ledger.entries)


def stored(server) -> list[str]:
    """Event IDs of all rows that are committed."""
    oracle = Oracle(server.data_dir)
    return [event.event_id for event in oracle.committed_events(HISTORY, oracle.state(HISTORY))]


def damage_a_manifest(server) -> Path:
    """Flip a bit in the newest manifest, which the current metadata names."""
    folder = server.data_dir / "lake" / HISTORY / "metadata"
    manifest = max(folder.glob("manifest-*.avro"), key=lambda path: path.stat().st_mtime)
    content = bytearray(manifest.read_bytes())
    content[len(content) // 2] ^= 1
    manifest.write_bytes(content)
    return manifest


# Proves: R4, C5
def test_a_table_that_cannot_be_read_is_made_anew_without_loss(servers, tmp_path):
    server = servers.start(environment=SHORT_LOG)
    sent = fill(server)
    eventually(lambda: sent <= set(stored(server)), 30, "commit")
    assert server.stop() == 0
    before = stored(server)
    manifest = damage_a_manifest(server)
    server.start()
    assert any(f"{manifest.name} is damaged" in line for line in server.error_lines())
    assert server.metrics()["cairn_lake_closed"] == 1
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        server.client("cloudtrail").lookup_events()
    busy = sqlite3.connect(server.data_dir / "catalog.sqlite", isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    told = re.compile("cannot be read: events are accepted.*locked")
    eventually(lambda: told.search(server.log_text()), 40, "an attempt at the busy catalog")
    busy.execute("ROLLBACK")
    busy.close()
    sent |= send(server, EventMaker(48).batch(BATCH))
    accepted_until = time.time()
    assert server.stop() == 0

    end = position(server)
    damaged = tmp_path / "event-history.damaged"
    shutil.move(server.data_dir / "lake" / HISTORY, damaged)
    forget, begin = instructions("sql")
    run_sql(server, forget)
    with pytest.raises(ServerExited, match="the event log begins at"):
        server.start()
    run_sql(server, begin.replace("POSITION", str(end)))
    server.start()
    eventually(lambda: time.time() > accepted_until + FORGOTTEN_SECONDS, 10, "the window")
    (program,) = instructions("python")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    files = sorted(path.name for path in tmp_path.glob("again-*.json"))
    ingest = [str(server.settings.binary), "ingest", "--endpoint", server.endpoint, *files]
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
        "AWS_REGION": "us-east-1",
    }
    subprocess.run(ingest, cwd=tmp_path, env=environment, check=True)

    def whole() -> bool:
        return set(before) <= set(stored(server))

    eventually(whole, 30, "commit")
    again = stored(server)
    assert sorted(event for event in again if event in sent) == sorted(sent)
    assert server.stop() == 0
