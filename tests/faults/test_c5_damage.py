"""C5 for the whole process: bytes of acknowledged events change in the log of a stopped server. The
start tells of it, no changed row is shown, and the rest is there. (2,000 mutations of the log, and
2,000 of catalog and lake, run in process: crates/eventlog and crates/lake, tests `damage`.) Or the
catalog's write-ahead log is damaged: no key that was turned off works again. (Each of its frames
is damaged in process: crates/catalog, tests `rollback`.)"""

import random

import pytest
from botocore.exceptions import ClientError

from harness.events import EventMaker
from harness.ledger import Ledger
from harness.oracle import Oracle
from harness.producer import Producer
from harness.results import amount, first_seed, record
from harness.server import ServerExited
from harness.signature import Credentials
from harness.waiting import eventually

RUNS = amount(usual=5, full=100)


def damaged(servers, sabotaged_binary, seed: int):
    """A stopped server whose log has a changed letter inside one event, and its ledger."""
    server = servers.start(
        binary=sabotaged_binary, environment={"CAIRN_SABOTAGE": "lake-stopped"}
    )
    ledger, maker = Ledger(), EventMaker(5_000 + seed)
    producer = Producer(server.endpoint, server.credentials, ledger)
    batches = [maker.batch(5) for _ in range(20)]
    for batch in batches:
        assert producer.send(batch).status == 200
    producer.close()
    server.kill()
    choose = random.Random(seed)
    victim = choose.choice(choose.choice(batches))
    for path in (server.data_dir / "log").glob("*.segment"):
        content = bytearray(path.read_bytes())
        at = content.find(victim)
        if at >= 0:
            offset = at + victim.index(b'"payload":"') + 11 + choose.randrange(400)
            content[offset] = ord("0") if content[offset] != ord("0") else ord("1")
            path.write_bytes(content)
    server.settings.environment = {}
    return server, ledger


def shows_all(metrics: dict[str, float]) -> bool:
    """Whether the history has come to the log's end."""
    return metrics['cairn_store_position{store="event-history"}'] == metrics["cairn_log_end"]


def rows(server, ledger: Ledger):
    """What the history shows after a start: the oracle's verdict."""
    server.start()
    eventually(lambda: shows_all(server.metrics()), 20, "the end of the log")
    assert server.stop() == 0
    return Oracle(server.data_dir).verdict(ledger)


# Proves: C5, R4
def test_a_changed_letter_is_told_and_never_shown(servers, sabotaged_binary):
    noted = 0
    for seed in range(first_seed(), first_seed() + RUNS):
        server, ledger = damaged(servers, sabotaged_binary, seed)
        server.settings.binary = servers.binary
        verdict = rows(server, ledger)
        assert verdict.altered == [] and verdict.duplicates == [], f"seed {seed}: {verdict}"
        # The frame is the unit of damage: one batch of five, or a few that shared a sync.
        assert 0 < len(verdict.lost) <= 25, f"seed {seed}: {verdict}"
        notes = list((server.data_dir / "lake/quarantine/log").glob("*.lost"))
        assert notes and server.error_lines(), f"seed {seed}: nobody was told"
        noted += len(notes)
    figures = {"wrong rows": 0, "notes of lost records": noted}
    record("C5 changed event in the log", runs=RUNS, figures=figures)


def test_the_harness_catches_an_unchecked_checksum(servers, sabotaged_binary):
    """Control: a server that trusts stored bytes shows the changed row."""
    server, ledger = damaged(servers, sabotaged_binary, 1)
    server.settings.environment = {"CAIRN_SABOTAGE": "crc-unchecked"}
    verdict = rows(server, ledger)
    assert verdict.altered, f"the planted fault was not found: {verdict}"
    record("C5 changed event in the log", controls=1, controls_caught=1)


def revoked(servers):
    """A killed server whose last change was to turn a key off, its write-ahead log damaged."""
    server = servers.start(environment={"CAIRN_LAKE_COMMIT_INTERVAL": "1h"})
    iam = server.client("iam")
    iam.create_user(UserName="guest")
    made = iam.create_access_key(UserName="guest")["AccessKey"]
    key = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    assert works(server, key)
    assert server.stop() == 0
    write_ahead_log = server.data_dir / "catalog.sqlite-wal"
    assert not write_ahead_log.exists(), "a clean end leaves nothing to lose"
    server.start()
    iam.update_access_key(UserName="guest", AccessKeyId=key.access_key_id, Status="Inactive")
    assert not works(server, key)
    server.kill()
    content = bytearray(write_ahead_log.read_bytes())
    content[100] ^= 1  # within the page of the first frame
    write_ahead_log.write_bytes(content)
    return server, key


def works(server, key: Credentials) -> bool:
    """Whether the key opens anything."""
    try:
        return bool(server.client("sts", key).get_caller_identity()["Arn"])
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "InvalidClientTokenId"
        return False


# Proves: C5
def test_a_revoked_key_does_not_come_back_with_a_damaged_catalog(servers):
    server, key = revoked(servers)
    for _ in range(2):
        with pytest.raises(ServerExited, match="the catalog holds .* were committed"):
            server.start()
    # Control: what the start refuses is a server that takes the key again.
    (server.data_dir / "catalog.sqlite.changes").unlink()
    server.start()
    assert works(server, key)
    assert "whether changes were lost before this start is not known" in server.log_text()
    assert server.stop() == 0
    record("C5 rolled-back catalog", runs=1, controls=1, controls_caught=1)
