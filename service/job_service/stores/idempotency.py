"""Remembers requests with an idempotency key, so that the same one again makes no new job."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec import Struct, structs

from job_service.errors import IdempotencyKeyReused
from job_service.jobs.state.detail import JobSummary
from job_service.jobs.state.model import Ending
from job_service.stores.contract import KeyedRequest

REMEMBERED_SECONDS = 24 * 3_600.0
MAX_REMEMBERED_JOBS = 100_000


class _Answer(Struct, frozen=True, gc=False):
    # With what it has, nothing that the garbage collector would look at, because there may be many.
    asked: bytes
    jobs: tuple[JobSummary, ...]  # as they were first
    endings: tuple[Ending, ...]  # how they have ended since
    until: float


class IdempotencyKeys:
    """Remembers what was asked with each key and which jobs that made.

    A key is remembered for REMEMBERED_SECONDS. If the jobs of all keys are more than
    MAX_REMEMBERED_JOBS, the oldest keys are forgotten before, but never the newest. A key that made
    no job counts as one job.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        # The oldest first; a plain dict would look for that one behind all that were deleted.
        self._answers = OrderedDict[str, _Answer]()
        self._jobs = 0

    def recall(self, request: KeyedRequest) -> Sequence[JobSummary] | None:
        """The jobs that this request was answered with before; None if it was not made before.

        They are as they were then. Of one that has ended, that and when is told, and nothing that
        holds only before.

        Raises IdempotencyKeyReused if something else was asked with its key.
        """
        self._forget_the_old()
        answer = self._answers.get(request.key)
        if answer is None:
            return None
        if answer.asked != request.asked:
            raise IdempotencyKeyReused("this idempotency key was used for another request")
        return [
            job if ending.status is None else as_ended(job, ending)
            for job, ending in zip(answer.jobs, answer.endings, strict=True)
        ]

    def remember(
        self,
        request: KeyedRequest,
        jobs: Sequence[JobSummary],
        endings: Sequence[Ending],
        seconds: float = REMEMBERED_SECONDS,
    ) -> None:
        """This request, which was not known, has made these jobs.

        Of each, `endings` has what says how it has ended, for the day when it is no longer kept.
        """
        until = self._monotonic() + seconds
        self._answers[request.key] = _Answer(request.asked, tuple(jobs), tuple(endings), until)
        self._jobs += len(jobs) or 1
        self._forget_the_old()

    def forget(self, key: str) -> None:
        """What was asked with this key was not done after all."""
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._jobs -= len(answer.jobs) or 1

    def _forget_the_old(self) -> None:
        now = self._monotonic()
        while self._answers:
            oldest = next(iter(self._answers))
            answer = self._answers[oldest]
            fits = self._jobs <= MAX_REMEMBERED_JOBS or len(self._answers) == 1
            if answer.until > now and fits:
                return
            del self._answers[oldest]
            self._jobs -= len(answer.jobs) or 1


def as_ended(first: JobSummary, ending: Ending) -> JobSummary:
    """The job as it was first, but ended; how its attempts went is no longer known."""
    return structs.replace(
        first,
        status=ending.status,
        finished_at=ending.finished_at,
        run_at=None,
        progress=None,
        cancel_requested=False,
        error=None,
    )


def replayed(now: JobSummary, first: JobSummary) -> JobSummary:
    """The job as it is now, for a request that was answered with `first` before."""
    return structs.replace(now, replayed=True, duplicate=first.duplicate)
