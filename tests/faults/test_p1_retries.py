"""P1: a proxy drops one answer in ten; producers repeat until they are told. One row per event.

Callers of the API behind the same proxy are never told what became of some changes: the catalog and
the record agree about each of them all the same.
"""

import threading

from harness.calls import CallDriver, CallLedger
from harness.events import EventMaker
from harness.fault_proxy import Fault, FaultProxy, Plan
from harness.ledger import Ledger, Outcome
from harness.oracle import Oracle, own_call
from harness.producer import Producer
from harness.results import amount, record

PRODUCERS = 4
BATCHES = amount(usual=60, full=1_000)
FAULTS = (Fault.DROP_ANSWER, Fault.RESET, Fault.TRUNCATE)


def produce(endpoint: str, server, ledger: Ledger, index: int, failures: list) -> None:
    """One producer: each batch until it is answered, some once more after that."""
    maker = EventMaker(100 + index)
    producer = Producer(endpoint, server.credentials, ledger)
    try:
        for number in range(BATCHES):
            batch = maker.batch(10)
            producer.send_until_answered(batch)
            if number % 9 == 0:
                again = producer.send_until_answered(batch).document
                assert (again["accepted"], again["duplicates"]) == (0, 10), again
    except AssertionError as failure:
        failures.append(failure)
    producer.close()


# Proves: P1, I1, I2, I4, I5, R11, R21
def test_each_event_is_stored_once_however_often_it_is_sent(servers):
    server = servers.start(
        environment={
            "CAIRN_LAKE_COMMIT_INTERVAL": "1s",
            "CAIRN_API_REQUESTS_PER_SECOND": "100000",
            "CAIRN_API_REQUESTS_BURST": "100000",
        }
    )
    proxy = FaultProxy(server.endpoint, Plan(1, share=0.1, faults=FAULTS))
    ledger, calls, failures = Ledger(), CallLedger(), []
    callers = CallDriver(proxy.endpoint, server.credentials, calls, seed=1).start()
    threads = [
        threading.Thread(target=produce, args=(proxy.endpoint, server, ledger, index, failures))
        for index in range(PRODUCERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    callers.stop()
    proxy.close()
    assert failures == []
    assert server.stop() == 0
    struck = sum(count for fault, count in proxy.struck.items() if fault is not Fault.NONE)
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call, calls=calls)
    assert verdict.holds, verdict
    assert ledger.count(Outcome.ACKNOWLEDGED) == PRODUCERS * BATCHES * 10
    assert struck > PRODUCERS * BATCHES // 20
    assert len(calls.entries) > len(calls.answered()) > 0, "no call lost its answer"
    record(
        "P1",
        runs=1,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        duplicates=len(verdict.duplicates),
        figures={"answers lost or cut": struck, "calls answered": verdict.calls},
    )


# Proves: P1, R11
def test_an_event_twice_in_one_call_and_the_same_id_with_other_content(servers):
    server = servers.start()
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    maker = EventMaker(7)
    event = maker.event()
    first = maker.batch(1)[0]
    answer = producer.send([first, first]).document
    assert (answer["accepted"], answer["duplicates"]) == (1, 1), answer
    batch = maker.batch(1, eventID=event["eventID"])
    assert producer.send(batch).document["accepted"] == 1
    other = maker.batch(1, eventID=event["eventID"])
    answer = producer.exchange_events(other)
    assert answer.document["accepted"] == 0, answer
    assert answer.refused[0]["code"], answer
    producer.close()
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert verdict.holds, verdict


# Proves: P1, R11
def test_outside_the_window_a_repeated_event_is_new(servers):
    """What the window promises ends with it: nothing is refused, and nothing is lost."""
    server = servers.start(environment={"CAIRN_DEDUPLICATION_WINDOW": "1s"})
    ledger = Ledger()
    producer = Producer(server.endpoint, server.credentials, ledger)
    batch = EventMaker(8).batch(1)
    assert producer.send(batch).document["accepted"] == 1
    deadline = threading.Event()
    for _ in range(100):
        answer = producer.send(batch).document
        if answer["accepted"] == 1:
            break
        deadline.wait(0.1)
    assert answer["accepted"] == 1, "the window never ends"
    producer.close()
    assert server.stop() == 0
    verdict = Oracle(server.data_dir).verdict(ledger, others=own_call)
    assert len(verdict.duplicates) == 1 and verdict.lost == [], verdict
