"""One transaction, and whether it has committed if the connection breaks in the middle of that."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import psycopg
import trio
from psycopg.errors import (
    DeadlockDetected,
    LockNotAvailable,
    SerializationFailure,
    UniqueViolation,
)

from job_service.stores.postgres.connection import OF_TRANSACTION, Connection, connect
from job_service.stores.postgres.node import LeaseOver, NodeId
from job_service.stores.postgres.pooling import libpq_url
from job_service.stores.postgres.rows import Statement

T = TypeVar("T")
Values = Sequence[object] | Mapping[str, object]

_TRIES: Final = 10  # of a transaction that is in the way of others
_HOLD_NODE: Final = "SELECT id FROM job_service.nodes WHERE id = '{node}' FOR KEY SHARE"
# The server's own number of a transaction would not do: one that a crash has lost is given again.
_NUMBER: Final = f"""
    WITH node AS ({_HOLD_NODE})
    UPDATE job_service.transactions AS last SET number = number + 1, began_at = clock_timestamp()
    FROM node WHERE last.node = node.id RETURNING number, began_at
"""
_LAST: Final = "SELECT number FROM job_service.transactions WHERE node = %s FOR UPDATE NOWAIT"
_DOUBT_SECONDS: Final = 3.0  # that the server may take to say whether it has committed


class InDoubt(psycopg.OperationalError):
    """The connection broke during the commit of a transaction, and the server does not answer."""

    def __init__(self, node: NodeId, number: int) -> None:
        super().__init__("the connection broke during a commit")
        self.node = node
        self.number = number


class Transaction:
    """What is done in one transaction for the process that is this `node`."""

    def __init__(self, connection: Connection, node: NodeId, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self.node = node
        self._now = now

    @property
    def now(self) -> datetime:
        """The time by the clock that all processes share. It goes on: what is made now is due."""
        return self._now()

    async def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement gives, or nothing. Raises psycopg.Error."""
        return await self._ask(statement, values)

    async def do(self, statement: Statement) -> list[tuple[Any, ...]]:
        """What a statement for many rows gives. Raises psycopg.Error."""
        return await self.rows(statement.text, *statement.values)

    async def named(self, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """As `rows`, with values that have names."""
        return await self._ask(statement, values)

    async def _ask(self, statement: str, values: Values) -> list[tuple[Any, ...]]:
        return await self._connection.named(statement, values)


class Writer:
    """The connection that writes. `learn_time` is told what the server's clock shows."""

    def __init__(
        self,
        conninfo: str,
        now: Callable[[], datetime],
        learn_time: Callable[[datetime], None],
    ) -> None:
        self._conninfo = conninfo
        self._now = now
        self._learn_time = learn_time
        self._connection: Connection | None = None

    async def run(self, node: NodeId, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """What `work` gives, when that is committed.

        It may be called several times. Raises LeaseOver if this node is none any more, InDoubt if
        nobody knows whether it has committed, psycopg.Error if not, and what `work` raises.
        """
        for last in [*[False] * (_TRIES - 1), True]:
            try:
                return await self._run_once(node, work)
            except (DeadlockDetected, SerializationFailure, UniqueViolation):
                # The others have gone on by now, and what they did is to be seen.
                if last:
                    raise
        raise AssertionError

    async def connected(self) -> Connection:
        """The connection, between transactions. Raises psycopg.Error if there is none."""
        if self._connection is None:
            self._connection = await connect(self._conninfo)
        return self._connection

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _run_once(self, node: NodeId, work: Callable[[Transaction], Awaitable[T]]) -> T:
        connection = await self.connected()
        try:
            number = await self._begin(connection, node)
            result = await work(Transaction(connection, node, self._now))
        except BaseException:
            await self._undo(connection)
            raise
        try:
            await connection.execute("COMMIT")
        except trio.Cancelled:  # before that was sent
            await self._undo(connection)
            raise
        except psycopg.Error:
            await self._undo(connection)
            if not await self.has_committed(node, number):
                raise
        return result

    async def _begin(self, connection: Connection, node: NodeId) -> int:
        """The transaction's number. Whoever wants to take this node away waits for its end.

        Raises LeaseOver if somebody has.
        """
        # As one text, which spares a way to the server and back.
        cursor = await connection.begin(_NUMBER.format(node=node))
        while cursor.nextset():
            pass
        found: Sequence[Any] | None = await cursor.fetchone()
        if found is None:
            raise LeaseOver
        self._learn_time(found[1])
        return int(found[0])

    async def _undo(self, connection: Connection) -> None:
        """Undo what was done; a connection that can't do that is given up."""
        try:
            await connection.execute("ROLLBACK")
        except (psycopg.Error, trio.Cancelled):
            self._connection = None
            connection.pgconn.finish()

    async def has_committed(self, node: NodeId, number: int) -> bool:
        """Whether a transaction has, that was to commit when the connection broke.

        Raises InDoubt if the server does not say so in time.
        """
        with trio.move_on_after(_DOUBT_SECONDS):
            while True:
                try:
                    connection = await self.connected()
                    cursor = await connection.execute(_LAST, [node])
                    last = await cursor.fetchone()
                    return last is not None and last[0] >= number
                except LockNotAvailable:
                    pass  # it has not ended yet
                except psycopg.OperationalError:
                    await self.close()
                await trio.sleep(0.05)
        raise InDoubt(node, number)


class _AtOnce(Transaction):
    """As a transaction, over a connection that waits in its thread."""

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], node: NodeId, now: datetime
    ) -> None:
        self._waiting = connection
        self.node = node
        self._now = lambda: now

    async def _ask(self, statement: str, values: Values) -> list[tuple[Any, ...]]:
        cursor = self._waiting.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def at_once(
    conninfo: str,
    node: NodeId,
    now: datetime,
    work: Callable[[Transaction], Coroutine[Any, Any, T]],
) -> T:
    """What `work` gives, when that is committed; for a thread that is not the loop's.

    Raises LeaseOver, psycopg.Error and what `work` raises.
    """
    with psycopg.connect(
        libpq_url(conninfo), connect_timeout=2, prepare_threshold=None
    ) as connection:
        connection.execute(OF_TRANSACTION.encode())
        if not connection.execute(_HOLD_NODE.format(node=node).encode()).fetchall():
            raise LeaseOver
        try:
            work(_AtOnce(connection, node, now)).send(None)
        except StopIteration as end:
            result: T = end.value
            return result
    raise AssertionError  # it has nothing to wait for
