"""PgBouncer in transaction mode, before a server of the tests."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_CONFIGURATION: Final = """
    [databases]
    * = host={server} user={user}
    [pgbouncer]
    unix_socket_dir = {folder}
    listen_addr =
    auth_type = any
    pool_mode = transaction
    default_pool_size = {size}
"""


@contextmanager
def running_pooler(server: Path, user: str, connections: int) -> Iterator[Path]:
    """A pooler with so few connections to the server; the folder of its socket."""
    assert PROGRAM is not None
    folder = Path(mkdtemp(prefix="jobs-pooler-"))
    own_user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root, too
    try:
        if own_user is not None:
            shutil.chown(folder, own_user)
        file = folder / "pgbouncer.ini"
        text = _CONFIGURATION.format(server=server, user=user, folder=folder, size=connections)
        file.write_text("\n".join(line.strip() for line in text.splitlines()))
        with subprocess.Popen(
            [PROGRAM, "--quiet", str(file)], user=own_user, stderr=subprocess.DEVNULL
        ) as pooler:
            try:
                until = time.monotonic() + 10
                while not (folder / ".s.PGSQL.6432").exists():
                    assert pooler.poll() is None
                    assert time.monotonic() < until
                    time.sleep(0.01)
                yield folder
            finally:
                pooler.kill()
    finally:
        shutil.rmtree(folder)
