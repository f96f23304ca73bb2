"""The server under test as a process: started on free ports, watched, ended by its process ID."""

import configparser
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.config import Config

from .signature import Credentials

READY_SECONDS = 60.0
STOP_SECONDS = 60.0
ACCOUNT = "123456789012"
REGION = "us-east-1"

#: Lines that no run may log, whatever happens to it.
ALARMING = re.compile(r"panicked at|RUST_BACKTRACE|stack overflow|Traceback")


class ServerExited(AssertionError):
    """The process ended before it was ready."""


@dataclass
class Settings:
    """How to start a server. `environment` holds CAIRN_… settings."""

    binary: Path
    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    #: Settings that keep tests from waiting for limits meant for people.
    relaxed: bool = True
    #: Called in the child before the server begins.
    before_exec: Callable[[], None] | None = None


RELAXED = {"CAIRN_LOOKUP_REQUESTS_PER_SECOND": "100000"}


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One running server and its clients."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.port = free_port()
        self.bucket_port = free_port()
        self.process: subprocess.Popen | None = None
        self.log_path = settings.data_dir.with_name(settings.data_dir.name + ".log")

    # Endpoints and credentials

    @property
    def endpoint(self) -> str:
        """Where the API, the ingest door, health and metrics are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def bucket_endpoint(self) -> str:
        """Where the embedded bucket storage is."""
        return f"http://127.0.0.1:{self.bucket_port}"

    @property
    def data_dir(self) -> Path:
        """The server's own disk."""
        return self.settings.data_dir

    @property
    def credentials(self) -> Credentials:
        """The administrator that the first start made."""
        files = configparser.ConfigParser()
        files.read(self.data_dir / "credentials")
        section = files[files.sections()[0]]
        return Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])

    # Life

    def spawn(self) -> None:
        """Start the process without waiting."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")
        }
        for name in ("AWS_ENDPOINT_URL", "RUST_BACKTRACE"):
            environment.pop(name, None)
        if self.settings.relaxed:
            environment |= RELAXED
        environment |= self.settings.environment
        command = [
            str(self.settings.binary),
            "serve",
            "--data-dir",
            str(self.data_dir),
            "--listen",
            f"127.0.0.1:{self.port}",
            "--s3-listen",
            f"127.0.0.1:{self.bucket_port}",
            *self.settings.arguments,
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=self.settings.before_exec,
            )

    def start(self) -> "Server":
        """Start and wait until ingest is accepted and reads answer."""
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self, seconds: float = READY_SECONDS) -> float:
        """Wait for readiness; returns how long it took."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if self.process is not None and self.process.poll() is not None:
                raise ServerExited(f"exit {self.process.returncode}\n{self.log_tail()}")
            if self.is_ready():
                return time.monotonic() - begun
            time.sleep(0.01)
        raise ServerExited(f"not ready after {seconds} s\n{self.log_tail()}")

    def is_ready(self) -> bool:
        """Whether /healthz answers 200 now."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> int:
        """End the server as an operator does; returns its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End the server as a crash does."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_SECONDS)

    def restart(self) -> float:
        """Start again on the same data and ports; returns the seconds to readiness."""
        self.spawn()
        return self.wait_ready()

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    # Logs and metrics

    def log_text(self) -> str:
        """Everything that the process printed."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self) -> str:
        """The last lines, for a failure's message."""
        return "\n".join(self.log_text().splitlines()[-40:])

    def error_lines(self) -> list[str]:
        """Log lines of level error, and signs of a panic."""
        found = []
        for line in self.log_text().splitlines():
            level = ""
            if line.startswith("{"):
                try:
                    level = str(json.loads(line).get("level", ""))
                except ValueError:
                    pass
            if level == "ERROR" or re.search(r"\bERROR\b", line) or ALARMING.search(line):
                found.append(line)
        return found

    def metrics(self) -> dict[str, float]:
        """Prometheus samples, by name with labels."""
        with urllib.request.urlopen(f"{self.endpoint}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def resident_bytes(self) -> int:
        """Resident memory of the process now."""
        return self.memory("VmRSS")

    def peak_bytes(self) -> int:
        """The most resident memory that the process has had."""
        return self.memory("VmHWM")

    def memory(self, name: str) -> int:
        """A figure of the kernel's about the process's memory."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status).group(1)) * 1024

    # Clients

    def client(
        self,
        service: str,
        credentials: Credentials | None = None,
        region: str = REGION,
        **settings: str,
    ):
        """A boto3 client that does not retry, so that a test sees each answer.

        `settings` are botocore's.
        """
        chosen = credentials or self.credentials
        return boto3.client(
            service,
            endpoint_url=self.bucket_endpoint if service == "s3" else self.endpoint,
            region_name=region,
            aws_access_key_id=chosen.access_key_id,
            aws_secret_access_key=chosen.secret_access_key,
            aws_session_token=chosen.session_token,
            config=Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                connect_timeout=10,
                read_timeout=60,
                **settings,
            ),
        )

    def aws_environment(self) -> dict[str, str]:
        """The environment that the tour tells a user to set."""
        kept = {"PATH", "HOME", "LANG", "TMPDIR"}
        environment = {name: value for name, value in os.environ.items() if name in kept}
        environment |= {
            "AWS_CONFIG_FILE": str(self.data_dir / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.data_dir / "credentials"),
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return environment

    def aws(self, *arguments: str, check: bool = True, **environment: str):
        """Run the AWS CLI of the virtual environment; returns the finished process."""
        command = [str(Path(sys.executable).with_name("aws")), *arguments]
        finished = subprocess.run(
            command,
            env=self.aws_environment() | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check:
            assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
        return finished
