"""pyiceberg and DuckDB open event history through the bucket endpoint and count as we do, and every
request of theirs is in the event log.
"""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from pyiceberg.table import StaticTable

from harness.events import EventMaker
from harness.ledger import Ledger
from harness.log_events import logged_events
from harness.oracle import HISTORY, LOCATION_PREFIX, Oracle
from harness.producer import Producer
from harness.server import REGION
from harness.signature import Credentials
from harness.waiting import eventually

EVENTS = 600


@pytest.fixture
def committed(servers):
    """A server with events in its Iceberg table, not only in hot objects."""
    server = servers.start(environment={"CAIRN_LAKE_COMMIT_INTERVAL": "1s"})
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(21)
    for _ in range(EVENTS // 100):
        assert producer.send(maker.batch(100)).document["accepted"] == 100
    producer.close()
    oracle = Oracle(server.data_dir)

    def settled() -> bool:
        state = oracle.state(HISTORY)
        stored = oracle.committed_events(HISTORY, state)
        return set(ledger.entries) <= {event.event_id for event in stored}

    eventually(settled, 30, "commit")
    return server, oracle


def metadata_location(oracle: Oracle) -> str:
    """Address of the table's current metadata."""
    return LOCATION_PREFIX + oracle.state(HISTORY).metadata


def check_reads_are_recorded(server, key: str) -> None:
    """As many events as answers, each of the reader, one of them of the table's metadata."""
    # Producers' events of S3 tell of other buckets.
    events = [
        event
        for event in logged_events(server.data_dir, "s3.amazonaws.com")
        if event["requestParameters"].get("bucketName") == "cairn-lake"
    ]
    reads = [event for event in events if event["eventName"] in ("GetObject", "HeadObject")]
    answered = sum(
        count
        for name, count in server.metrics().items()
        if name.startswith("cairn_requests_total{service=\"s3\"")
    )
    assert len(events) == answered > 0
    assert key in {event["requestParameters"]["key"] for event in reads}
    assert any(event["requestParameters"]["key"].endswith(".parquet") for event in reads)
    for event in events:
        assert event["userIdentity"]["accessKeyId"] == server.credentials.access_key_id
        assert event["sourceIPAddress"] == "127.0.0.1"
        assert event["requestParameters"]["bucketName"] == "cairn-lake"


# Proves: SEL-022, REC-023
def test_pyiceberg_counts_the_same_rows(committed):
    server, oracle = committed
    keys = server.credentials
    table = StaticTable.from_metadata(
        metadata_location(oracle),
        {
            "s3.endpoint": server.bucket_endpoint,
            "s3.access-key-id": keys.access_key_id,
            "s3.secret-access-key": keys.secret_access_key,
            "s3.region": REGION,
            "s3.force-virtual-addressing": "false",
        },
    )
    names = [field.name for field in table.schema().fields]
    assert names[0] == "eventversion"
    found = table.scan(selected_fields=("eventid",)).to_arrow()
    assert found.num_rows >= EVENTS
    identifiers = found.column("eventid").to_pylist()
    assert len(set(identifiers)) == len(identifiers)
    ours = {event.event_id for event in oracle.committed_events(HISTORY, oracle.state(HISTORY))}
    assert len(ours) >= EVENTS
    assert set(identifiers) <= ours, "rows that a direct reading does not show"
    check_reads_are_recorded(server, oracle.state(HISTORY).metadata)


def test_the_page_for_operators_tells_how_to_read_the_table(committed):
    server, _ = committed
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = [block for block in blocks if "StaticTable" in block]
    code = code.replace("http://127.0.0.1:4511", server.bucket_endpoint)
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=server.aws_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert int(finished.stdout) >= EVENTS, finished.stderr


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension that came as a Python package: nothing is fetched."""
    module = __import__(f"duckdb_extension_{name}")
    folder = Path(module.__file__).parent
    (file,) = folder.rglob(f"{name}.duckdb_extension")
    connection.load_extension(str(file))


# Proves: SEL-022, REC-023
def test_duckdb_counts_the_same_rows(committed):
    server, oracle = committed
    keys = server.credentials
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "httpfs", "iceberg"):
        load_extension(connection, name)
    endpoint = server.bucket_endpoint.removeprefix("http://")
    connection.execute(
        f"CREATE SECRET lake (TYPE s3, KEY_ID '{keys.access_key_id}',"
        f" SECRET '{keys.secret_access_key}', REGION '{REGION}', ENDPOINT '{endpoint}',"
        " URL_STYLE 'path', USE_SSL false)"
    )
    count, distinct = connection.execute(
        "SELECT count(*), count(DISTINCT eventid) FROM iceberg_scan(?)",
        [metadata_location(oracle)],
    ).fetchone()
    assert count == distinct == len(oracle.committed_events(HISTORY, oracle.state(HISTORY)))
    assert count >= EVENTS
    newest = connection.execute(
        "SELECT eventjson FROM iceberg_scan(?) WHERE useridentity.username = 'user-1' LIMIT 1",
        [metadata_location(oracle)],
    ).fetchone()
    assert newest is not None
    check_reads_are_recorded(server, oracle.state(HISTORY).metadata)


def test_the_bucket_is_closed_to_strangers_and_to_writers(committed):
    server, oracle = committed
    stranger = server.client("s3", Credentials("AKIAUNKNOWNUNKNOWN00", "secret"))
    owner = server.client("s3")
    key = oracle.state(HISTORY).metadata
    with pytest.raises(Exception, match="InvalidAccessKeyId|AccessDenied|403"):
        stranger.get_object(Bucket="cairn-lake", Key=key)
    with pytest.raises(Exception, match="AccessDenied|MethodNotAllowed|NotImplemented"):
        owner.put_object(Bucket="cairn-lake", Key="new", Body=b"x")
    with pytest.raises(Exception, match="AccessDenied|MethodNotAllowed|NotImplemented"):
        owner.delete_object(Bucket="cairn-lake", Key=key)
    assert owner.get_object(Bucket="cairn-lake", Key=key)["Body"].read()
