"""A redis-server on a free port of the loopback interface."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.loopback import free_port, running


@contextmanager
def redis_server(appendfsync: str | None = None) -> Iterator[str]:
    """Its URL; it ends with the block.

    It keeps nothing, unless `appendfsync` says when what was written is to reach the disk.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        command += ["--save", ""]
        if appendfsync is None:
            command += ["--appendonly", "no"]
        else:
            command += ["--appendonly", "yes", "--appendfsync", appendfsync]
        with running(command, port, Path(folder) / "redis.log"):
            yield f"redis://127.0.0.1:{port}/0"
