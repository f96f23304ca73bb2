"""Calls to the server's own API as a load: changes of identities, sessions, lookups.

Each call carries a user agent of its own, which the server records, so that a call whose answer was
lost can still be found. Afterwards every answered call must have exactly one event, and the events
together must tell what the catalog holds: a user that exists was created once, in the record too.
"""

import http.client
import json
import random
import re
import sqlite3
import threading
import urllib.parse
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .raw_http import address
from .signature import Credentials, Request, Scope, amz_date, sign

TIMEOUT_SECONDS = 10.0
AGENT = "cairn-driver/"
#: Answers that leave open whether the call was made.
OPEN_STATUS = {429, 500, 503}
REQUEST_ID = re.compile(rb"<RequestId>([^<]+)</RequestId>")
MARK = re.compile(rb'"userAgent":"(' + AGENT.encode() + rb'[0-9a-f]+)"')
DOCUMENT = '{"Version":"2012-10-17","Statement":[]}'


@dataclass
class CallEntry:
    """One call, and what its caller was told. No status: no answer came."""

    name: str
    status: int | None = None
    request_id: str | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the answer says what happened."""
        return self.status is not None and self.status not in OPEN_STATUS


class CallLedger:
    """Calls by their mark; kept outside the server's disk."""

    def __init__(self):
        self.entries: dict[str, CallEntry] = {}
        self.lock = threading.Lock()

    def made(self, name: str) -> str:
        """Note a call before it leaves; returns its mark."""
        mark = AGENT + uuid.uuid4().hex
        with self.lock:
            self.entries[mark] = CallEntry(name)
        return mark

    def told(self, mark: str, status: int, request_id: str | None) -> None:
        """Note an answer."""
        with self.lock:
            self.entries[mark].status = status
            self.entries[mark].request_id = request_id

    def answered(self) -> set[str]:
        """The marks of calls that must be recorded."""
        with self.lock:
            return {mark for mark, entry in self.entries.items() if entry.is_answered}


class Caller:
    """One connection that makes marked calls, by a clock that may differ from the machine's."""

    clock_seconds = 0.0

    def __init__(self, endpoint: str, credentials: Credentials, ledger: CallLedger):
        self.host, self.port = address(endpoint)
        self.credentials = credentials
        self.ledger = ledger
        self.connection: http.client.HTTPConnection | None = None

    def query(self, service: str, action: str, **parameters: str) -> bytes | None:
        """A call in Query protocol; the body of its answer, or None."""
        version = {"iam": "2010-05-08", "sts": "2011-06-15"}[service]
        form = {"Action": action, "Version": version} | parameters
        kind = "application/x-www-form-urlencoded"
        return self.call(service, action, urllib.parse.urlencode(form).encode(), kind)

    def lookup(self, body: bytes = b'{"MaxResults":5}') -> bytes | None:
        """A LookupEvents."""
        kind = "application/x-amz-json-1.1"
        return self.call("cloudtrail", "LookupEvents", body, kind)

    def call(self, service: str, name: str, body: bytes, kind: str) -> bytes | None:
        """Sign, send and note; None when no answer came."""
        mark = self.ledger.made(name)
        headers = [("Host", f"{self.host}:{self.port}"), ("Content-Type", kind)]
        headers.append(("User-Agent", mark))
        if service == "cloudtrail":
            headers.append(("X-Amz-Target", f"CloudTrail_20131101.{name}"))
        now = datetime.now(timezone.utc) + timedelta(seconds=self.clock_seconds)
        request = Request("POST", "/", "", headers, body)
        sign(request, self.credentials, Scope(service=service), date=amz_date(now))
        sent = {key: value for key, value in request.headers if key != "Host"}
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    self.host, self.port, timeout=TIMEOUT_SECONDS
                )
            self.connection.request("POST", "/", body, sent)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        named = REQUEST_ID.search(text)
        request_id = answer.headers.get("x-amzn-requestid") or (named and named[1].decode())
        self.ledger.told(mark, answer.status, request_id)
        return text

    def close(self) -> None:
        """Drop the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


@dataclass
class CallDriver:
    """Several callers at once, each with users of its own."""

    endpoint: str
    credentials: Credentials
    ledger: CallLedger
    seed: int
    callers: int = 2
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> "CallDriver":
        """Begin to call."""
        for index in range(self.callers):
            thread = threading.Thread(target=self.live, args=(index,), daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def live(self, index: int) -> None:
        """One caller: lives of users until stopped. After a lost answer it begins another life."""
        choose = random.Random(self.seed * 100 + index)
        caller = Caller(self.endpoint, self.credentials, self.ledger)
        number = 0
        while not self.stopping.is_set():
            number += 1
            name = f"life-{self.seed}-{index}-{number}"
            for step in life(caller, name, choose):
                if step is None or self.stopping.is_set():
                    self.stopping.wait(0.01)
                    break
        caller.close()

    def stop(self) -> None:
        """End all callers."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(TIMEOUT_SECONDS + 5)
            assert not thread.is_alive(), "a caller hangs"


