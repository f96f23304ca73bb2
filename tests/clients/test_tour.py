"""The README's tour, command by command, as a newcomer would type it.

A `console` block holds commands behind `$ ` and what they print; `…` stands for anything. Commands
run in a folder in which the server's data lies as `cairn-data`, as after `make run`.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """One command with its expected output."""

    command: str
    output: list[str] = field(default_factory=list)

    def expected(self) -> re.Pattern:
        """The output as a pattern; amounts of white space do not matter."""
        words = re.split(r"\s+", "\n".join(self.output).strip())
        parts = [".*?".join(map(re.escape, word.split("…"))) for word in words]
        pattern = r"\s+".join(parts).replace(r"\s+.*?\s+", ".*?")
        return re.compile(r"\s*" + pattern + r"\s*", re.DOTALL)


def tour() -> list[Step]:
    """All steps of the README."""
    steps: list[Step] = []
    for block in BLOCK.findall((ROOT / "README.md").read_text()):
        continued = False
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append(Step(line[2:]))
            elif continued:
                steps[-1].command += "\n" + line
            else:
                steps[-1].output.append(line)
            continued = line.endswith("\\")
    return steps


@pytest.fixture
def shell(server, binary, tmp_path):
    """Runs commands in one folder with one environment that `export` changes."""
    (tmp_path / "cairn-data").symlink_to(server.data_dir)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cairn").symlink_to(binary)
    shutil.copytree(ROOT / "benches" / "tools", tmp_path / "benches" / "tools")
    tools = Path(sys.executable).parent
    environment = {
        "PATH": f"{programs}:{tools}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(command: str) -> str:
        ports = {"4510": str(server.port), "4511": str(server.bucket_port)}
        for port, actual in ports.items():
            command = command.replace(port, actual)
        script = f"{command}\nstatus=$?\nenv -0 > .environment\nexit $status"
        finished = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        for entry in (tmp_path / ".environment").read_text().split("\0"):
            name, _, value = entry.partition("=")
            if name.startswith("AWS_"):
                environment[name] = value
        output = finished.stdout + finished.stderr
        assert finished.returncode == 0, f"$ {command}\n{output}"
        for port, actual in ports.items():
            output = output.replace(actual, port)
        return output

    return run


def test_the_tour_of_the_readme(shell):
    steps = tour()
    assert len(steps) >= 8, "the README has lost its tour"
    for step in steps:
        printed = shell(step.command)
        assert step.expected().fullmatch(printed), f"$ {step.command}\n{printed}\n--\n{step.output}"
