"""A request with an idempotency key, as the value that stores take."""

import re
from hashlib import blake2b
from typing import Final

import msgspec
import trio

from job_service.errors import InvalidIdempotencyKey
from job_service.stores.contract import KeyedRequest

_KEY: Final = re.compile(r"[!-~]{1,255}")  # visible ASCII


async def keyed_request(key: str, *asked: object) -> KeyedRequest:
    """The request that has this idempotency key. Raises InvalidIdempotencyKey."""
    if not _KEY.fullmatch(key):
        await trio.lowlevel.checkpoint()
        raise InvalidIdempotencyKey("an idempotency key has 1 to 255 visible ASCII characters")
    return KeyedRequest(key, blake2b(msgspec.msgpack.encode(asked), digest_size=16).digest())
