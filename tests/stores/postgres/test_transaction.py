"""What a transaction leaves behind that does not come to its end."""

import trio

from job_service.stores.postgres import node as nodes
from job_service.stores.postgres import schema
from job_service.stores.postgres.connection import connect
from job_service.stores.postgres.transaction import Transaction, Writer
from job_service.telemetry.events import utc_now


async def test_a_transaction_that_is_cancelled_before_its_commit_holds_nothing(
    database: str,
) -> None:
    """A process that stops does not wait for itself, and nobody waits for it."""
    node = nodes.new_id()
    async with await connect(database) as connection:
        await schema.migrate(connection)
        await nodes.register(connection, node, nodes.LEASE_SECONDS)
        writer = Writer(database, utc_now, lambda _: None)
        with trio.CancelScope() as scope:

            async def work(tx: Transaction) -> None:
                await tx.rows("SELECT pg_advisory_xact_lock(1)")
                scope.cancel()

            await writer.run(node, work)
        assert scope.cancelled_caught
        await connection.execute("SET lock_timeout = '3s'")
        await connection.execute("SELECT pg_advisory_xact_lock(1)")
        await nodes.leave(connection, node)
        await writer.close()
