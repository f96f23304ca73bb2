"""P1: a proxy drops one answer in ten; producers repeat until they are told. One row per event."""

import threading

from harness.events import EventMaker
from harness.fault_proxy import Fault, FaultProxy, Plan
from harness.ledger import Ledger, Outcome
from harness.oracle import Oracle, own_call
from harness.producer import Producer
from harness.results import amount, record

PRODUCERS = 4
BATCHES = amount(usual=60, full=1_000)
FAULTS = (Fault.DROP_ANSWER, Fault.RESET, Fault.TRUNCATE)


def run(servers, faults: tuple[Fault, ...], seed: int):
    """Producers behind the proxy, each batch until it is answered; returns ledger and verdict."""
    server = servers.start(environment={"CAIRN_LAKE_COMMIT_INTERVAL": "1s"})
    proxy = FaultProxy(server.endpoint, Plan(seed, share=0.1, faults=faults))
    ledger = Ledger()
    failures = []

    def produce(index: int) -> None:
        maker = EventMaker(seed * 100 + index)
        producer = Producer(proxy.endpoint, server.credentials, ledger)
        try:
            for _ in range(BATCHES):
                producer.send_until_answered(maker.batch(10))
        except AssertionError as failure:
            failures.append(failure)
        producer.close()

    threads = [threading.Thread(target=produce, args=(index,)) for index in range(PRODUCERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    proxy.close()
    assert failures == []
    assert server.stop() == 0
    struck = sum(count for fault, count in proxy.struck.items() if fault is not Fault.NONE)
    return ledger, Oracle(server.data_dir).verdict(ledger, others=own_call), struck


# Proves: P1, I1, I2, R11
def test_each_event_is_stored_once_however_often_it_is_sent(servers):
    ledger, verdict, struck = run(servers, FAULTS, seed=1)
    assert verdict.holds, verdict
    assert ledger.count(Outcome.ACKNOWLEDGED) == PRODUCERS * BATCHES * 10
    assert struck > PRODUCERS * BATCHES // 20
    record(
        "P1",
        runs=1,
        acks=verdict.acknowledged,
        lost=len(verdict.lost),
        duplicates=len(verdict.duplicates),
        figures={"answers lost or cut": struck},
    )