def life(caller: Caller, name: str, choose: random.Random):
    """The calls of one user's life, some of them refused on purpose; yields each answer."""
    yield caller.query("iam", "CreateUser", UserName=name)
    made = caller.query("iam", "CreateAccessKey", UserName=name)
    yield made
    key = re.search(rb"<AccessKeyId>([^<]+)</AccessKeyId>", made or b"")
    policy = {"UserName": name, "PolicyName": "p"}
    yield caller.query("iam", "PutUserPolicy", PolicyDocument=DOCUMENT, **policy)
    match choose.randrange(4):
        case 0:
            yield caller.query("sts", "GetCallerIdentity")
        case 1:
            yield caller.query("sts", "GetSessionToken")
        case 2:
            yield caller.lookup()
        case _:
            yield caller.query("iam", "CreateUser", UserName=name)  # exists: refused
    if key is None or choose.random() < 0.4:
        return
    chosen = {"UserName": name, "AccessKeyId": key[1].decode()}
    yield caller.query("iam", "UpdateAccessKey", Status="Inactive", **chosen)
    if choose.random() < 0.4:
        return
    yield caller.query("iam", "DeleteAccessKey", **chosen)
    yield caller.query("iam", "DeleteUserPolicy", **policy)
    yield caller.query("iam", "DeleteUser", UserName=name)


@dataclass
class Identities:
    """Users, their keys and whether each is active, their inline policies."""

    users: set[str] = field(default_factory=set)
    keys: dict[str, bool] = field(default_factory=dict)
    policies: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def stored(cls, catalog: Path) -> "Identities":
        """What the catalog's file holds of the driver's users."""
        connection = sqlite3.connect(catalog, timeout=30)
        ours = "kind = 'user' AND name LIKE 'life-%'"
        try:
            users = connection.execute(f"SELECT name FROM identities WHERE {ours}")
            found = cls(users={name for (name,) in users})
            keys = connection.execute(
                f"SELECT key_id, active FROM access_keys JOIN identities ON user_id = id AND {ours}"
            )
            found.keys = {key: bool(active) for key, active in keys}
            policies = connection.execute(
                "SELECT i.name, p.name FROM inline_policies AS p JOIN identities AS i"
                f" ON identity_id = id AND i.kind = 'user' AND i.name LIKE 'life-%'"
            )
            found.policies = set(policies)
            return found
        finally:
            connection.close()

    def follow(self, event: dict) -> str | None:
        """Make the change that an event tells of; a contradiction is returned."""
        wanted = event["requestParameters"] or {}
        user = wanted.get("userName")
        match event["eventName"]:
            case "CreateUser" if user in self.users:
                return f"{user} was created twice"
            case "CreateUser":
                self.users.add(user)
            case "DeleteUser" if user not in self.users:
                return f"{user} was deleted before it was created"
            case "DeleteUser":
                self.users.remove(user)
            case "CreateAccessKey":
                self.keys[event["responseElements"]["accessKey"]["accessKeyId"]] = True
            case "UpdateAccessKey":
                self.keys[wanted["accessKeyId"]] = wanted["status"] == "Active"
            case "DeleteAccessKey" if wanted["accessKeyId"] not in self.keys:
                return f"{wanted['accessKeyId']} was deleted before it was created"
            case "DeleteAccessKey":
                del self.keys[wanted["accessKeyId"]]
            case "PutUserPolicy":
                self.policies.add((user, wanted["policyName"]))
            case "DeleteUserPolicy":
                self.policies.discard((user, wanted["policyName"]))
        return None


def recorded_calls(stored) -> list[tuple[str, dict]]:
    """The events of marked calls, in the log's order."""
    found = []
    for event in sorted(stored, key=lambda event: event.sequence):
        mark = MARK.search(event.json)
        if mark:
            found.append((mark[1].decode(), json.loads(event.json)))
    return found


def call_problems(stored, ledger: CallLedger, answered: set[str], catalog: Path) -> list[str]:
    """R21: one event for each answered call, at most one for the others; events and catalog agree.

    `answered` are the calls that must be there; a power loss makes them fewer than the ledger's.
    """
    problems = []
    seen: dict[str, dict] = {}
    told = Identities()
    for mark, event in recorded_calls(stored):
        entry = ledger.entries.get(mark)
        if entry is None:
            problems.append(f"{event['eventName']} {mark} was never called")
            continue
        if mark in seen:
            problems.append(f"{entry.name} {mark} is recorded twice")
            continue
        seen[mark] = event
        if mark in answered:
            if entry.request_id is not None and event["requestID"] != entry.request_id:
                problems.append(f"{entry.name} {mark} is recorded under another request ID")
            if ("errorCode" in event) != (entry.status >= 400):
                problems.append(f"{entry.name} {mark} answered {entry.status}, recorded {event}")
        if "errorCode" not in event:
            problem = told.follow(event)
            if problem:
                problems.append(problem)
    problems += [
        f"{ledger.entries[mark].name} {mark} was answered, not recorded"
        for mark in sorted(answered - set(seen))
    ]
    held = Identities.stored(catalog)
    for what in ("users", "keys", "policies"):
        in_catalog, in_events = getattr(held, what), getattr(told, what)
        if in_catalog != in_events:
            names = {*in_catalog, *in_events}
            odd = [name for name in names if differs(in_catalog, in_events, name)]
            problems.append(f"catalog and events disagree about {what}: {sorted(odd, key=str)[:5]}")
    return problems


def differs(left, right, name) -> bool:
    """Whether two collections disagree about a member."""
    if isinstance(left, dict):
        return left.get(name) != right.get(name)
    return (name in left) != (name in right)
