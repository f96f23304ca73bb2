"""Producers: signed batches to the ingest door, every answer noted in the ledger."""

import gzip
import http.client
import json
import threading
from dataclasses import dataclass, field

from .events import EventMaker
from .ledger import Ledger, Outcome
from .raw_http import address
from .signature import Credentials, Request, Scope, sign

SCOPE = Scope(service="cloudtrail-data")
TIMEOUT_SECONDS = 10.0
RETRYABLE = {"ThrottlingException", "ServiceUnavailable", "ServiceUnavailableException"}


def batch_request(
    endpoint: str, credentials: Credentials, events: list[bytes], *, compress: bool = False
) -> Request:
    """A signed POST /events with the events as lines."""
    host, port = address(endpoint)
    body = b"\n".join(events) + b"\n"
    headers = [("Host", f"{host}:{port}"), ("Content-Type", "application/x-ndjson")]
    if compress:
        body = gzip.compress(body, compresslevel=1)
        headers.append(("Content-Encoding", "gzip"))
    return sign(Request("POST", "/events", "", headers, body), credentials, SCOPE)


@dataclass
class BatchAnswer:
    """A door's answer: status, the counts, and the error code of a call that failed as a whole."""

    status: int
    document: dict

    @property
    def refused(self) -> list[dict]:
        """The events that were refused, with their index."""
        return self.document.get("refused", [])


class Producer:
    """One connection to the door. A lost answer leaves the batch unknown; it is then sent again if
    `retry` says so, as a real producer does."""

    def __init__(self, endpoint: str, credentials: Credentials, ledger: Ledger):
        self.endpoint = endpoint
        self.credentials = credentials
        self.ledger = ledger
        self.connection: http.client.HTTPConnection | None = None

    def send(self, events: list[bytes]) -> BatchAnswer | None:
        """Send one batch once; None when no answer came."""
        identifiers = self.ledger.sent(events)
        request = batch_request(self.endpoint, self.credentials, events)
        try:
            answer = self.exchange(request)
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        if answer.status in (200, 400) and "accepted" in answer.document:
            refused = {entry["index"] for entry in answer.refused}
            accepted = [
                name for index, name in enumerate(identifiers) if index not in refused
            ]
            self.ledger.settle(accepted, Outcome.ACKNOWLEDGED)
            self.ledger.settle([identifiers[index] for index in refused], Outcome.REFUSED)
        else:
            self.ledger.settle(identifiers, Outcome.REFUSED)
        return answer

    def exchange_events(self, events: list[bytes]) -> BatchAnswer:
        """Send one batch that the ledger shall not know."""
        return self.exchange(batch_request(self.endpoint, self.credentials, events))

    def exchange(self, request: Request) -> BatchAnswer:
        """Send a prepared request on the kept connection."""
        if self.connection is None:
            host, port = address(self.endpoint)
            self.connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        headers = {name: value for name, value in request.headers if name != "Host"}
        self.connection.request(request.method, request.target, request.body, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        document = json.loads(body) if body[:1] == b"{" else {}
        return BatchAnswer(answer.status, document)

    def send_until_answered(self, events: list[bytes], attempts: int = 20) -> BatchAnswer:
        """Repeat the same batch until an answer comes."""
        for _ in range(attempts):
            answer = self.send(events)
            if answer is not None and answer.status < 500:
                return answer
        raise AssertionError(f"no answer in {attempts} attempts")

    def close(self) -> None:
        """Drop the connection, whatever state it is in."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass
class Driver:
    """Several producers at once, until told to stop or until the server no longer answers."""

    endpoint: str
    credentials: Credentials
    ledger: Ledger
    seed: int
    producers: int = 8
    batch_events: int = 20
    #: Between two batches of a producer.
    pause_seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def start(self) -> "Driver":
        """Begin to send."""
        for index in range(self.producers):
            thread = threading.Thread(target=self.produce, args=(index,), daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def produce(self, index: int) -> None:
        """One producer's loop. Each failure is a modelled answer or a lost connection (I10)."""
        maker = EventMaker(self.seed * 1000 + index)
        producer = Producer(self.endpoint, self.credentials, self.ledger)
        while not self.stopping.is_set():
            answer = producer.send(maker.batch(self.batch_events))
            if answer is None:
                self.stopping.wait(0.01)
            elif answer.status != 200 and answer.status not in (429, 503):
                self.unexpected.append(f"{answer.status} {answer.document}")
            if self.pause_seconds:
                self.stopping.wait(self.pause_seconds)
        producer.close()

    def stop(self) -> None:
        """End all producers; those that wait for a dead server give up by themselves."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(TIMEOUT_SECONDS + 5)
            assert not thread.is_alive(), "a producer hangs"
