"""What clients may do to a service, and job types that do whatever their submission says."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import trio
from hypothesis import strategies as st

from job_service import Discard, JobContext, Registry, Retry, Snooze
from job_service.jobs.state.model import Status

LIMITS = {"one at a time": 1, "two at a time": 2}
TYPES = ["plain", "timed", *LIMITS]
CLEANUP_SECONDS = 2
LINGERING_SECONDS = 10
LONG_ENOUGH = 1_000_000.0

Act = tuple[str, float]


async def perform(act: str, seconds: float, job: JobContext) -> None:
    """What a handler does in one run, after so many seconds."""
    if seconds:
        await trio.sleep(seconds)
    match act:
        case "fails":
            raise RuntimeError("no luck")
        case "discards":
            raise Discard("not worth it")
        case "snoozes":
            raise Snooze(5)
        case "gives up":
            raise LookupError("there is no such customer")
        case "tells its progress":
            for done in range(5):
                job.progress(done, 5, "on its way")
                await trio.sleep(0.1)
        case "outlasts its cancellation":
            try:
                await trio.sleep(4)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(LINGERING_SECONDS)
        case _:
            await _endure(act)


async def _endure(act: str) -> None:
    """How a handler takes its interruption."""
    match act:
        case "never ends":
            await trio.sleep_forever()
        case "swallows its cancellation":
            with suppress(trio.Cancelled):
                await trio.sleep_forever()
        case "takes its time to end":
            with trio.CancelScope(shield=True):
                await trio.sleep(CLEANUP_SECONDS)
        case "fails when it is interrupted":
            try:
                await trio.sleep(4)
            finally:
                raise RuntimeError("while tidying up")


def job_types() -> Registry:
    """Job types that do, in each run, what the next act of their payload says."""
    registry = Registry()
    runs: Counter[str] = Counter()
    retry = Retry(max_retries=2, base_seconds=3, jitter=0, give_up_on=LookupError)

    async def play(acts: list[Act], job: JobContext) -> None:
        run = runs[job.id]
        runs[job.id] += 1
        if run < len(acts):
            await perform(*acts[run], job)

    for name in TYPES:
        timeout = 3 if name == "timed" else None
        registry.job(name, retry=retry, timeout=timeout, concurrency=LIMITS.get(name))(play)
    return registry


def may_be_endless(acts: tuple[Act, ...]) -> bool:
    """Whether one of them is ended only by an interruption."""
    return any(act in ("never ends", "swallows its cancellation") for act, _ in acts)


@dataclass(frozen=True)
class Submission:
    """A job to be submitted, to start in so many `seconds`, or at the moment that is `by_date`.

    `after` counts from the newest of the jobs that there are.
    """

    type: str
    acts: tuple[Act, ...] = ()
    seconds: float | None = None
    by_date: bool = False
    priority: int | None = None
    unique_key: str | None = None
    after: tuple[int, ...] = ()
    max_retries: int | None = None

    @property
    def may_be_endless(self) -> bool:
        """Whether it may come to an act that only an interruption ends."""
        return may_be_endless(self.acts)


@dataclass(frozen=True)
class Submit:
    """A client submits one job, or a batch, perhaps with an idempotency key."""

    jobs: tuple[Submission, ...]
    as_batch: bool
    with_key: bool


@dataclass(frozen=True)
class Repeat:
    """A client repeats one of its submissions that have an idempotency key."""

    which: int


@dataclass(frozen=True)
class Cancel:
    """A client calls a job off."""

    which: int


@dataclass(frozen=True)
class RunNow:
    """A client wants a job to wait no longer."""

    which: int


@dataclass(frozen=True)
class Change:
    """A client gives a job another payload, and perhaps another time or priority."""

    which: int
    acts: tuple[Act, ...]
    seconds: float | None
    priority: int | None


@dataclass(frozen=True)
class CancelAll:
    """A client calls off all jobs of a type, or those that are pending or processing."""

    type: str
    status: Status | None


@dataclass(frozen=True)
class RunAgain:
    """A client wants a job once more."""

    which: int


@dataclass(frozen=True)
class Pause:
    """Nothing more is to start, or nothing of a type."""

    type: str | None


@dataclass(frozen=True)
class Resume:
    """The opposite."""

    type: str | None


@dataclass(frozen=True)
class TimePasses:
    """Nobody does anything; with 0 seconds, only until all is quiet."""

    seconds: float


Step = (
    Submit | Repeat | Cancel | RunNow | Change | CancelAll | RunAgain | Pause | Resume | TimePasses
)


@dataclass(frozen=True)
class End:
    """The service drains, with these steps meanwhile, and may then be stopped before it is done."""

    grace: float
    meanwhile: tuple[Step, ...]
    is_cut_short: bool


# What comes more than once is to come more often.
acts = st.tuples(
    st.sampled_from(
        [
            *("completes", "completes", "fails", "fails", "discards", "snoozes", "never ends"),
            *("swallows its cancellation", "takes its time to end", "fails when it is interrupted"),
            *("gives up", "tells its progress", "outlasts its cancellation"),
        ]
    ),
    st.sampled_from([0.0, 0.0, 1.0, 10.0]),
)
which = st.integers(0, 15)
submissions = st.builds(
    Submission,
    type=st.sampled_from(TYPES),
    acts=st.lists(acts, max_size=3).map(tuple),
    seconds=st.sampled_from([None, None, 0.0, 1.0, 7.0, 60.0]),
    by_date=st.booleans(),
    priority=st.sampled_from([None, None, 0, 9]),
    unique_key=st.sampled_from([None, None, "a", "b"]),
    after=st.lists(st.integers(0, 2), max_size=2).map(tuple),
    max_retries=st.sampled_from([None, 0, 1]),
)
submit_one = st.builds(Submit, st.tuples(submissions), st.just(False), st.booleans())
submit_batch = st.builds(
    Submit, st.lists(submissions, min_size=1, max_size=3).map(tuple), st.just(True), st.booleans()
)
time_passes = st.builds(TimePasses, st.sampled_from([0.0, 0.0, 0.5, 3.0, 20.0]))
type_or_all = st.sampled_from([None, "plain", *TYPES])
kinds: list[st.SearchStrategy[Step]] = [
    *[submit_one] * 5,
    *[submit_batch] * 2,
    *[time_passes] * 5,
    *[st.builds(Cancel, which)] * 2,
    *[st.builds(RunNow, which)] * 2,
    *[
        st.builds(
            Change,
            which,
            st.lists(acts, max_size=2).map(tuple),
            st.sampled_from([None, 0.0, 5.0, 60.0]),
            st.sampled_from([None, 0, 9]),
        )
    ]
    * 2,
    st.builds(CancelAll, st.sampled_from(TYPES), st.sampled_from([None, "pending", "processing"])),
    st.builds(RunAgain, which),
    st.builds(Repeat, which),
    *[st.builds(Pause, type_or_all)] * 2,
    *[st.builds(Resume, type_or_all)] * 4,
]
steps = st.sampled_from(kinds).flatmap(lambda kind: kind)
lives = st.lists(st.lists(steps, max_size=10), max_size=8).map(lambda parts: [*chain(*parts)])
ends = st.builds(
    End,
    grace=st.sampled_from([0.0, 5.0, LONG_ENOUGH]),
    meanwhile=st.lists(steps, max_size=4).map(tuple),
    is_cut_short=st.booleans(),
)
