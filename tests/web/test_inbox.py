"""What waits between a client and the app is bounded, in however small pieces it comes."""

import pytest
import trio
import trio.testing
from hypercorn.typing import HTTPRequestEvent

from job_service.web.edge.tasks import Inbox


def message(body: bytes, *, more: bool = True) -> HTTPRequestEvent:
    """A piece of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("piece", [b"x", bytes(65_536)])
async def test_a_sender_waits_for_an_app_that_does_not_read(
    piece: bytes, nursery: trio.Nursery
) -> None:
    """A piece of a single byte costs more than that byte, and is counted as more."""
    inbox = Inbox()
    put = 0

    async def send() -> None:
        nonlocal put
        while True:
            await inbox.put(message(piece))
            put += 1

    nursery.start_soon(send)
    await trio.testing.wait_all_tasks_blocked()
    assert put <= 1_000
    before = put
    await inbox.receive()
    await trio.testing.wait_all_tasks_blocked()
    assert put == before + 1
    nursery.cancel_scope.cancel()


async def test_pieces_of_nothing_are_not_kept() -> None:
    """However many empty frames a client sends, the app sees the end and nothing else."""
    inbox = Inbox()
    for _ in range(100_000):
        await inbox.put(message(b""))
    await inbox.put(message(b"", more=False))
    assert await inbox.receive() == message(b"", more=False)


async def test_an_app_that_takes_no_more_holds_nobody_up() -> None:
    """What comes for an answered request is taken, up to its end."""
    inbox = Inbox()
    inbox.close()
    with trio.fail_after(5):
        for _ in range(1_000):
            await inbox.put(message(b"x"))
