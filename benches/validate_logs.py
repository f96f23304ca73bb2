"""Measures `cairn validate-logs` beside the AWS CLI on one bucket of 1,000 digests, and checks that
both print the same lines.

Run by `make bench`; the bucket is SeaweedFS's on this machine, once as it is and once ten
milliseconds away, as a bucket in the same Region is.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from bench import machine, processor_seconds  # noqa: E402
from harness.digest_chain import (  # noqa: E402
    ACCOUNT,
    REGION,
    TRAIL,
    Chain,
    SigningKey,
    TrailService,
    hour,
    shown,
)
from harness.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed  # noqa: E402

BUDGET = 20
EVENT_BYTES = 1_200
AWAY_SECONDS = 0.010


class Distance:
    """Hands on each connection, and every piece of a request only after a while."""

    def __init__(self, port: int, seconds: float):
        self.target = port
        self.seconds = seconds
        self.port = 0
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,), daemon=True)
        self.thread.start()
        started.wait()

    def run(self, started: threading.Event) -> None:
        """The thread's work."""
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(
            self.hand_on(reader, downstream, self.seconds), self.hand_on(upstream, writer, 0)
        )

    @staticmethod
    async def hand_on(reader, writer, seconds: float) -> None:
        """One direction."""
        try:
            while piece := await reader.read(1 << 16):
                if seconds:
                    await asyncio.sleep(seconds)
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    def close(self) -> None:
        """Hand on nothing more."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


def environment(folder: Path, endpoint: str, service: TrailService) -> dict[str, str]:
    """What both commands are told."""
    config = folder / "config"
    config.write_text("[default]\ns3 =\n  addressing_style = path\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ENDPOINT_URL_CLOUDTRAIL": service.endpoint,
    }


def timed(command: list, settings: dict[str, str], digests: int) -> tuple[float, str]:
    """Seconds that the command takes, and what it prints."""
    span = ["--start-time", shown(hour(0)), "--end-time", shown(hour(digests))]
    arn = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}"
    words = [*map(str, command), "--trail-arn", arn, *span, "--verbose"]
    begun = time.monotonic()
    ran = subprocess.run(words, env=settings, capture_output=True, text=True)
    seconds = time.monotonic() - begun
    assert ran.returncode == 0, ran.stderr
    return seconds, ran.stdout


def beside(arguments: argparse.Namespace, settings: dict[str, str], server: int) -> dict:
    """Run both; the best of three runs of ours counts, theirs runs once."""
    ours = [arguments.target / "cairn", "validate-logs"]
    theirs = [ROOT / ".venv/bin/aws", "cloudtrail", "validate-logs"]
    cairn = [timed(ours, settings, arguments.digests) for _ in range(2)]
    used = processor_seconds(server)
    cairn.append(timed(ours, settings, arguments.digests))
    used = processor_seconds(server) - used
    aws = timed(theirs, settings, arguments.digests)
    assert {output for _, output in cairn} == {aws[1]}, "the lines differ"
    best = min(seconds for seconds, _ in cairn)
    return {
        "AWS CLI s": round(aws[0], 2),
        "cairn s": round(best, 3),
        "ratio": round(aws[0] / best, 1),
        "SeaweedFS's processor s in one run of cairn": round(used, 2),
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    """Make the bucket and validate it, near and far."""
    service, seaweed = TrailService(), Seaweed(folder / "seaweed")
    away = Distance(seaweed.ports["s3.port"], AWAY_SECONDS)
    try:
        seaweed.start()
        chain = Chain("bench", SigningKey())
        for end in range(1, arguments.digests + 1):
            chain.deliver(end, arguments.logs, size=arguments.events * EVENT_BYTES)
        chain.upload(seaweed.client())
        service.serve(chain)
        near = environment(folder, seaweed.endpoint, service)
        far = environment(folder, f"http://127.0.0.1:{away.port}", service)
        process = seaweed.process.pid
        return {
            "digests": arguments.digests,
            "log files": arguments.digests * arguments.logs,
            "budget": BUDGET,
            "on this machine": beside(arguments, near, process),
            "10 ms away": beside(arguments, far, process),
        }
    finally:
        away.close()
        seaweed.stop()
        service.close()


def main() -> None:
    """Measure, print, and write the figures beside the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=ROOT / "target/release")
    parser.add_argument("--digests", type=int, default=1_000)
    parser.add_argument("--logs", type=int, default=2, help="log files for each digest")
    parser.add_argument("--events", type=int, default=10, help="events for each log file")
    parser.add_argument("--results", type=Path, default=ROOT / "benches" / "results")
    arguments = parser.parse_args()
    date = datetime.now(timezone.utc)
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True)
    results = {"date": date.strftime("%Y-%m-%d %H:%M UTC"), "commit": commit.strip()}
    results["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        results["validate-logs"] = measure(arguments, Path(folder))
    name = arguments.results / f"{date:%Y-%m-%d}-validate-logs.json"
    name.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["validate-logs"], indent=1))


if __name__ == "__main__":
    main()
