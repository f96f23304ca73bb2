"""The ingest door and `cairn ingest`: what is accepted, refused, counted, and soon seen."""

import gzip
import json
import ssl
import subprocess
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.events import EventMaker, encode, timestamp
from harness.fault_proxy import Fault, FaultProxy, Plan
from harness.ledger import Ledger
from harness.producer import Producer, batch_request
from harness.signature import Credentials
from harness.waiting import VISIBLE_SECONDS, eventually


@pytest.fixture
def producer(server):
    """A producer with the administrator's key."""
    made = Producer(server.endpoint, server.credentials, Ledger())
    yield made
    made.close()


def ingest(
    server, binary, *words, folder=None, seconds: float = 120, **environment: str
) -> subprocess.CompletedProcess:
    """`cairn ingest` as a user runs it, with the files of the first start."""
    return subprocess.run(
        [binary, "ingest", *words],
        env=server.aws_environment() | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def find(server, event_id: str) -> list[dict]:
    """What the history knows under an event ID."""
    page = server.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventId", "AttributeValue": event_id}]
    )
    return page["Events"]


def test_an_acknowledged_event_is_seen_within_two_seconds(server, producer):
    maker = EventMaker(1)
    delays = []
    for _ in range(5):
        event = maker.event()
        answer = producer.send([encode(event)])
        counts = {"accepted": 1, "duplicates": 0, "unselected": 0, "tooOld": 0}
        assert answer.document == counts | {"refused": []}
        acknowledged = time.monotonic()
        found = eventually(lambda e=event: find(server, e["eventID"]), VISIBLE_SECONDS)
        delays.append(time.monotonic() - acknowledged)
        assert found[0]["CloudTrailEvent"].encode() == encode(event)
    assert sorted(delays)[len(delays) // 2] <= 2.0, delays


def test_both_forms_plain_and_compressed(server, producer):
    maker = EventMaker(2)
    lines, records = maker.batch(3), maker.batch(3)
    compressed = batch_request(server.endpoint, server.credentials, lines, compress=True)
    assert producer.exchange(compressed).document["accepted"] == 3
    document = b'{"Records":[' + b",".join(records) + b"]}"
    request = batch_request(server.endpoint, server.credentials, [document])
    assert producer.exchange(request).document["accepted"] == 3
    for event in (lines[0], records[2]):
        event_id = json.loads(event)["eventID"]
        found = eventually(lambda e=event_id: find(server, e))
        assert found[0]["CloudTrailEvent"].encode() == event


def test_pretty_printed_events_stay_as_they_are(server, producer):
    event = EventMaker(3).event()
    raw = json.dumps(event, indent=2).encode()
    request = batch_request(server.endpoint, server.credentials, [b'{"Records":[' + raw + b"]}"])
    assert producer.exchange(request).document["accepted"] == 1
    found = eventually(lambda: find(server, event["eventID"]))
    assert found[0]["CloudTrailEvent"].encode() == raw


# Proves: P1
def test_a_retry_is_stored_once_and_another_event_under_the_same_id_is_refused(server, producer):
    event = EventMaker(4).event()
    assert producer.send([encode(event)]).document["accepted"] == 1
    again = producer.send([encode(event)]).document
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    twice = EventMaker(5).event()
    document = producer.send([encode(twice), encode(twice)]).document
    assert (document["accepted"], document["duplicates"]) == (1, 1)
    forged = event | {"eventName": "SomethingElse"}
    answer = producer.exchange(
        batch_request(server.endpoint, server.credentials, [encode(forged)])
    )
    assert answer.status == 400
    assert answer.refused[0]["index"] == 0
    assert answer.refused[0]["eventID"] == event["eventID"]
    assert answer.refused[0]["code"]
    eventually(lambda: find(server, twice["eventID"]))
    assert len(find(server, event["eventID"])) == 1
    assert len(find(server, twice["eventID"])) == 1


def test_bad_events_are_refused_one_by_one(server, producer):
    maker = EventMaker(6)
    good = maker.event()
    bad = [
        b"not json",
        encode({"eventVersion": "1.11"}),
        encode(maker.event(eventVersion="2.0")),
        encode(maker.event(eventTime="yesterday")),
        encode(maker.event(recipientAccountId="999999999999")),
        encode(maker.event(awsRegion="xx-nowhere-1")),
        encode(maker.event())[:-1] + b',"eventName":"Twice"}',
    ]
    request = batch_request(server.endpoint, server.credentials, [*bad, encode(good)])
    answer = producer.exchange(request)
    assert answer.status == 200
    assert answer.document["accepted"] == 1
    assert [entry["index"] for entry in answer.refused] == list(range(len(bad)))
    assert all(entry["code"] and entry["message"] for entry in answer.refused)
    assert eventually(lambda: find(server, good["eventID"]))


def test_data_events_are_logged_counted_and_not_in_history(server, producer):
    event = EventMaker(7).event(
        eventCategory="Data", managementEvent=False, eventName="GetObject"
    )
    marker = EventMaker(8).event()
    document = producer.send([encode(event), encode(marker)]).document
    assert (document["accepted"], document["unselected"]) == (2, 1)
    eventually(lambda: find(server, marker["eventID"]))
    assert find(server, event["eventID"]) == []


def test_missing_members_are_appended_and_nothing_else_changes(server, producer):
    event = EventMaker(9).event(
        recipientAccountId=None, eventCategory=None, managementEvent=None
    )
    raw = encode(event)
    assert producer.exchange(
        batch_request(server.endpoint, server.credentials, [raw])
    ).document["accepted"] == 1
    stored = eventually(lambda: find(server, event["eventID"]))[0]["CloudTrailEvent"].encode()
    assert stored.startswith(raw[:-1])
    assert json.loads(stored)["recipientAccountId"] == "123456789012"


def test_a_caller_without_permission_is_refused(server, producer):
    iam = server.client("iam")
    iam.create_user(UserName="no-producer")
    key = iam.create_access_key(UserName="no-producer")["AccessKey"]
    stranger = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    request = batch_request(server.endpoint, stranger, EventMaker(10).batch(1))
    answer = producer.exchange(request)
    assert answer.status in (400, 403)
    assert "AccessDenied" in json.dumps(answer.document)


# Proves: OVR-073
def test_the_command_line_ingests_folders_counts_and_lists_refusals(server, binary, tmp_path):
    maker = EventMaker(11)
    good = [maker.event() for _ in range(30)]
    old = maker.event(
        eventTime=timestamp(datetime.now(timezone.utc) - timedelta(days=120))
    )
    broken = {"eventVersion": "1.11"}
    folder = tmp_path / "files" / "deep"
    folder.mkdir(parents=True)
    document = json.dumps({"Records": good[:20] + [broken]}).encode()
    (folder / "a.json.gz").write_bytes(gzip.compress(document))
    (folder / "b.ndjson").write_bytes(b"\n".join(map(encode, [*good[20:], old])))
    finished = ingest(server, binary, tmp_path / "files")
    output = finished.stdout + finished.stderr
    assert "a.json.gz" in output, output
    assert "31" in output, output
    assert "too old     1 " in output, output
    for event in (good[0], good[29]):
        assert eventually(lambda e=event: find(server, e["eventID"]))
    assert find(server, old["eventID"]) == []
    assert finished.returncode != 0, "refused events must show in the exit code"


# Proves: P1
def test_a_file_has_one_name_however_it_is_asked_for(server, binary, tmp_path):
    name = f"Anywhere{uuid.uuid4().hex[:8]}"
    lines = tmp_path / "corpus" / "nameless.ndjson"
    lines.parent.mkdir()
    lines.write_bytes(encode(EventMaker(93).event(eventName=name, eventID=None)))
    (tmp_path / "linked").symlink_to(lines.parent)
    for paths in (["corpus", "./corpus/nameless.ndjson"], ["linked"], [lines]):
        finished = ingest(server, binary, "--no-checkpoint", *paths, folder=tmp_path)
        assert finished.returncode == 0, finished.stdout + finished.stderr
    attribute = {"AttributeKey": "EventName", "AttributeValue": name}
    marker = EventMaker(94).event()
    subprocess.run(
        [binary, "ingest", "--no-checkpoint", "--endpoint", server.endpoint, "-"],
        env=server.aws_environment(),
        input=encode(marker),
        timeout=120,
        check=True,
    )
    eventually(lambda: find(server, marker["eventID"]))
    page = server.client("cloudtrail").lookup_events(LookupAttributes=[attribute])
    assert len(page["Events"]) == 1


class DropsFirstBatchsAnswer(FaultProxy):
    """Loses the second answer and no other: the first is to the question who is there."""

    exchanges = 0

    def choose(self) -> Fault:
        self.exchanges += 1
        return Fault.DROP_ANSWER if self.exchanges == 2 else Fault.NONE


# Proves: P1
def test_events_without_an_id_are_stored_once_though_the_answer_is_lost(server, binary, tmp_path):
    name = f"Nameless{uuid.uuid4().hex[:8]}"
    events = [EventMaker(12 + n).event(eventName=name, eventID=None) for n in range(3)]
    lines = tmp_path / "nameless.ndjson"
    lines.write_bytes(b"\n".join(map(encode, events)))
    outputs = []
    proxy = DropsFirstBatchsAnswer(server.endpoint, Plan(seed=1, share=1.0))
    for endpoint in (proxy.endpoint, server.endpoint):
        finished = ingest(server, binary, "--no-checkpoint", lines, "--endpoint", endpoint)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        outputs.append(finished.stdout)
    proxy.close()
    assert proxy.exchanges > 2
    assert all("duplicates  3" in output for output in outputs), outputs
    wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
    lookup = server.client("cloudtrail").lookup_events
    eventually(lambda: len(lookup(LookupAttributes=wanted)["Events"]) >= len(events))
    assert len(lookup(LookupAttributes=wanted)["Events"]) == len(events)


def test_what_the_server_takes_in_no_request_is_listed_and_the_rest_goes_in(
    servers, binary, tmp_path
):
    """The server's limit on bodies is below what the command sends at once."""
    server = servers.start(environment={"CAIRN_INGEST_BODY_BYTES_MAX": "64KiB"})
    maker = EventMaker(17)
    good = [maker.event() for _ in range(300)]
    huge = maker.event(requestParameters={"text": "x" * 100_000})
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "again").symlink_to(folder)
    lines = [*map(encode, good[:200]), encode(huge), *map(encode, good[200:])]
    (folder / "a.ndjson").write_bytes(b"\n".join(lines))
    refused = tmp_path / "refused.ndjson"
    finished = ingest(server, binary, "--no-checkpoint", "--refused", refused, folder)
    assert "files       1\n" in finished.stdout, finished.stdout
    assert "accepted    300\n" in finished.stdout, finished.stdout
    (listed,) = map(json.loads, refused.read_text().splitlines())
    assert (listed["index"], listed["code"]) == (200, "InvalidEventTooLarge")
    assert finished.returncode == 1


