"""Measures Cairn against its budgets and writes the figures with the machine's name.

Run by `make bench`: a release server on an empty folder, a corpus of 1 million events (with FULL=1
also 10 million), then durable ingest for a minute, how soon acknowledged events show while others
come in, and lookups by every attribute, each beside what other engines take for the same work.
"""

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import peers  # noqa: E402
from harness.server import ACCOUNT, Server, Settings  # noqa: E402
from harness.trails import bucket_policy  # noqa: E402

BUDGETS = {
    "ingest events/s": 100_000,
    "lookup p99 ms": 50,
    "sustained events/s": 40_000,
    "delivered events/s": 40_000,
    "visible p99 ms": 2_000,
    "memory MB": 1_024,
    "idle memory MB": 150,
    "start to ready s": 1,
    "ready after a crash, s per GB of log": 5,
    "binary MB": 120,
}
# As often as in production for the load that a minute brings: six cuts a minute, one digest.
DELIVERY_TIMES = {
    "CAIRN_TRAILS_DELIVERY_INTERVAL": "10s",
    "CAIRN_TRAILS_DIGEST_INTERVAL": "60s",
}
ATTRIBUTES = (
    "none",
    "EventId",
    "EventName",
    "EventSource",
    "ReadOnly",
    "Username",
    "AccessKeyId",
    "ResourceName",
    "ResourceType",
)


def machine() -> dict:
    """What the figures were measured on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "memory GB": round(memory / 2**30),
        "system": platform.platform(),
        "load before": os.getloadavg()[0],
    }


def make_corpus(work: Path, events: int) -> Path:
    """A deterministic corpus as lines; made once for each size."""
    lines = work / f"events-{events}.ndjson"
    if lines.exists():
        return lines
    end = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    scratch = work / "scratch"
    command = [
        sys.executable,
        ROOT / "benches/tools/gen_corpus.py",
        scratch,
        "--events",
        str(events),
        "--days",
        "60",
        "--accounts",
        "1",
        "--data-share",
        "0",
        "--end",
        end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "--ndjson",
        lines,
    ]
    subprocess.run(command, check=True)
    shutil.rmtree(scratch)
    return lines


def corpus_account(lines: Path) -> str:
    """The account that the corpus is of."""
    with lines.open() as file:
        return json.loads(next(file))["recipientAccountId"]


def start(binary: Path, folder: Path, account: str, **environment: str) -> Server:
    """A release server on a new folder."""
    limits = {
        "CAIRN_ACCOUNT_DEFAULT_ID": account,
        "CAIRN_API_REQUESTS_PER_SECOND": "100000",
        "CAIRN_API_REQUESTS_BURST": "100000",
        "CAIRN_LOOKUP_REQUESTS_PER_SECOND": "100000",
        "CAIRN_INGEST_REQUESTS_PER_SECOND": "100000",
        "CAIRN_INGEST_REQUESTS_BURST": "100000",
    }
    return Server(Settings(binary, folder, environment=limits | environment)).start()


def run_load(arguments: argparse.Namespace, server: Server, *words: str) -> dict:
    """The load generator's figures."""
    command = [
        arguments.target / "examples" / "load",
        *words,
        "--endpoint",
        f"127.0.0.1:{server.port}",
        "--credentials",
        server.data_dir / "credentials",
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise SystemExit(f"{finished.stdout}{finished.stderr}\n{server.log_tail()}")
    return json.loads(finished.stdout)


def measure_ingest(arguments: argparse.Namespace, work: Path, lines: Path) -> dict:
    """A burst of durable ingest, then a restart on what it left in the log."""
    folder = work / "ingest"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    server = start(arguments.target / "cairn", folder, corpus_account(lines))
    ready = time.monotonic() - began
    time.sleep(2)
    idle = server.resident_bytes()
    seconds = str(arguments.seconds)
    figures = run_load(
        arguments, server, "ingest", "--events", lines, "--seconds", seconds, "--batch", "500"
    )
    figures["server memory after MB"] = server.resident_bytes() >> 20
    figures["peak memory MB"] = peak_bytes(server) >> 20
    server.kill()
    log_bytes = sum(
        path.stat().st_size for path in (folder / "log").rglob("*") if path.is_file()
    )
    figures["log left by the crash MB"] = log_bytes >> 20
    figures["ready after the crash s"] = round(server.restart(), 2)
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "start to ready s": round(ready, 2),
        "idle memory MB": idle >> 20,
        "ingest": figures,
    }


