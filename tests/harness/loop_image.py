"""ext4 in a file, mounted through a loop device: power loss without a machine to lose.

The server is stopped (SIGSTOP), the image file is copied as the device holds it, and the copy is
mounted elsewhere. What the page cache of the mounted file system holds and never synced is not in
the image, as after a real power loss.
"""

import os
import shutil
import subprocess
from pathlib import Path


def available() -> str | None:
    """Why loop images cannot be used here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("mkfs.ext4", "mount", "umount", "losetup"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices"
    return None


class LoopImage:
    """One image file with its mount point."""

    def __init__(self, image: Path, mount_point: Path):
        self.image = image
        self.mount_point = mount_point
        self.mounted = False

    @classmethod
    def create(cls, folder: Path, name: str, megabytes: int) -> "LoopImage":
        """A new, empty file system, mounted."""
        image = folder / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        # No lazy initialisation: it would write in the background and blur what a sync wrote.
        options = "lazy_itable_init=0,lazy_journal_init=0"
        run("mkfs.ext4", "-q", "-E", options, str(image))
        return cls(image, folder / name).mount()

    def mount(self) -> "LoopImage":
        """Mount, replaying the journal as after a crash.

        The journal is committed by syncs alone: its timer of five seconds would make durable by
        chance what nobody synced.
        """
        self.mount_point.mkdir(exist_ok=True)
        run("mount", "-o", "loop,commit=300", str(self.image), str(self.mount_point))
        self.mounted = True
        return self

    def copy_as_of_now(self, name: str) -> "LoopImage":
        """The device's present content as another image, not mounted."""
        copy = self.image.with_name(f"{name}.img")
        run("cp", "--sparse=always", str(self.image), str(copy))
        return LoopImage(copy, self.image.with_name(name))

    def remove(self) -> None:
        """Unmount and delete."""
        if self.mounted:
            run("umount", "--lazy", str(self.mount_point))
            self.mounted = False
        self.image.unlink(missing_ok=True)
        shutil.rmtree(self.mount_point, ignore_errors=True)


class MemoryDisk:
    """A tmpfs of a fixed size, for lack of space."""

    def __init__(self, mount_point: Path, megabytes: int):
        self.mount_point = mount_point
        mount_point.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(mount_point))

    def remove(self) -> None:
        """Unmount."""
        run("umount", "--lazy", str(self.mount_point))
        shutil.rmtree(self.mount_point, ignore_errors=True)


class ThinDisk:
    """ext4 in an image that promises more room than the memory under it has.

    When that memory is full, the device fails with a true I/O error: what a sync reports then, the
    file system has already forgotten.
    """

    def __init__(self, folder: Path, name: str, megabytes: int):
        self.memory = MemoryDisk(folder / f"{name}-memory", megabytes)
        self.disk = LoopImage.create(self.memory.mount_point, "thin", 4 * megabytes)
        self.mount_point = self.disk.mount_point
        self.ballast = self.memory.mount_point / "ballast"

    def leave(self, kilobytes: int) -> None:
        """Take the memory but for so much."""
        os.sync()
        status = os.statvfs(self.memory.mount_point)
        free = status.f_bavail * status.f_frsize
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(4096, free - (kilobytes << 10)))

    def repair(self) -> None:
        """Give the memory back and mount again, as after the exchange of a cable."""
        run("umount", str(self.mount_point))
        self.ballast.unlink()
        self.disk.mounted = False
        self.disk.mount()

    def remove(self) -> None:
        """Unmount both."""
        self.disk.remove()
        self.memory.remove()


def run(*command: str) -> None:
    """A system command that must succeed."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{' '.join(command)}: {finished.stderr.strip()}"
