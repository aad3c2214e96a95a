"""How many jobs of each type begin a second: each process tells it, and all can add it up."""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import psycopg
import trio
from msgspec.json import encode

from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.node import NodeId
from job_service.stores.postgres.reading import Reader
from job_service.stores.runner import TypeBacklog

TOLD_EVERY_SECONDS: Final = 5.0

_TELL: Final = b"UPDATE job_service.nodes SET starts_per_second = %s::jsonb WHERE id = %s"
_ADD_UP: Final = b"""
    SELECT key, sum(value::float8)
    FROM job_service.nodes, jsonb_each_text(starts_per_second)
    WHERE lease_until > clock_timestamp()
    GROUP BY key
"""


async def tell_pace(
    reader: Reader, node: Callable[[], NodeId], types: Callable[[], Mapping[str, TypeBacklog]]
) -> None:
    """Tell others the pace of this process, as often as it changes; until cancelled."""
    told = node(), dict[str, float]()
    while True:
        await trio.sleep(TOLD_EVERY_SECONDS * random.uniform(0.5, 1.0))
        pace = {
            name: round(backlog.starts_per_second, 6)
            for name, backlog in types().items()
            if backlog.starts_per_second
        }
        if (node(), pace) != told:
            with suppress(psycopg.Error):  # it is told later
                await reader.do(partial(_tell, node(), pace))
                told = node(), pace


async def starts_per_second(connection: Connection) -> dict[str, float]:
    """How many jobs of each type begin a second, in all processes together."""
    cursor = await connection.execute(_ADD_UP)
    return dict(await cursor.fetchall())


async def _tell(node: NodeId, pace: Mapping[str, float], connection: Connection) -> None:
    await connection.execute(_TELL, [encode(pace).decode(), node])
