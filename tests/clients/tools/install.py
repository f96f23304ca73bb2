"""Installs the clients that have packages of their own: `install.py CACHE LINKS`.

Each `NAME.txt` beside this file lists every package of one client with its version. It is installed
once into a virtual environment CACHE/NAME-CHECKSUM; LINKS/NAME points there. A line
`# Folder FOLDER of PACKAGE==VERSION` adds one folder of a package that is too large to install.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LISTS = Path(__file__).parent
#: Packages without a wheel are built by these, and by nothing that is fetched for the build.
BUILDERS = re.compile(r"^(setuptools|wheel)==", re.MULTILINE)
FOLDER = re.compile(r"^# Folder (\S+) of (\S+==\S+)$", re.MULTILINE)
QUIET = ["--quiet", "--disable-pip-version-check", "--no-deps"]


def install(packages: Path, cache: Path) -> Path:
    """The environment of one list; a finished one is left as it is."""
    text = packages.read_text()
    checksum = hashlib.sha256(text.encode()).hexdigest()[:12]
    environment = cache / f"{packages.stem}-{checksum}"
    finished = environment / ".installed"
    if finished.exists():
        return environment
    venv.create(environment, clear=True, symlinks=True)
    builders = [line for line in text.splitlines() if BUILDERS.match(line)]
    if builders:
        pip(environment, "install", *QUIET, *builders)
    pip(environment, "install", *QUIET, "--no-build-isolation", "--requirement", str(packages))
    for folder, package in FOLDER.findall(text):
        add_folder(environment, folder, package)
    finished.touch()
    return environment


def pip(environment: Path, *arguments: str) -> None:
    """Run the pip of the tests for another environment."""
    python = str(environment / "bin" / "python")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *arguments], check=True)


def add_folder(environment: Path, folder: str, package: str) -> None:
    """Unpack one folder of a package's wheel among the installed packages."""
    found = list(environment.glob("lib/python*/site-packages"))
    assert len(found) == 1, f"{environment} has one place for packages"
    with tempfile.TemporaryDirectory(dir=environment) as fetched:
        pip(environment, "download", *QUIET, "--dest", fetched, package)
        (wheel,) = Path(fetched).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(f"{folder}/")]
            assert names, f"{package} has no folder {folder}"
            archive.extractall(found[0], names)


def link(place: Path, environment: Path) -> None:
    """Let a link point to an environment, whatever was there."""
    fresh = place.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(environment.resolve())
    os.replace(fresh, place)


def main() -> None:
    """Install what is missing, all at once: most of the time goes into waiting for downloads."""
    cache, links = map(Path, sys.argv[1:])
    cache.mkdir(parents=True, exist_ok=True)
    links.mkdir(parents=True, exist_ok=True)
    lists = sorted(LISTS.glob("*.txt"))
    with ThreadPoolExecutor(len(lists)) as pool:
        environments = pool.map(lambda packages: install(packages, cache), lists)
        for packages, environment in zip(lists, environments, strict=True):
            link(links / packages.stem, environment)


if __name__ == "__main__":
    main()
