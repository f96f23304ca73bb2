"""Real CloudTrail files, moved by whole days into the last 90, and the truth about them.

Only the dates inside eventTime change; every other byte stays. The truth is computed here, from
the same bytes, by the rules of the manual and not by the server's code.
"""

import gzip
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "corpus" / "real"
ACCOUNT = "123837392027"
DAYS_AGO = 10
EVENT_TIME = re.compile(rb'("eventTime":")2023-07-10(T)')


@dataclass(frozen=True)
class TrueEvent:
    """One event: its bytes as they lie in the file, and their meaning."""

    raw: bytes
    record: dict

    @property
    def event_id(self) -> str:
        """The event's identity."""
        return self.record["eventID"]

    @property
    def time(self) -> datetime:
        """When it happened."""
        moment = datetime.strptime(self.record["eventTime"], "%Y-%m-%dT%H:%M:%SZ")
        return moment.replace(tzinfo=timezone.utc)

    @property
    def user_name(self) -> str | None:
        """Who, as the event history shows it."""
        identity = self.record["userIdentity"]
        match identity.get("type"):
            case "Root":
                return "root"
            case "AssumedRole":
                return identity["arn"].rsplit("/", 1)[1]
            case _:
                return identity.get("userName")

    @property
    def access_key_id(self) -> str | None:
        """With which key."""
        return self.record["userIdentity"].get("accessKeyId") or None

    @property
    def resources(self) -> set[tuple[str | None, str]]:
        """What the record itself lists."""
        return {
            (resource.get("type"), resource.get("ARN") or resource.get("ARNPrefix"))
            for resource in self.record.get("resources") or []
        }


def read_file(data: bytes) -> list[TrueEvent]:
    """The events of one uncompressed log file, each with its exact bytes."""
    text = data.decode()
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    events = []
    while True:
        while text[position] in ", \n\r\t":
            position += 1
        if text[position] == "]":
            return events
        record, end = decoder.raw_decode(text, position)
        events.append(TrueEvent(text[position:end].encode(), record))
        position = end


def moved_corpus(folder: Path) -> list[TrueEvent]:
    """Write the moved files below `folder`, as a trail lays them out; returns the truth."""
    day = (datetime.now(timezone.utc) - timedelta(days=DAYS_AGO)).strftime("%Y-%m-%d").encode()
    events = []
    for source in sorted(FOLDER.glob("AWSLogs/**/*.json.gz")):
        data = EVENT_TIME.sub(rb"\g<1>" + day + rb"\g<2>", gzip.decompress(source.read_bytes()))
        target = folder / source.relative_to(FOLDER)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(data, mtime=0))
        events += read_file(data)
    return events
