"""How processes wake each other: by NOTIFY, beside which each looks now and then by itself."""

from collections.abc import Callable
from typing import Final, Literal

import psycopg
import trio

from job_service.stores.postgres.connection import Connection, connect
from job_service.stores.postgres.transaction import Transaction

Signal = Literal["ready", "said"]  # jobs are ready; somebody has asked for something

_CHANNEL: Final = "job_service"
READY_EVERY_SECONDS: Final = 0.05  # its commit takes a lock that the whole server has once
_RETRY_SECONDS: Final = 1.0


async def say(tx: Transaction, signal: Signal) -> None:
    """Tell all other processes when this transaction has committed."""
    await tx.rows("SELECT pg_notify(%s, %s)", _CHANNEL, signal)


async def say_ready(connection: Connection) -> None:
    """Tell all other processes that jobs are ready. Raises psycopg.Error."""
    await connection.execute(f"NOTIFY {_CHANNEL}, 'ready'")


async def listen(conninfo: str, begin: Callable[[], None], hear: Callable[[Signal], None]) -> None:
    """Hear what others say, until cancelled, and again after a broken connection.

    What they said before each beginning was not heard.
    """
    while True:
        try:
            connection = await connect(conninfo)
            try:
                await connection.execute(f"LISTEN {_CHANNEL}")
                begin()
                while True:
                    await trio.lowlevel.wait_readable(connection.pgconn.socket)
                    connection.pgconn.consume_input()
                    while (notice := connection.pgconn.notifies()) is not None:
                        hear("ready" if notice.extra == b"ready" else "said")
            finally:
                connection.pgconn.finish()
        except (psycopg.Error, OSError):
            await trio.sleep(_RETRY_SECONDS)
