"""Fixtures that every test stands on: the binary, servers on free ports, a look at their logs."""

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from harness.results import record
from harness.server import Server, Settings

#: Files of the fault plan are named after their test: test_c1_kill.py is C1.
PLANNED = re.compile(r"test_([a-z]\d+)_")
ROOT = Path(__file__).parents[1]


def target_folder() -> Path:
    """Where cargo builds to."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def build(*features: str) -> Path:
    """Build the server in the development profile; returns the binary."""
    command = ["cargo", "build", "--locked", "--package", "cairn-server"]
    if features:
        command += ["--features", ",".join(features)]
    subprocess.run(command, cwd=ROOT, check=True)
    return target_folder() / "debug" / "cairn"


@pytest.fixture(scope="session")
def binary() -> Path:
    """The server as shipped, in the development profile; `make test` gives it."""
    given = os.environ.get("CAIRN_BINARY")
    return Path(given) if given else build()


@pytest.fixture(scope="session")
def sabotaged_binary() -> Path:
    """The server with the faults that harnesses must catch."""
    given = os.environ.get("CAIRN_SABOTAGED_BINARY")
    if not given:
        pytest.skip("no sabotaged binary given: run through make")
    return Path(given)


class ServerFactory:
    """Makes servers, ends them all, and looks at what they logged."""

    def __init__(self, binary: Path, folder: Path):
        self.binary = binary
        self.folder = folder
        self.servers: list[Server] = []

    def new(self, *, data_dir: Path | None = None, binary: Path | None = None, **values) -> Server:
        """A server that is not started yet. `values` are fields of Settings."""
        settings = Settings(
            binary=binary or self.binary,
            data_dir=data_dir or self.folder / f"data-{uuid.uuid4().hex[:8]}",
            **values,
        )
        server = Server(settings)
        self.servers.append(server)
        return server

    def start(self, **values) -> Server:
        """A server that is ready."""
        return self.new(**values).start()

    def close(self) -> None:
        """End what still runs."""
        for server in self.servers:
            if server.is_running:
                server.kill()


@pytest.fixture
def servers(binary: Path, tmp_path: Path):
    """A factory of servers for tests that start, kill and restart their own."""
    factory = ServerFactory(binary, tmp_path)
    yield factory
    factory.close()


@pytest.fixture(scope="module")
def server(binary: Path, tmp_path_factory: pytest.TempPathFactory):
    """One server for the tests of a module. It must end cleanly and log no error."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("server"))
    running = factory.start()
    yield running
    code = running.stop() if running.is_running else running.process.returncode
    factory.close()
    assert code == 0, f"exit {code}\n{running.log_tail()}"
    assert running.error_lines() == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """A test of the fault plan that fails leaves a line among the results too."""
    report = yield
    planned = PLANNED.match(item.path.name)
    if report.failed and planned:
        record(planned[1].upper(), failed=1)
    return report
