"""Small libraries that are preloaded into the server to change what the system tells it."""

import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent


def compiled(name: str, folder: Path) -> Path:
    """The library made of `name`.c, in `folder`."""
    library = folder / f"{name}.so"
    command = ["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library]
    subprocess.run([*command, FOLDER / f"{name}.c", "-ldl", "-lpthread"], check=True)
    return library
