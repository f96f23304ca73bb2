"""Clients with packages of their own, which `make clients` installs (tests/clients/tools)."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def program(client: str, name: str) -> Path:
    """A program of a client."""
    found = ROOT / ".venv" / "clients" / client / "bin" / name
    assert found.exists(), f"{found} is not there: make clients"
    return found


def version(client: str, package: str) -> str:
    """The version of a package that a client's list names."""
    listed = (ROOT / "tests" / "clients" / "tools" / f"{client}.txt").read_text()
    return re.search(rf"\b{re.escape(package)}==(\S+)$", listed, re.MULTILINE)[1]


def run(server, home: Path, command: list[str], *, seconds: float = 240, **values):
    """Run a client in the environment that the tour tells users to set; returns the process.

    `values` are subprocess's.
    """
    return subprocess.run(
        command,
        env=server.aws_environment() | {"HOME": str(home), "TMPDIR": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **values,
    )
