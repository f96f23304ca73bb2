"""What producers sent and what they were told, kept outside the server's disk."""

import enum
import hashlib
import json
import threading
from dataclasses import dataclass


class Outcome(enum.Enum):
    """What the producer knows about an event."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass
class Entry:
    """One event: the hash of its bytes, and the best that is known of its fate."""

    content_hash: str
    outcome: Outcome = Outcome.UNKNOWN


def content_hash(event: bytes) -> str:
    """What both sides of the comparison hash: the canonical JSON's bytes."""
    return hashlib.sha256(event).hexdigest()


class Ledger:
    """Thread-safe record of events by ID."""

    def __init__(self):
        self.entries: dict[str, Entry] = {}
        self.lock = threading.Lock()

    def sent(self, events: list[bytes]) -> list[str]:
        """Note events before their bytes leave; returns their IDs."""
        identifiers = [json.loads(event)["eventID"] for event in events]
        with self.lock:
            for identifier, event in zip(identifiers, events, strict=True):
                self.entries.setdefault(identifier, Entry(content_hash(event)))
        return identifiers

    def settle(self, identifiers: list[str], outcome: Outcome) -> None:
        """Note an answer. An acknowledgement is never taken back."""
        with self.lock:
            for identifier in identifiers:
                entry = self.entries[identifier]
                if entry.outcome is not Outcome.ACKNOWLEDGED:
                    entry.outcome = outcome

    def count(self, outcome: Outcome) -> int:
        """How many events have this outcome."""
        with self.lock:
            return sum(entry.outcome is outcome for entry in self.entries.values())

    def acknowledged(self) -> dict[str, str]:
        """IDs and hashes of the events that must be there."""
        with self.lock:
            return {
                identifier: entry.content_hash
                for identifier, entry in self.entries.items()
                if entry.outcome is Outcome.ACKNOWLEDGED
            }
