"""The example records of every kind, moved to the present."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .events import encode, timestamp

FOLDER = Path(__file__).parents[1] / "corpus" / "examples"


class Example:
    """A record as it is sent, and what Cairn must understand of it."""

    def __init__(self, file: str, expected: dict):
        self.name = f"{file}: {expected['name']}"
        self.record_class: str = expected["class"]
        self.user_name: str | None = expected.get("userName")
        self.access_key_id: str | None = expected.get("accessKeyId")
        self.resources = {tuple(resource) for resource in expected.get("resources", [])}
        self.record: dict = expected["event"]

    @property
    def raw(self) -> bytes:
        """The bytes that are sent and must come back."""
        return encode(self.record)

    @property
    def event_id(self) -> str:
        """The event's identity."""
        return self.record["eventID"]


def load(*files: str) -> list[Example]:
    """The examples of these files, each a second older than the one before."""
    moment = datetime.now(timezone.utc) - timedelta(hours=1)
    examples = []
    for file in files:
        for expected in json.loads((FOLDER / f"{file}.json").read_text()):
            example = Example(file, expected)
            example.record["eventTime"] = timestamp(moment - timedelta(seconds=len(examples)))
            examples.append(example)
    return examples
