"""What a client and the service say to each other, without any I/O: requests, answers, their order.

A conversation is a generator. It yields one request after the other, is sent what came of each, and
returns what the caller wants to know. Two drivers carry conversations out: one blocks, one awaits.
"""

from collections.abc import Generator, Mapping
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class Request(Struct, frozen=True, kw_only=True):
    """One request, to be sent after a pause.

    `timeout_seconds` bounds the time until the whole answer is there; None sets no bound. Of an
    answer that is a stream, it bounds the wait for each piece.
    `is_repeatable` says that nothing is done twice if it arrives twice.
    """

    method: str
    path: str
    query: Mapping[str, str | list[str]] = {}
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    timeout_seconds: float | None
    is_repeatable: bool = True
    pause_seconds: float = 0.0


class Answer(Struct, frozen=True, kw_only=True):
    """What the service answered, and how many seconds that took, with the pause before.

    `may_be_second` says that an earlier request of this kind may have been done, too: its answer
    was lost, or was one that leaves this open.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    may_be_second: bool = False


class NoAnswer(Struct, frozen=True, kw_only=True):
    """Why no answer came, whether the request may have arrived all the same, and after how long."""

    why: str
    may_have_arrived: bool
    seconds: float


Conversation = Generator[Request, Answer | NoAnswer, T]
