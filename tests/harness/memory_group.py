"""A control group that bounds the memory of a process, page cache included; version 1 or 2."""

import os
import uuid
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def available() -> str | None:
    """Why memory cannot be bounded here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not (ROOT / "memory" / "memory.limit_in_bytes").exists() and not has_memory_v2():
        return "needs the memory controller"
    return None


def has_memory_v2() -> bool:
    """Whether groups of version 2 can bound memory."""
    controllers = ROOT / "cgroup.subtree_control"
    return controllers.exists() and "memory" in controllers.read_text()


class MemoryGroup:
    """A group of its own; the process is put into it before it starts to run."""

    def __init__(self, bytes_max: int):
        self.is_v1 = not has_memory_v2()
        base = ROOT / "memory" if self.is_v1 else ROOT
        self.folder = base / f"cairn-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir()
        limit = "memory.limit_in_bytes" if self.is_v1 else "memory.max"
        (self.folder / limit).write_text(str(bytes_max))

    def enter(self) -> None:
        """Called in the child between fork and exec."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self) -> int:
        """How many processes the kernel killed for lack of memory."""
        name = "memory.oom_control" if self.is_v1 else "memory.events"
        for line in (self.folder / name).read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def remove(self) -> None:
        """The processes in it must have ended."""
        self.folder.rmdir()
