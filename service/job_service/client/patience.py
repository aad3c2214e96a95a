"""Repeats a request until it has an answer that counts, and says when to give up."""

import random
from http import HTTPStatus
from itertools import count
from typing import Final

from msgspec.structs import replace

from job_service.client.answers import retry_after
from job_service.client.exchange import Answer, Conversation, NoAnswer, Request
from job_service.errors import Unreachable

# The service, or a proxy in front of it, refuses them for now.
_FOR_NOW: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
# A proxy does not know what became of them.
_UNCLEAR: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0


def answered(request: Request, patience_seconds: float) -> Conversation[Answer]:
    """The answer to `request`, which is repeated while it is refused for now, or nobody answers.

    That goes on for `patience_seconds` after the first time. Then the last refusal is the answer;
    or Unreachable is raised if there is none.
    """
    came = yield request
    seconds, repeating_seconds = came.seconds, 0.0
    may_be_done = False
    for attempts in count(1):
        pause = _pause_before_repeat(request, came, attempts)
        if pause is None or repeating_seconds + pause > patience_seconds:
            break
        may_be_done = may_be_done or _may_be_done(came)
        came = yield replace(request, pause_seconds=pause)
        seconds += came.seconds
        repeating_seconds += came.seconds
    if isinstance(came, NoAnswer):
        raise Unreachable(came.why)
    return replace(came, seconds=seconds, may_be_second=may_be_done)


def _pause_before_repeat(request: Request, came: Answer | NoAnswer, attempts: int) -> float | None:
    """Seconds until the request is to be repeated; None if it must not be."""
    if isinstance(came, Answer):
        if came.status in _FOR_NOW and (asked := retry_after(came)):  # at once is how we began
            return asked * random.uniform(1.0, 1.2)  # so that not all who were refused come at once
        if came.status not in _FOR_NOW | _UNCLEAR:
            return None
    if _may_have_arrived(came) and not request.is_repeatable:
        return None
    longest = min(_FIRST_PAUSE_SECONDS * 2**attempts, _LONGEST_PAUSE_SECONDS)
    return random.uniform(longest / 2, longest)


def _may_have_arrived(came: Answer | NoAnswer) -> bool:
    return came.may_have_arrived if isinstance(came, NoAnswer) else came.status in _UNCLEAR


def _may_be_done(came: Answer | NoAnswer) -> bool:
    """Whether all of the request, or a part of it, may be done although it was refused.

    A store that fails keeps a cancellation that was under way, and a service that drains in the
    middle of a portion has done some of it. A 503 of a proxy says as little as its 502.
    """
    if isinstance(came, Answer) and came.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return True
    return _may_have_arrived(came)
