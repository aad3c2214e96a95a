"""How a call is described: what it is for, what it takes, and all that it can answer."""

from typing import Any, Final, Literal, NamedTuple

from job_service.web.refusals import CHANGED, MALFORMED, Refusal
from job_service.web.responses import JSON

HTML: Final = "text/html"


class Answer(NamedTuple):
    """What a call answers if all goes well.

    `body` is a struct, a list of one, or a tuple of structs of which it is any.
    """

    description: str
    body: Any = None
    example: Any = None
    headers: tuple[str, ...] = ()
    media_type: str = JSON
    makes_job: bool = False


class Operation(NamedTuple):
    """One call. Its path and query are those of its route, whose function has the name `id`.

    The problems that any call may have are not repeated in `refusals`.
    """

    id: str
    tag: str
    summary: str
    description: str
    answers: dict[int, Answer]
    refusals: tuple[Refusal, ...] = ()
    headers: tuple[str, ...] = ()
    body: Literal["job", "batch", "group", "edit"] | None = None


Operations = dict[tuple[str, str], Operation]  # by method and path

CONDITIONAL: Final = ("If-Match", "If-None-Match")
NOT_MODIFIED: Final = Answer("Nothing has changed since `If-None-Match`.", headers=("ETag",))


def malformed_as(detail: str) -> Refusal:
    """The problem of a request that is not as described, with an example of this call."""
    return MALFORMED._replace(detail=detail)


def fixed(
    id: str, tag: str, summary: str, description: str, answer: Answer, *refusals: Refusal
) -> Operation:
    """A call whose answer stays the same while the service runs, so that a client may keep it."""
    answers = {200: answer._replace(headers=("ETag",)), 304: NOT_MODIFIED}
    return Operation(id, tag, summary, description, answers, (*refusals, CHANGED), CONDITIONAL)
