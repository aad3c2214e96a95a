"""A disk of its own for a database, so small that it can be full."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.stores.postgres.cluster import Cluster

_MEGABYTES: Final = 128
_TABLESPACE: Final = "small_disk"
_CHUNK: Final = bytes(2**20)


class SmallDisk:
    """A file system in memory, which has the databases that are made from now on."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no byte for anybody else."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(_CHUNK)

    def free(self) -> None:
        """Give back what was taken."""
        self._ballast.unlink(missing_ok=True)


def why_there_is_none() -> str | None:
    """Why no such disk can be had here; None if one can."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_mounted(Path("/tmp")))  # noqa: S108
        except (OSError, subprocess.CalledProcessError):
            return "no file system can be mounted here"
    return None


@contextmanager
def small_disk_under(cluster: Cluster) -> Iterator[SmallDisk]:
    """Let databases of this server be on a small disk, for the block."""
    with _mounted(cluster.folder) as folder:
        tables = folder / "tables"
        tables.mkdir()
        shutil.chown(tables, "postgres")
        cluster.execute(f"CREATE TABLESPACE {_TABLESPACE} LOCATION '{tables}'")
        cluster.tablespace = _TABLESPACE
        yield SmallDisk(folder)


@contextmanager
def _mounted(beside: Path) -> Iterator[Path]:
    folder = beside / f"small-disk-{os.getpid()}"
    folder.mkdir()
    try:
        options = ["-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "none"]
        subprocess.run(["mount", *options, folder], check=True, stderr=subprocess.DEVNULL)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)  # the server may still use it
    finally:
        folder.rmdir()
