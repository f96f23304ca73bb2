"""moto's server as a process: AWS services that are not ours, on a free loopback port."""

import subprocess
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .server import ACCOUNT, REGION, free_port
from .waiting import eventually

ACCESS_KEY, SECRET_KEY = "AKIAMOTO", "moto-secret"
READY_SECONDS = 60.0


class Moto:
    """One running moto server. All of its resources belong to the first account."""

    def __init__(self, folder: Path, port: int | None = None):
        self.folder = folder
        self.port = port or free_port()
        self.process: subprocess.Popen | None = None

    @property
    def endpoint(self) -> str:
        """Where all services answer."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Moto":
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        eventually(self.is_ready, READY_SECONDS, "moto")
        return self

    def is_ready(self) -> bool:
        """Whether it answers."""
        assert self.process is not None and self.process.poll() is None, self.log_tail()
        try:
            return self.client("sts").get_caller_identity()["Account"] == ACCOUNT
        except (BotoCoreError, ClientError):
            return False

    def log_tail(self) -> str:
        """The end of what it logged."""
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def client(self, service: str, region: str = REGION):
        """A boto3 client with all rights."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def stop(self) -> None:
        """End it; what it held is gone."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def write_credentials(file: Path, *sections: str) -> Path:
    """A file of credentials with a section for each endpoint."""
    keys = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    file.write_text("".join(f"[{section}]\n{keys}" for section in sections))
    return file
