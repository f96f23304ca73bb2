"""One JSON line per fault run, from which docs/reliability.md is made."""

import json
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[2]


def results_path() -> Path:
    """Where lines go: outside the tree, unless the full amounts run."""
    default = (
        ROOT / "docs" / "reliability-results.jsonl"
        if os.environ.get("CAIRN_AMOUNTS")
        else ROOT / ".results" / "reliability.jsonl"
    )
    return Path(os.environ.get("CAIRN_RESULTS", default))


def record(test: str, **values) -> None:
    """Append one run's result. `figures` holds what the table shows beside the counts."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    line = {
        "test": test,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit,
        **values,
    }
    path = results_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as results:
        results.write(json.dumps(line) + "\n")


def first_seed() -> int:
    """Where seeds begin, so that the parts of a full amount differ: `CAIRN_SEED_BASE`."""
    return int(os.environ.get("CAIRN_SEED_BASE", "0"))


def amount(usual: int, full: int) -> int:
    """How many runs: few in every build, the plan's number (`full`) or a share of it (`30%`)."""
    wanted = os.environ.get("CAIRN_AMOUNTS", "")
    if wanted.endswith("%"):
        return max(usual, full * int(wanted[:-1]) // 100)
    return full if wanted == "full" else usual
