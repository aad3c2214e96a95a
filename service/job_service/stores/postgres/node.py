"""One process among those that share the database: its name, and the lease that it holds.

A lease that is over is none only when somebody has seen it, and has taken the node away together
with its jobs. Until then the node may renew it, and what it does counts.
"""

import os
import socket
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Final
from uuid import UUID, uuid4

import psycopg

from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.pooling import libpq_url

NodeId = UUID

LEASE_SECONDS: Final = 15.0
_RENEWALS: Final = 5  # in the time of one lease, so that one or two may fail
RETRY_SECONDS: Final = 0.5
STALL_SECONDS: Final = 300.0  # that the loop may be blocked before its jobs are let go of

_REGISTER: Final = """
    WITH node AS (
        INSERT INTO job_service.nodes (id, host, pid, version, lease_until)
        VALUES (%s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s)) RETURNING id
    )
    INSERT INTO job_service.transactions (node, number) SELECT id, 0 FROM node
"""
_RENEW: Final = """
    BEGIN;
    SET LOCAL statement_timeout = {milliseconds};
    UPDATE job_service.nodes SET lease_until = clock_timestamp() + make_interval(secs => {seconds})
    WHERE id = '{node}';
    COMMIT
"""


class LeaseOver(Exception):
    """This node's lease was over, and others have taken the jobs that it held."""


def new_id() -> NodeId:
    """A name that no other process has had, or will have."""
    return uuid4()


async def register(connection: Connection, node: NodeId, seconds: float) -> None:
    """Let all know of this node, for the time of one lease. Raises psycopg.Error."""
    values = [node, socket.gethostname(), os.getpid(), version("trio-job-service"), seconds]
    await connection.execute(_REGISTER, values)


async def leave(connection: Connection, node: NodeId) -> None:
    """This node has given back all that it held. Raises psycopg.Error."""
    await connection.execute(
        """
        DELETE FROM job_service.nodes WHERE id = %s
        AND NOT EXISTS (SELECT FROM job_service.jobs WHERE node = %s)
        """,
        [node, node],
    )


async def tell_types(connection: Connection, node: NodeId, job_types: list[str]) -> None:
    """This node can run jobs of these types. Raises psycopg.Error."""
    await connection.execute(
        "UPDATE job_service.nodes SET job_types = %s WHERE id = %s", [job_types, node]
    )


class Lease:
    """Renews the lease in a thread of its own, so that a blocked loop keeps its jobs.

    `is_awake` says whether the loop has turned lately enough to be trusted with them.
    """

    def __init__(
        self,
        conninfo: str,
        seconds: float,
        node: Callable[[], NodeId],
        is_awake: Callable[[], bool],
    ) -> None:
        self._conninfo = conninfo
        self._seconds = seconds
        self._node = node
        self._is_awake = is_awake
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begin to renew it."""
        self._thread.start()

    def stop(self) -> None:
        """Renew it no more."""
        self._stopped.set()

    def _renewal(self) -> str:
        milliseconds = int(1_000 * self._seconds / _RENEWALS)
        return _RENEW.format(milliseconds=milliseconds, seconds=self._seconds, node=self._node())

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with psycopg.connect(
                    libpq_url(self._conninfo),
                    autocommit=True,
                    connect_timeout=max(2, int(self._seconds / _RENEWALS)),
                ) as connection:
                    while not self._stopped.wait(self._seconds / _RENEWALS):
                        if self._is_awake():
                            connection.execute(self._renewal().encode())
            except psycopg.Error:  # the writer finds out what is the matter, and tells it
                self._stopped.wait(min(RETRY_SECONDS, self._seconds / _RENEWALS))
