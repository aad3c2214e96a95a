"""A client that enqueues what it is told to, one job at a time, and says what came of it."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import TypedDict


class Order(TypedDict):
    """A job: its key in the ledger, how long it takes, and whether it blocks the loop."""

    key: str
    seconds: float
    blocks: bool
    is_unique: bool  # while it waits or runs, by the means that the library has for that


async def take_orders(send: Callable[[Order], Awaitable[object]]) -> None:
    """A line of JSON is a job; the answer is `ok`, or the error."""
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            await send(json.loads(line))
        except Exception as error:  # whatever it is, the client is told
            print(type(error).__name__, flush=True)
        else:
            print("ok", flush=True)
