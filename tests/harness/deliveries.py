"""Says of a trail that has stopped whether its log files and digests tell the ledger's story.

Invariants I3 and I6 and rules R14 and R16 of the reliability register. Objects are read through
S3; the bucket keeps versions, so that a key that was put twice shows.
"""

import gzip
import itertools
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from .events import encode
from .ledger import Ledger, content_hash
from .trails import HOME, Journey

#: Whose events a server adds by itself: no ledger knows them.
OWN_SOURCES = {f"{service}.amazonaws.com" for service in ("cloudtrail", "iam", "s3", "sts")}


@dataclass
class DeliveryVerdict:
    """The comparison's result. `problems` says of files and digests what is wrong with them."""

    acknowledged: int = 0
    files: int = 0
    digests: int = 0
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    put_twice: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing at all is wrong."""
        wrong_events = self.lost or self.duplicates or self.altered or self.unsent
        return not (wrong_events or self.put_twice or self.problems)

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.files} files, {self.digests} digests, "
            f"{len(self.lost)} lost, {len(self.duplicates)} duplicates, "
            f"{len(self.altered)} altered, {len(self.unsent)} never sent, "
            f"put twice {self.put_twice[:5]}, problems {self.problems[:5]}"
        )


def is_settled(server) -> bool:
    """Whether no file waits for its bucket and no chain for its last digest."""
    catalog = sqlite3.connect(server.data_dir / "catalog.sqlite", timeout=30)
    try:
        waiting = "SELECT (SELECT count(*) FROM trail_files) + (SELECT count(*) FROM digest_chains)"
        return catalog.execute(waiting).fetchone() == (0,)
    finally:
        catalog.close()


def judge(journey: Journey, bucket: str, ledger: Ledger) -> DeliveryVerdict:
    """Everything but what `aws cloudtrail validate-logs` says."""
    verdict = DeliveryVerdict()
    judge_events(verdict, journey.records(bucket), ledger)
    judge_versions(verdict, journey, bucket)
    judge_digests(verdict, journey, bucket)
    return verdict


def judge_events(verdict: DeliveryVerdict, records: list[dict], ledger: Ledger) -> None:
    """Each acknowledged event is in one log file, once, as it was sent (I3)."""
    acknowledged = ledger.acknowledged()
    verdict.acknowledged = len(acknowledged)
    counts = Counter(record["eventID"] for record in records)
    verdict.lost = [name for name in acknowledged if name not in counts]
    verdict.duplicates = [name for name, count in counts.items() if count > 1]
    for record in records:
        sent = ledger.entries.get(record["eventID"])
        if sent is None:
            if record["eventSource"] not in OWN_SOURCES:
                verdict.unsent.append(record["eventID"])
        elif sent.content_hash != content_hash(encode(record)):
            verdict.altered.append(record["eventID"])


def judge_versions(verdict: DeliveryVerdict, journey: Journey, bucket: str) -> None:
    """A key was put with one content, once (R14)."""
    pages = journey.store.get_paginator("list_object_versions").paginate(Bucket=bucket)
    versions = Counter(entry["Key"] for page in pages for entry in page.get("Versions", []))
    verdict.put_twice = [key for key, count in versions.items() if count > 1]


def judge_digests(verdict: DeliveryVerdict, journey: Journey, bucket: str) -> None:
    """Reads the digests of the home Region, and judges them with the log files that there are."""
    digests = {}
    for key in journey.objects(bucket, f"/CloudTrail-Digest/{HOME}/"):
        body = journey.store.get_object(Bucket=bucket, Key=key)["Body"].read()
        digests[key] = json.loads(gzip.decompress(body))
    files = journey.objects(bucket, "/CloudTrail/")
    verdict.files, verdict.digests = len(files), len(digests)
    verdict.problems += listing_problems(digests, files) + chain_problems(digests)


def listing_problems(digests: dict[str, dict], files: list[str]) -> list[str]:
    """Each log file is in one digest, and nothing else is (I6)."""
    problems = []
    entries = (entry for digest in digests.values() for entry in digest["logFiles"])
    listed = Counter(entry["s3Object"] for entry in entries)
    for key in sorted(set(files) | set(listed)):
        if key not in listed:
            problems.append(f"no digest lists {key}")
        elif listed[key] > 1:
            problems.append(f"{listed[key]} times listed: {key}")
        if key not in files:
            problems.append(f"the bucket lacks {key}")
    return problems


def chain_problems(digests: dict[str, dict]) -> list[str]:
    """One chain from its first digest on, whose windows neither overlap nor leave a gap (R16)."""
    # Times are written so that texts sort as times do.
    chain = sorted(
        digests.items(), key=lambda named: (named[1]["digestStartTime"], named[1]["digestEndTime"])
    )
    if not chain or chain[0][1]["previousDigestS3Object"] is not None:
        return ["the first digest of the chain is not there"]
    problems = []
    for (before, earlier), (key, digest) in itertools.pairwise(chain):
        if digest["digestStartTime"] < earlier["digestEndTime"]:
            problems.append(f"a window is signed twice: {before} and {key}")
        if digest["digestStartTime"] > earlier["digestEndTime"]:
            problems.append(f"a window is not signed: between {before} and {key}")
        if digest["previousDigestS3Object"] != before:
            problems.append(f"{key} does not follow {before}")
    return problems
