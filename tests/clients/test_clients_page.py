"""docs/clients.md says what the tests run: versions and shortfalls are compared, not believed."""

import json
import re
import subprocess

from test_prowler import PASSED, SHORTFALLS

from harness.tools import ROOT

PAGE = ROOT / "docs" / "clients.md"
CLIENTS = ROOT / "tests" / "clients"
#: `NAME VERSION` in the second column.
PACKAGE = re.compile(r"(@?[a-z][a-z0-9/_-]*) (\d[0-9.]*)")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading."""
    text = PAGE.read_text().split(f"{heading}\n", 1)[1]
    rows = re.search(r"^\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]


def pinned() -> dict[str, str]:
    """The version of every package that some list of the tests names."""
    lists = [ROOT / "tests" / "requirements.txt", *(CLIENTS / "tools").glob("*.txt")]
    # The tests' own list comes last: what a client brings along does not count.
    text = "\n".join(path.read_text() for path in reversed(lists))
    versions = dict(re.findall(r"(\S+)==(\S+)$", text, re.MULTILINE))
    locked = json.loads((CLIENTS / "sdks" / "javascript" / "package-lock.json").read_text())
    for path, package in locked["packages"].items():
        versions[path.removeprefix("node_modules/")] = package.get("version", "")
    rust = (CLIENTS / "sdks" / "rust" / "Cargo.lock").read_text()
    versions |= dict(re.findall(r'^name = "(aws-sdk-\w+)"\nversion = "(\S+)"$', rust, re.MULTILINE))
    return versions


def test_the_versions_are_those_that_run():
    versions, seen = pinned(), set()
    for client, version, *_ in table("# Clients"):
        for name, number in PACKAGE.findall(version):
            assert versions[name] == number, client
            seen.add(name)
    told = {"awscli", "ansible", "ansible-core", "prowler", "trailscraper", "pyiceberg", "duckdb"}
    assert seen == told | {"@aws-sdk/client-cloudtrail", "aws-sdk-cloudtrail"}
    (boto3,) = [cells[1] for cells in table("# Clients") if cells[0] == "boto3"]
    assert boto3 == versions["boto3"]


def test_the_version_of_the_second_aws_cli_is_the_one_that_runs():
    aws = ROOT / ".venv" / "aws-cli-v2" / "dist" / "aws"
    printed = subprocess.run([aws, "--version"], capture_output=True, text=True, check=True).stdout
    (told,) = [cells[1] for cells in table("# Clients") if cells[0] == "AWS CLI v2"]
    assert printed.startswith(f"aws-cli/{told} ")


def test_prowlers_shortfalls_are_named():
    named = {cells[0].strip("`") for cells in table("## Prowler")}
    assert named == set(SHORTFALLS)
    (result,) = [cells[3] for cells in table("# Clients") if cells[0] == "Prowler"]
    assert result.startswith(f"{len(PASSED)} of {len(PASSED) + len(SHORTFALLS)},")


def test_every_list_of_packages_is_a_client_of_the_page():
    first = [cells[1] for cells in table("# Clients")]
    for path in (CLIENTS / "tools").glob("*.txt"):
        assert any(path.stem in version for version in first), path.name
