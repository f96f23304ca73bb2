"""Reads events from the files of the event log, where their JSON stands verbatim.

For own events that nothing selects: they are in no table.
"""

import json
from pathlib import Path

#: How an event of Cairn's own begins.
BEGINNING = '{"eventVersion":"1.11","userIdentity":'


def logged_events(data_dir: Path, source: str, name: str | None = None) -> list[dict]:
    """Events of one source that begin as own ones do, in the log's order. The server may run."""
    decoder = json.JSONDecoder()
    found = []
    for path in sorted((data_dir / "log").glob("*.segment")):
        text = path.read_bytes().decode("utf-8", "replace")
        start = text.find(BEGINNING)
        while start >= 0:
            try:
                event, end = decoder.raw_decode(text, start)
            except ValueError:  # a write that was cut off
                start = text.find(BEGINNING, start + 1)
                continue
            if event["eventSource"] == source and name in (None, event["eventName"]):
                found.append(event)
            start = text.find(BEGINNING, end)
    return found