def measure_visibility(arguments: argparse.Namespace, work: Path, lines: Path) -> dict:
    """Rates that event history is to keep up with: how far it lags, how soon an event shows."""
    by_rate = {}
    for rate in arguments.rates:
        folder = work / "visibility"
        shutil.rmtree(folder, ignore_errors=True)
        server = start(arguments.target / "cairn", folder, corpus_account(lines))
        seconds = str(arguments.sustained_seconds)
        words = ["visibility", "--events", lines, "--seconds", seconds, "--rate", str(rate)]
        figures = run_load(arguments, server, *words, "--times", "now")
        lag = server.metrics()['cairn_log_reader_lag{reader="lake-visible"}']
        figures["lag after events"] = int(lag)
        figures["peak memory MB"] = peak_bytes(server) >> 20
        server.kill()
        log_bytes = sum(path.stat().st_size for path in (folder / "log").iterdir())
        figures["log left by the crash MB"] = log_bytes >> 20
        figures["ready after the crash s"] = round(server.restart(), 2)
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
        by_rate[str(rate)] = figures
    return by_rate


def measure_delivery(arguments: argparse.Namespace, work: Path, lines: Path) -> dict:
    """Ack, history and one trail's signed log files at the rate of the budget; without the trail
    beside it, so that the difference is what the trail costs."""
    measured = {}
    for kind in ("without a trail", "with a trail"):
        folder = work / "delivery"
        shutil.rmtree(folder, ignore_errors=True)
        account = corpus_account(lines)
        server = start(arguments.target / "cairn", folder, account, **DELIVERY_TIMES)
        if kind == "with a trail":
            make_trail(server, account)
        used = processor_seconds(server.process.pid)
        seconds = str(arguments.delivery_seconds)
        words = ["visibility", "--events", lines, "--seconds", seconds]
        words += ["--rate", str(BUDGETS["delivered events/s"]), "--times", "now"]
        figures = run_load(arguments, server, *words)
        metrics = server.metrics()
        for reader in ("lake-visible", "trails"):
            lag = metrics[f'cairn_log_reader_lag{{reader="{reader}"}}']
            figures[f"{reader} lag after events"] = int(lag)
        began = time.monotonic()
        while is_behind(server.metrics()) and time.monotonic() < began + 300:
            time.sleep(0.5)
        figures["caught up after s"] = round(time.monotonic() - began, 1)
        used = processor_seconds(server.process.pid) - used
        figures["processor s per million events"] = round(
            used * 1e6 / figures["accepted_events"], 1
        )
        metrics = server.metrics()
        figures["delivered events"] = int(metrics["cairn_trails_events"])
        figures["log files and digests"] = int(metrics["cairn_trails_delivered"])
        figures["lost events"] = int(metrics["cairn_trails_events_lost"])
        figures["peak memory MB"] = peak_bytes(server) >> 20
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
        measured[kind] = figures
    return measured


def make_trail(server: Server, account: str) -> None:
    """One trail over all Regions, with digests, into the embedded endpoint."""
    arn = f"arn:aws:cloudtrail:us-east-1:{account}:trail/bench"
    store, trails = server.client("s3"), server.client("cloudtrail")
    store.create_bucket(Bucket="bench-logs")
    store.put_bucket_policy(
        Bucket="bench-logs", Policy=bucket_policy("bench-logs", arn).replace(ACCOUNT, account)
    )
    trails.create_trail(
        Name="bench",
        S3BucketName="bench-logs",
        IsMultiRegionTrail=True,
        EnableLogFileValidation=True,
    )
    trails.start_logging(Name="bench")


