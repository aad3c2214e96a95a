"""A PostgreSQL server of the tests' own, on a Unix socket, and a new database for each test."""

import atexit
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

from job_service.stores.postgres.schema import MIGRATIONS, VERSION

_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum": "off",
    "log_min_messages": "warning",
}
TEMPLATE: Final = "job_service_template"


def why_there_is_none() -> str | None:
    """Why no server can be started here; None if one can."""
    if _binaries() is None:
        return "there is no PostgreSQL server on this machine (initdb)"
    if find_spec("psycopg") is None:
        return "psycopg is not installed (extra postgres)"
    return None


def _binaries() -> Path | None:
    """Where `initdb` and `pg_ctl` are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found or on_path is None:
        return found[-1].parent if found else None
    return Path(on_path).parent


class Cluster:
    """A server. It refuses to run as root, so if these tests do, it runs as `postgres`."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._binaries = _binaries() or Path()
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._numbers = count(1)
        self.tablespace = "pg_default"  # of new databases
        self._run("initdb", "--no-sync", "--auth=trust", "--username=jobs", "-D", self._data)
        with (self._data / "postgresql.conf").open("a") as file:
            for name, value in {**_SETTINGS, **settings}.items():
                file.write(f"{name} = '{value}'\n")
            file.write(f"unix_socket_directories = '{folder}'\n")

    def start(self) -> None:
        """Start the server, and return when it answers."""
        log = self.folder / "log"
        self._run("pg_ctl", "start", "--wait", "--silent", "-D", self._data, "-l", log)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; immediately is as a crash of the machine."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "-D", self._data, "-m", mode)

    def url(self, database: str = "postgres") -> str:
        """What psycopg takes to connect to a database of it."""
        return f"postgresql://jobs@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0") -> str:
        """The URL of a database that nobody else uses."""
        name = f"jobs_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} TABLESPACE {self.tablespace}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What the server says to a statement."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._binaries / program), *map(str, arguments)]
        subprocess.run(command, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def running_cluster(**settings: str) -> Iterator[Cluster]:
    """A server that runs for the block; with these settings beside those of all tests."""
    folder = Path(mkdtemp(prefix="jobs-pg-"))
    try:
        cluster = Cluster(folder, settings)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def shared_cluster() -> Cluster:
    """The server of all tests of this process. It has the tables in a database to be copied."""
    stack = ExitStack()
    atexit.register(stack.close)
    cluster = stack.enter_context(running_cluster())
    cluster.execute(f"CREATE DATABASE {TEMPLATE}")
    for step in MIGRATIONS:
        cluster.execute(step, TEMPLATE)
    cluster.execute(f"UPDATE job_service.version SET number = {VERSION}", TEMPLATE)
    return cluster