# Proves: OVR-073
def test_a_bad_line_spoils_no_other(server, binary, tmp_path):
    """Torn and foreign lines are listed with their numbers, whatever stands around them."""
    maker = EventMaker(18)
    good = [maker.event() for _ in range(6)]
    two_in_one = encode(maker.event()) + b"," + encode(maker.event())
    lines = [
        encode(good[0])[5:],
        encode(good[0]),
        b"not json",
        two_in_one,
        b'{"Records":[' + encode(good[1]) + b"," + encode(good[2]) + b"]}",
        b'{"Records":[' + encode(good[3]),
        encode(good[3]),
        b'{"text":"' + b"x" * (9 << 20) + b'"}',
        encode(good[4]),
        b'{"Records":[]}',
    ]
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.ndjson").write_bytes(b"\n".join(lines))
    (folder / "b.json").write_text(json.dumps(good[5], indent=1))
    (folder / "c.json").write_text('{"Records": []}')
    refused = tmp_path / "refused.ndjson"
    finished = ingest(server, binary, "--no-checkpoint", "--refused", refused, folder)
    assert "files       3\n" in finished.stdout, finished.stdout
    assert "accepted    6\n" in finished.stdout, finished.stdout
    assert "FAILED" not in finished.stdout, finished.stdout
    listed = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [(line["index"], line["code"]) for line in listed] == [
        (0, "InvalidEventJson"),
        (2, "InvalidEventJson"),
        (3, "InvalidEventJson"),
        (6, "InvalidBatchMalformed"),
        (8, "InvalidEventTooLarge"),
    ]


