"""The same work by engines that people would otherwise use, in the same run on the same machine."""

import json
import sqlite3
import statistics
import time
from itertools import islice
from pathlib import Path

import duckdb

#: The hidden column behind each attribute, and how a value is compared with it.
CONDITIONS = {
    "none": "true",
    "EventId": "eventid = $value",
    "EventName": "eventname = $value",
    "EventSource": "eventsource = $value",
    "ReadOnly": "readonly = ($value = 'true')",
    "Username": "_lookup_user = $value",
    "AccessKeyId": "_access_key = $value",
    "ResourceName": "list_contains(_resource_names, $value)",
    "ResourceType": "list_contains(_resource_types, $value)",
}
REGION = "us-east-1"
QUESTIONS_MAX = 20
BATCH = 500


def lookups(files: list[Path], asked: Path) -> dict:
    """DuckDB answering the questions over the data files that Cairn wrote."""
    database = duckdb.connect()
    paths = ", ".join(f"'{path}'" for path in files)
    questions: dict[str, list[str]] = {name: [] for name in CONDITIONS}
    for line in asked.open():
        question = json.loads(line)
        pairs = question["parameters"].get("LookupAttributes") or [{"AttributeValue": ""}]
        questions[question["attribute"]].append(pairs[0]["AttributeValue"])
    figures = {}
    for attribute, values in questions.items():
        condition = CONDITIONS[attribute]
        sql = (
            f"select eventjson from read_parquet([{paths}]) where awsregion = '{REGION}'"
            f" and {condition} order by eventtime desc, _sequence desc limit 50"
        )
        took = []
        for value in values[:QUESTIONS_MAX]:
            parameters = {"value": value} if "$value" in condition else {}
            began = time.perf_counter()
            database.execute(sql, parameters).fetchall()
            took.append((time.perf_counter() - began) * 1000)
        took.sort()
        figures[attribute] = {
            "p50_ms": round(statistics.median(took), 2),
            "max_ms": round(took[-1], 2),
            "lookups": len(took),
        }
    return figures


def ingest(work: Path, lines: Path, seconds: float) -> dict:
    """Durable commits of the same batches by embedded databases, without HTTP, in one thread."""
    with lines.open() as file:
        batch = [(line,) for line in islice(file, BATCH)]
    folder = work / "peers"
    folder.mkdir(exist_ok=True)
    light = sqlite3.connect(folder / "events.sqlite", isolation_level=None)
    light.execute("pragma journal_mode = wal")
    light.execute("pragma synchronous = full")
    light.execute("create table if not exists events (json text)")

    def commit_light() -> None:
        light.execute("begin immediate")
        light.executemany("insert into events values (?)", batch)
        light.execute("commit")

    duck = duckdb.connect(str(folder / "events.duckdb"))
    duck.execute("create table if not exists events (json varchar)")
    texts = [line for (line,) in batch]

    def commit_duck() -> None:
        duck.execute("insert into events select unnest($texts)", {"texts": texts})

    figures = {}
    for name, commit in (("SQLite", commit_light), ("DuckDB", commit_duck)):
        commits, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            commit()
            commits += 1
        figures[name] = round(commits * BATCH / (time.perf_counter() - began))
    light.close()
    duck.close()
    for path in folder.iterdir():
        path.unlink()
    return figures