def is_behind(metrics: dict) -> bool:
    """Whether a reader has something to do yet."""
    return bool(
        metrics['cairn_log_reader_lag{reader="lake-visible"}']
        or metrics['cairn_log_reader_lag{reader="trails"}']
        or metrics["cairn_trails_waiting_files"]
    )


def processor_seconds(process: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(server: Server) -> int:
    """The most memory that the process has held."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def questions(lines: Path, path: Path) -> None:
    """Questions of every attribute, drawn from the corpus itself."""
    choose = random.Random(1)
    values: dict[str, set[str]] = {name: set() for name in ATTRIBUTES if name != "none"}
    with lines.open() as file:
        for line in file:
            if choose.random() > 0.002:
                continue
            event = json.loads(line)
            identity = event["userIdentity"]
            values["EventId"].add(event["eventID"])
            values["EventName"].add(event["eventName"])
            values["EventSource"].add(event["eventSource"])
            values["ReadOnly"].add("true" if event["readOnly"] else "false")
            if identity.get("userName"):
                values["Username"].add(identity["userName"])
            if identity.get("accessKeyId"):
                values["AccessKeyId"].add(identity["accessKeyId"])
            for resource in event.get("resources") or []:
                values["ResourceName"].add(resource["ARN"])
                values["ResourceType"].add(resource["type"])
    with path.open("w") as file:
        for attribute in ATTRIBUTES:
            drawn = sorted(values.get(attribute, set())) or [""]
            for value in choose.sample(drawn, min(len(drawn), 50)):
                parameters: dict = {"MaxResults": 50}
                if attribute != "none":
                    pair = {"AttributeKey": attribute, "AttributeValue": value}
                    parameters["LookupAttributes"] = [pair]
                question = {"attribute": attribute, "parameters": parameters}
                file.write(json.dumps(question) + "\n")


def measure_lookups(arguments: argparse.Namespace, work: Path, lines: Path) -> dict:
    """Fill a server with the corpus, let the tables settle, then ask."""
    folder = work / "lookup"
    shutil.rmtree(folder, ignore_errors=True)
    fast_upkeep = {"CAIRN_LAKE_MAINTENANCE_INTERVAL": "10s", "CAIRN_LOG_LEVEL": "warn"}
    server = start(arguments.target / "cairn", folder, corpus_account(lines), **fast_upkeep)
    began = time.monotonic()
    command = [arguments.target / "cairn", "ingest", "--endpoint", server.endpoint, lines]
    environment = server.aws_environment()
    # The client leaves its checkpoint where it runs; another run must not go on from it.
    client = work / "client"
    shutil.rmtree(client, ignore_errors=True)
    client.mkdir()
    subprocess.run(
        command, env=environment, check=True, stdout=subprocess.DEVNULL, cwd=client
    )
    filled = time.monotonic() - began
    settle(server)
    settled = time.monotonic() - began
    asked = work / "questions.ndjson"
    questions(lines, asked)
    run_load(arguments, server, "lookup", "--questions", asked, "--repeat", "20")
    figures = run_load(arguments, server, "lookup", "--questions", asked, "--repeat", "300")
    memory, peak = server.resident_bytes() >> 20, peak_bytes(server) >> 20
    files = sorted((folder / "lake" / "event-history").rglob("*.parquet"))
    other = peers.lookups(files, asked)
    on_disk = sum(path.stat().st_size for path in (folder / "lake").rglob("*") if path.is_file())
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "cairn ingest s": round(filled, 1),
        "settled s": round(settled, 1),
        "memory MB": memory,
        "peak memory MB": peak,
        "data files": len(files),
        "lake MB": on_disk >> 20,
        "json MB": lines.stat().st_size >> 20,
        "lookups": figures,
        "DuckDB": other,
    }


def settle(server: Server, seconds: float = 600) -> None:
    """Wait until the readers have caught up and files stop changing."""
    deadline = time.monotonic() + seconds
    before, calm = None, 0
    while calm < 4 and time.monotonic() < deadline:
        time.sleep(10)
        now = sorted(path.name for path in (server.data_dir / "lake").rglob("*.parquet"))
        calm = calm + 1 if now == before else 0
        before = now


def report(results: dict) -> str:
    """The page beside the figures."""
    lines = [
        f"# Benchmarks of {results['date']}",
        "",
        f"Commit {results['commit']}, release build. Machine: "
        + ", ".join(f"{name} {value}" for name, value in results["machine"].items())
        + ".",
        "",
        "| what | measured | budget |",
        "| --- | ---: | ---: |",
    ]
    ingest = results["ingest"]["ingest"]
    measured = {
        "ingest events/s": ingest["events_per_second"],
        "idle memory MB": results["ingest"]["idle memory MB"],
        "start to ready s": results["ingest"]["start to ready s"],
        "ready after a crash, s per GB of log": round(
            ingest["ready after the crash s"] * 1024 / ingest["log left by the crash MB"], 1
        ),
        "binary MB": results["binary MB"],
    }
    for name, value in measured.items():
        lines.append(f"| {name} | {value:,} | {BUDGETS[name]:,} |")
    sustained, visible = keeps_up(results["visibility"])
    lines += [
        f"| sustained events/s, history keeping up | {sustained:,} |"
        f" {BUDGETS['sustained events/s']:,} |",
        f"| acknowledged to visible, p99 ms, at half of that | {visible:,} |"
        f" {BUDGETS['visible p99 ms']:,} |",
        f"| memory MB at most in the burst | {ingest['peak memory MB']:,} |"
        f" {BUDGETS['memory MB']:,} |",
        "",
        f"Other engines, the same batches, no HTTP, one thread: {results['peers ingest']}.",
    ]
    lines += [
        "",
        f"History beside a steady load, {results['sustained seconds']} s at each rate:",
        "",
        "| offered events/s | accepted/s | visible p50 ms | p99 ms | lag after, events |"
        " peak memory MB | log left MB | ready again s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rate, row in results["visibility"].items():
        lines.append(
            f"| {int(rate):,} | {row['events_per_second']:,.0f} |"
            f" {row['visible_after']['p50_ms']} | {row['visible_after']['p99_ms']} |"
            f" {row['lag after events']:,} | {row['peak memory MB']} |"
            f" {row['log left by the crash MB']} | {row['ready after the crash s']} |"
        )
    lines += delivery_report(results["delivery"])
    lines += [
        "",
        f"Durable ingest: {ingest['seconds']} s, {ingest['connections']} connections, batches of"
        f" 500 events of {ingest['event_bytes']} bytes; batch latency {ingest['batch_latency']};"
        f" throttled {ingest['throttled_batches']}, failed {ingest['failed_batches']};"
        f" {ingest['log left by the crash MB']} MB of log after the crash, ready again in"
        f" {ingest['ready after the crash s']} s.",
    ]
    for events, figures in results["lookups"].items():
        lines += [
            "",
            f"## LookupEvents over {int(events):,} events",
            "",
            f"`cairn ingest` took {figures['cairn ingest s']} s for {figures['json MB']} MB of"
            f" JSON; the lake holds {figures['lake MB']} MB; the server {figures['memory MB']} MB"
            f" of memory, {figures['peak memory MB']} MB at most. Budget: p99"
            f" {BUDGETS['lookup p99 ms']} ms for a page of 50. DuckDB reads the same data files.",
            "",
            "| attribute | p50 ms | p90 ms | p99 ms | max ms | rows a page | DuckDB p50 ms |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for attribute, row in figures["lookups"].items():
            per_page = row["rows"] / max(row["lookups"], 1)
            lines.append(
                f"| {attribute} | {row['p50_ms']} | {row['p90_ms']} | {row['p99_ms']} |"
                f" {row['max_ms']} | {per_page:.0f} | {figures['DuckDB'][attribute]['p50_ms']} |"
            )
    return "\n".join(lines) + "\n"


def delivery_report(delivery: dict) -> list[str]:
    """One trail beside history, and what it costs."""
    rate = BUDGETS["delivered events/s"]
    lines = [
        "",
        f"History and one trail (every Region, digests, the embedded endpoint) beside {rate:,}"
        " events/s:",
        "",
        "| | accepted/s | lag of history after, events | lag of the trail | all caught up after s |"
        " delivered events | lost | processor s per million events | peak memory MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind, row in delivery.items():
        lines.append(
            f"| {kind} | {row['events_per_second']:,.0f} |"
            f" {row['lake-visible lag after events']:,} | {row['trails lag after events']:,} |"
            f" {row['caught up after s']} | {row['delivered events']:,} | {row['lost events']} |"
            f" {row['processor s per million events']} | {row['peak memory MB']} |"
        )
    return lines


def keeps_up(by_rate: dict) -> tuple[int, float]:
    """The highest rate that history follows within two seconds, and the p99 at about half of it."""
    kept = [
        rate
        for rate, row in by_rate.items()
        if row["lag after events"] < 2 * int(rate)
        and row["throttled_batches"] == 0
        and row["events_per_second"] >= 0.98 * int(rate)
    ]
    sustained = max((int(rate) for rate in kept), default=0)
    nearest = min(by_rate, key=lambda rate: abs(int(rate) - sustained / 2))
    return sustained, by_rate[nearest]["visible_after"]["p99_ms"]


def main() -> None:
    """Measure everything and write both forms of the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, required=True, help="cargo's release folder")
    parser.add_argument("--full", action="store_true", help="10 million events as well")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=60)
    # Long enough for several commits and compactions, which come once a minute.
    parser.add_argument("--sustained-seconds", type=int, default=200)
    parser.add_argument("--delivery-seconds", type=int, default=120)
    parser.add_argument("--rates", type=int, nargs="*", default=[20_000, 40_000, 60_000])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "cairn-bench")
    parser.add_argument("--results", type=Path, default=ROOT / "benches" / "results")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    sizes = [arguments.events] + ([10_000_000] if arguments.full else [])
    date = datetime.now(timezone.utc)
    commit = ["git", "rev-parse", "--short", "HEAD"]
    results = {
        "date": date.strftime("%Y-%m-%d %H:%M UTC"),
        "commit": subprocess.check_output(commit, cwd=ROOT, text=True).strip(),
        "machine": machine(),
        "binary MB": (arguments.target / "cairn").stat().st_size >> 20,
    }
    results["sustained seconds"] = arguments.sustained_seconds
    lines = make_corpus(arguments.work, sizes[0])
    results["ingest"] = measure_ingest(arguments, arguments.work, lines)
    results["peers ingest"] = peers.ingest(arguments.work, lines, 5)
    results["visibility"] = measure_visibility(arguments, arguments.work, lines)
    results["delivery"] = measure_delivery(arguments, arguments.work, lines)
    results["lookups"] = {}
    for events in sizes:
        lines = make_corpus(arguments.work, events)
        results["lookups"][str(events)] = measure_lookups(arguments, arguments.work, lines)
    arguments.results.mkdir(parents=True, exist_ok=True)
    name = arguments.results / date.strftime("%Y-%m-%d")
    name.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    name.with_suffix(".md").write_text(report(results))
    print(report(results))


if __name__ == "__main__":
    main()
