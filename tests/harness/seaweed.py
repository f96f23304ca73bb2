"""SeaweedFS as a process: an S3 endpoint that is not ours, on free loopback ports."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .server import free_port
from .waiting import eventually

ACCESS_KEY, SECRET_KEY = "AKIASEAWEED", "seaweed-secret"
READY_SECONDS = 60.0
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "s3.port.iceberg",
    "admin.port",
    "admin.port.grpc",
)


class Seaweed:
    """One running SeaweedFS."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ports = {name: free_port() for name in PORTS}
        self.process: subprocess.Popen | None = None

    @property
    def endpoint(self) -> str:
        """Where its S3 endpoint answers."""
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    def start(self) -> "Seaweed":
        """Start it and wait until it lists buckets."""
        data = self.folder / "data"
        data.mkdir(parents=True)
        identity = {
            "name": "admin",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        local = {"type": "local", "enableOnDemandCreate": True}
        settings = {
            "identities": [identity],
            "kms": {"default_provider": "local", "providers": {"local": local}},
        }
        config = self.folder / "s3.json"
        config.write_text(json.dumps(settings))
        weed = shutil.which("weed", path=os.path.dirname(sys.executable))
        assert weed, "SeaweedFS is not installed: make python"
        command = [
            weed,
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.autoCreateBucket=false",
            # Its default port is one for all instances.
            "-s3.port.lance=0",
            f"-s3.config={config}",
            *(f"-{name}={port}" for name, port in self.ports.items()),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        eventually(self.is_ready, READY_SECONDS, "SeaweedFS")
        return self

    def is_ready(self) -> bool:
        """Whether it answers a signed request."""
        assert self.process.poll() is None, self.log_tail()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.ports["s3.port"])):
                return False
        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def log_tail(self) -> str:
        """The end of what it logged."""
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def client(self):
        """A boto3 client with all rights."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
        )

    def stop(self) -> None:
        """End it."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
