"""C5 for the whole process: bytes of acknowledged events change in the log of a stopped server. The
start tells of it, no changed row is shown, and the rest is there. (2,000 mutations of the log, and
2,000 of catalog and lake, run in process: crates/eventlog and crates/lake, tests `damage`.)"""

import random

from harness.events import EventMaker
from harness.ledger import Ledger
from harness.oracle import Oracle
from harness.producer import Producer
from harness.results import amount, first_seed, record
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