def test_a_wrong_address_is_told_at_once(server, binary, tmp_path):
    (tmp_path / "a.ndjson").write_bytes(encode(EventMaker(20).event()))
    finished = ingest(
        server,
        binary,
        *("--endpoint", "http://127.0.0.1:1", "a.ndjson"),
        folder=tmp_path,
        seconds=20,
        RUST_BACKTRACE="1",
    )
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert "http://127.0.0.1:1" in line and "refused" in line, line


class AnswersNobody(BaseHTTPRequestHandler):
    """Refuses every call."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_certificates_of_ones_own_are_trusted_as_the_aws_cli_trusts_them(
    server, binary, tmp_path
):
    files = Path(__file__).parents[2] / "crates/server/tests/it/fixtures"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "localhost.cert.pem", files / "localhost.key.pem")
    guarded = ThreadingHTTPServer(("127.0.0.1", 0), AnswersNobody)
    guarded.socket = context.wrap_socket(guarded.socket, server_side=True)
    threading.Thread(target=guarded.serve_forever, daemon=True).start()
    (tmp_path / "a.ndjson").write_bytes(encode(EventMaker(21).event()))
    endpoint = f"https://localhost:{guarded.server_address[1]}"

    def attempt(**environment: str) -> subprocess.CompletedProcess:
        words = ["--no-checkpoint", "--endpoint", endpoint, "a.ndjson"]
        return ingest(server, binary, *words, folder=tmp_path, **environment)

    refused = attempt()
    assert refused.returncode == 1 and "certificate" in refused.stderr, refused.stderr
    trusted = attempt(AWS_CA_BUNDLE=str(files / "localhost.cert.pem"))
    assert "HTTP 403" in trusted.stdout, trusted.stdout + trusted.stderr
    config = tmp_path / "config"
    config.write_text(f"[default]\nca_bundle = {files / 'localhost.cert.pem'}\n")
    by_profile = attempt(AWS_CONFIG_FILE=str(config))
    assert "HTTP 403" in by_profile.stdout, by_profile.stdout + by_profile.stderr
    missing = attempt(AWS_CA_BUNDLE="nowhere.pem")
    assert "nowhere.pem" in missing.stderr, missing.stderr
    guarded.shutdown()
    guarded.server_close()


# Proves: R22
def test_a_signed_request_follows_no_redirect(server, binary, tmp_path):
    asked = []

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", f"{server.endpoint}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    event = EventMaker(19).event()
    (tmp_path / "a.ndjson").write_bytes(encode(event))
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{elsewhere.server_address[1]}"
    words = ["--no-checkpoint", "--endpoint", address, "a.ndjson"]
    finished = ingest(server, binary, *words, folder=tmp_path)
    elsewhere.shutdown()
    elsewhere.server_close()
    assert asked == ["/events"]
    assert "FAILED" in finished.stdout and "HTTP 307" in finished.stdout, finished.stdout
    assert find(server, event["eventID"]) == []


# Proves: OVR-073
def test_an_interrupted_ingest_goes_on_and_forgets_no_refusal(server, binary, tmp_path):
    maker = EventMaker(16)
    good = [maker.event() for _ in range(4)]
    first, second = tmp_path / "a.ndjson", tmp_path / "b.json.gz"
    first.write_bytes(b"\n".join([encode(good[0]), b'{"eventVersion":"1.11"}', encode(good[1])]))
    whole = gzip.compress(json.dumps({"Records": good[2:]}).encode())
    second.write_bytes(whole[:-9])
    refused = tmp_path / "refused.ndjson"
    words = ["--refused", refused, "--checkpoint", tmp_path / "checkpoint", first, second]

    def run() -> subprocess.CompletedProcess:
        return ingest(server, binary, *words)

    interrupted = run()
    assert interrupted.returncode == 1, interrupted.stdout
    assert "FAILED" in interrupted.stdout
    listed = refused.read_text()
    assert listed.count("\n") == 1
    second.write_bytes(whole)
    resumed = run()
    assert "resumed     2 events" in resumed.stdout, resumed.stdout
    assert "accepted    2" in resumed.stdout, resumed.stdout
    assert "refused     1" in resumed.stdout, resumed.stdout
    assert resumed.returncode == 1, "one event is not in"
    assert refused.read_text() == listed, "the list keeps what the first run wrote"
    assert not (tmp_path / "checkpoint").exists()
    for event in good:
        assert eventually(lambda e=event: find(server, e["eventID"]))
