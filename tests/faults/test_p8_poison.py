"""P8: an event that passes the door and of which no row can be made.

It is set aside whole, told of, and the events behind it go on.
"""

import json
import time

from harness.events import EventMaker, encode
from harness.ledger import Ledger
from harness.oracle import Oracle, own_call
from harness.producer import Producer
from harness.results import amount, record
from harness.waiting import eventually

POISONS = amount(usual=20, full=500)


# Proves: P8, I1
def test_poison_is_set_aside_and_the_pipeline_goes_on(servers, sabotaged_binary):
    """The planted fault damages the routing header of events named Poisoned behind the door."""
    server = servers.start(
        binary=sabotaged_binary,
        environment={"CAIRN_SABOTAGE": "poison", "CAIRN_LAKE_COMMIT_INTERVAL": "1s"},
    )
    good, poison = Ledger(), Ledger()
    sender = Producer(server.endpoint, server.credentials, good)
    poisoner = Producer(server.endpoint, server.credentials, poison)
    maker, stalls, poisoned = EventMaker(88), [], []
    lookups = server.client("cloudtrail")
    for number in range(POISONS):
        poisoned.append(encode(maker.event(eventName="Poisoned")))
        assert poisoner.send([poisoned[-1]]).document["accepted"] == 1
        batch = maker.batch(5)
        assert sender.send(batch).status == 200
        if number % 10 == 0:
            began, name = time.monotonic(), json.loads(batch[0])["eventID"]
            wanted = [{"AttributeKey": "EventId", "AttributeValue": name}]
            eventually(lambda: lookups.lookup_events(LookupAttributes=wanted)["Events"])
            stalls.append(time.monotonic() - began)
    sender.close()
    poisoner.close()
    eventually(lambda: server.metrics()["cairn_lake_quarantined"] == POISONS, what="the metric")
    assert server.stop() == 0
    kept = [path.read_bytes() for path in (server.data_dir / "lake/quarantine").rglob("*.record")]
    assert len(kept) == POISONS
    for event in poisoned:
        (found,) = [content for content in kept if content.endswith(event)]
        assert json.loads(found.split(b"\n", 1)[0])["reason"]
    stored = {event.event_id: event for event in Oracle(server.data_dir).events()}
    missing = set(good.acknowledged()) - set(stored)
    assert missing == set()
    assert not set(poison.acknowledged()) & set(stored)
    assert all(own_call(e) or e.event_id in good.entries for e in stored.values())
    record(
        "P8",
        runs=POISONS,
        acks=len(good.acknowledged()),
        lost=len(missing),
        figures={"quarantined": len(kept), "longest stall s": round(max(stalls), 2)},
    )
