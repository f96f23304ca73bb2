"""S6: topics, log groups and buses that are down, slow, cut off, or take a part of a batch. Buckets
get their files all the same; who was to be told is told of everything, some of it twice."""

import json
import signal
import threading
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.events import EventMaker, encode
from harness.fault_proxy import Fault, FaultProxy, Plan
from harness.ledger import Ledger
from harness.moto import Moto, write_credentials
from harness.outlets import GROUP, GROUP_ARN, POINTS, ROLE_ARN, STREAM, Told, make_role
from harness.producer import Producer
from harness.results import amount, first_seed, record
from harness.trails import Journey, bucket_policy, trail_arn
from harness.waiting import eventually

ROUNDS = amount(usual=1, full=20)
EVENTS = 240
SECONDS = 120.0
#: Events of a bus that a crash may repeat: eight windows of sixty.
BUS_REPEATS_MAX = 480
BUCKET, NAME = "logs", "audit-trail"
FAULTS = (Fault.DROP_ANSWER, Fault.RESET, Fault.TRUNCATE, Fault.DELAY)
TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "1s", "CAIRN_TRAILS_RETRY_PAUSE_MAX": "200ms"}


class HalfBus(ThreadingHTTPServer):
    """Passes PutEvents on without every third entry, which it refuses; the rest as it is."""

    def __init__(self, target: str):
        super().__init__(("127.0.0.1", 0), HalfBusHandler)
        self.target = target
        self.entries = 0
        self.refused = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class HalfBusHandler(BaseHTTPRequestHandler):
    """One call of PutEvents."""

    protocol_version = "HTTP/1.1"
    server: HalfBus

    def do_POST(self) -> None:
        """Takes part of a call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        entries = json.loads(body)["Entries"]
        taken = []
        for entry in entries:
            self.server.entries += 1
            taken.append(self.server.entries % 3 != 0)
        kept = [entry for entry, is_taken in zip(entries, taken, strict=True) if is_taken]
        told = iter(self.pass_on(kept)) if kept else iter(())
        refusal = {"ErrorCode": "InternalFailure", "ErrorMessage": "planted"}
        answers = [next(told) if is_taken else refusal for is_taken in taken]
        failed = taken.count(False)
        self.server.refused += failed
        answer = json.dumps({"FailedEntryCount": failed, "Entries": answers}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def pass_on(self, entries: list[dict]) -> list[dict]:
        """The answers to those that are taken."""
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() in ("authorization", "content-type", "x-amz-date", "x-amz-target")
        }
        request = urllib.request.Request(
            self.server.target, data=json.dumps({"Entries": entries}).encode(), headers=headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["Entries"]

    def log_message(self, *_arguments) -> None:
        """Nothing."""


class Stage:
    """A trail that tells everybody, everybody behind proxies, and how to break them."""

    def __init__(self, servers, tmp_path, seed: int, **values):
        self.moto = Moto(tmp_path / f"moto-{seed}").start()
        self.half_bus = HalfBus(self.moto.endpoint)
        # Sound at first: the trail is made while all is well.
        self.proxies = {
            "sns": FaultProxy(self.moto.endpoint, Plan(seed, 0.0, FAULTS)),
            "logs": FaultProxy(self.moto.endpoint, Plan(seed + 1, 0.0, FAULTS)),
            "eventbridge": FaultProxy(self.half_bus.endpoint, Plan(seed + 2, 0.0, FAULTS)),
        }
        credentials = write_credentials(tmp_path / f"endpoints-{seed}", *self.proxies)
        environment = TIMES | {"CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(credentials)}
        for name, proxy in self.proxies.items():
            environment[f"CAIRN_ENDPOINTS_{name.upper()}"] = proxy.endpoint
        environment |= values.pop("environment", {})
        self.server = servers.start(environment=environment, **values)
        self.told = Told(self.moto)
        self.journey = Journey(self.server, self.server.client("s3"), {})
        self.trails = self.server.client("cloudtrail")
        self.make_trail()

    def make_trail(self) -> None:
        """With a topic and a log group."""
        self.journey.store.create_bucket(Bucket=BUCKET)
        policy = bucket_policy(BUCKET, trail_arn(NAME))
        self.journey.store.put_bucket_policy(Bucket=BUCKET, Policy=policy)
        self.told.topic("told")
        self.told.bus("bus")
        self.told.logs.create_log_group(logGroupName=GROUP)
        make_role(self.server.client("iam"))
        self.trails.create_trail(
            Name=NAME,
            S3BucketName=BUCKET,
            SnsTopicName="told",
            CloudWatchLogsLogGroupArn=GROUP_ARN,
            CloudWatchLogsRoleArn=ROLE_ARN,
        )
        self.trails.start_logging(Name=NAME)

    def send(self, maker: EventMaker, count: int) -> set[str]:
        """Send events; their IDs."""
        made = [maker.event() for _ in range(count)]
        producer = Producer(self.server.endpoint, self.server.credentials, Ledger())
        for start in range(0, count, 50):
            batch = [encode(event) for event in made[start : start + 50]]
            assert producer.send(batch).refused == []
        producer.close()
        return {event["eventID"] for event in made}

    def strike(self, share: float, *faults: Fault) -> None:
        """From now on, so much of all exchanges goes wrong."""
        for proxy in self.proxies.values():
            with proxy.lock:
                proxy.plan = Plan(proxy.plan.seed, share, faults or FAULTS)

    def struck(self) -> int:
        """Exchanges that went wrong."""
        return sum(
            count
            for proxy in self.proxies.values()
            for fault, count in proxy.struck.items()
            if fault is not Fault.NONE
        )

    def in_bucket(self) -> Counter:
        """How often each event was delivered to the bucket."""
        return Counter(record["eventID"] for record in self.journey.records(BUCKET))

    def seen(self) -> dict[str, Counter]:
        """How often the topic was told of each file, and log group and bus have each event."""
        logged = self.told.logged() if STREAM in self.told.streams() else []
        on_bus = self.told.received("bus")
        return {
            "topic": Counter(key for _, key in self.told.keys("told")),
            "logs": Counter(event["eventID"] for event in logged),
            "bus": Counter(event["detail"]["eventID"] for event in on_bus),
        }

    def lost(self) -> dict[str, int]:
        """What somebody was not told of."""
        delivered, seen = set(self.in_bucket()), self.seen()
        keys = set(self.journey.objects(BUCKET, "/CloudTrail/"))
        return {
            "topic": len(keys - seen["topic"].keys()),
            "logs": len(delivered - seen["logs"].keys()),
            "bus": len(delivered - seen["bus"].keys()),
        }

    def run(self, seed: int) -> int:
        """Events while everything is broken, one way after the other. How many."""
        maker = EventMaker(seed)
        # Down: no exchange comes to its end. The bucket has everything meanwhile. What the server
        # does of itself may have been told before.
        self.strike(1.0, Fault.RESET)
        before = self.seen()
        wanted = self.send(maker, EVENTS // 3)
        has_all = lambda: wanted <= self.in_bucket().keys()  # noqa: E731
        eventually(has_all, SECONDS, "delivery to the bucket")
        for proxy in self.proxies.values():
            eventually(lambda met=proxy.struck: met[Fault.RESET], SECONDS, "an attempt at each")
        after = self.seen()
        assert all(after[name].total() == before[name].total() for name in ("topic", "logs"))
        # Slow, cut and half.
        self.strike(0.4)
        for _ in range(4):
            wanted |= self.send(maker, EVENTS // 6)
            eventually(has_all, SECONDS, "delivery to the bucket")
        self.strike(0.0)
        self.trails.stop_logging(Name=NAME)
        return len(wanted)

    def close(self) -> None:
        """End what this has started."""
        for proxy in self.proxies.values():
            proxy.close()
        self.half_bus.shutdown()
        self.moto.stop()


def nothing_waits(stage: Stage) -> bool:
    """Whether everybody is told, or given up."""
    metrics = stage.server.metrics()
    names = ("waiting_notifications", "waiting_feeds")
    return all(metrics[f"cairn_outlets_{name}"] == 0 for name in names)


# Proves: S6, R15, TRL-147, TRL-158, SEL-010
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_everybody_is_told_of_everything_however_broken_the_way(servers, tmp_path, seed):
    seed += first_seed()
    stage = Stage(servers, tmp_path, 100 * seed + 1)
    sent = stage.run(seed)
    eventually(lambda: nothing_waits(stage), SECONDS, "telling everybody")
    delivered, seen = stage.in_bucket(), stage.seen()
    assert stage.lost() == {"topic": 0, "logs": 0, "bus": 0}
    assert set(delivered.values()) == {1}, "files are delivered once whatever happens elsewhere"
    assert not seen["logs"].keys() - delivered.keys(), "and nobody hears of anything else"
    assert not seen["bus"].keys() - delivered.keys()
    struck, refused = stage.struck(), stage.half_bus.refused
    assert struck > 10 and refused > sent // 10
    again = {name: counts.total() - len(counts) for name, counts in seen.items()}
    status = stage.trails.get_trail_status(Name=NAME)
    assert "LatestNotificationError" not in status
    assert "LatestCloudWatchLogsDeliveryError" not in status
    stage.close()
    record(
        "S6",
        runs=1,
        acks=len(delivered),
        lost=0,
        duplicates=0,
        figures={
            "exchanges broken": struck,
            "entries refused": refused,
        }
        | {
            f"{name} twice, of 1000": round(1000 * again[name] / max(1, len(seen[name])))
            for name in again
        },
    )


# Proves: S6, R15
@pytest.mark.parametrize("point", POINTS)
def test_a_death_at_any_step_of_telling_loses_nothing(servers, tmp_path, sabotaged_binary, point):
    seed = 50 + POINTS.index(point)
    stage = Stage(servers, tmp_path, seed, binary=sabotaged_binary)
    stage.strike(1.0, Fault.RESET)
    wanted = stage.send(EventMaker(seed), EVENTS)
    eventually(lambda: wanted <= stage.in_bucket().keys(), SECONDS, "delivery to the bucket")
    usual = stage.server.settings.environment
    stage.server.kill()
    stage.strike(0.0)
    stage.server.settings.environment = usual | {"CAIRN_SABOTAGE": f"stop-at:{point}:1"}
    stage.server.spawn()
    assert stage.server.process.wait(SECONDS) == -signal.SIGKILL, stage.server.log_tail()
    stage.server.settings.environment = usual
    stage.server.spawn()
    stage.server.wait_ready()
    eventually(lambda: nothing_waits(stage), SECONDS, "telling everybody")
    assert stage.lost() == {"topic": 0, "logs": 0, "bus": 0}
    seen = stage.seen()
    twice = {name: counts.total() - len(counts) for name, counts in seen.items()}
    stage.close()
    told_twice = {
        "trails::notify::sent": twice["topic"],
        "trails::feed::sent": twice["logs"] + twice["bus"],
    }
    assert told_twice.get(point, 1) > 0, "what nobody knows is told again"
    assert twice["bus"] <= BUS_REPEATS_MAX


# Proves: S6
def test_control_giving_up_at_the_first_failure_is_noticed(servers, tmp_path, sabotaged_binary):
    stage = Stage(
        servers,
        tmp_path,
        7,
        binary=sabotaged_binary,
        environment={"CAIRN_SABOTAGE": "outlets-tried-once"},
    )
    stage.run(7)
    eventually(lambda: nothing_waits(stage), SECONDS, "the end")
    lost = stage.lost()
    stage.close()
    assert all(lost.values()), lost
    record("S6", controls=1, controls_caught=1)
