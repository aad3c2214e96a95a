"""The counts add up: whatever is done to the jobs that are held, and at every moment of it."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from job_service.jobs.state.attempt_transitions import complete, cut_short, fail, retry, snooze
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, Draft, Job
from job_service.jobs.state.state_index import StateIndex as Index
from job_service.jobs.state.transitions import abandon, cancel, enqueue, fail_unstarted
from job_service.jobs.state.weight import weight_in_bytes
from job_service.telemetry.counting import Metrics
from job_service.telemetry.events import Event, JobEvent
from tests.conftest import assert_balanced
from tests.jobs.desk import Desk
from tests.jobs.steps import ENDINGS

RETAIN = 3
CAPACITY = 4


class StateIndex(RuleBasedStateMachine):
    """Does to jobs whatever their table allows, and compares the metrics with a plain count."""

    pending = Bundle("pending")
    ready = Bundle("ready")
    processing = Bundle("processing")

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.events: list[Event] = []
        self.metrics = Metrics(CAPACITY)
        self.count: Counter[str] = Counter()
        self.finished: list[str] = []
        self.unfinished: set[str] = set()
        self.ready_now: set[str] = set()
        self.holders: dict[str, str] = {}  # the job of each unique key
        self.run_seconds = 0.0
        self.started: dict[str, float] = {}
        start = datetime(2026, 1, 31, tzinfo=UTC)
        self.clock = Clock(lambda: start + timedelta(seconds=self.seconds), lambda: self.seconds)
        self.desk = Desk(self.clock, self.hear, capacity=CAPACITY, retain=RETAIN)
        self.index = self.desk.live.index

    def hear(self, event: Event) -> None:
        """Observe as an emitter would have the metrics and a record do."""
        self.metrics.observe(event)
        self.events.append(event)

    @rule(seconds=st.sampled_from([0.25, 60.0, 86_400.0]))
    def time_passes(self, seconds: float) -> None:
        """Both clocks go on."""
        self.seconds += seconds

    @rule(
        target=pending,
        priority=st.integers(0, 9),
        delay_seconds=st.sampled_from([None, 0.0, 60.0]),
        key=st.sampled_from([None, None, "a", "b"]),
    )
    def submit(
        self, priority: int, delay_seconds: float | None, key: str | None
    ) -> MultipleResults[Job]:
        """A submission is accepted, or finds its unique key held."""
        holder = self.index.holder("email", key) if key is not None else None
        assert (holder.id if holder else None) == self.holders.get(key or "")
        if holder is not None:
            return multiple()
        draft = Draft("email", b"{}", 3, priority, delay_seconds, unique_key=key)
        job = self.desk.create(draft)
        self.count["created"] += 1
        self.unfinished.add(job.id)
        if key is not None:
            self.holders[key] = job.id
        return multiple(job)

    @rule(target=ready, job=consumes(pending))
    def enqueue(self, job: Job) -> Job:
        """A pending job becomes ready, for the first time or again."""
        self.desk.apply(enqueue(job, self.clock))
        self.ready_now.add(job.id)
        return job

    @rule(job=consumes(pending))
    def fail_unstarted(self, job: Job) -> None:
        """What the job was to come after has not completed."""
        self.desk.apply(fail_unstarted(job, "it comes after another", self.clock))
        self.ended(job, "failed")

    @rule(target=processing, job=consumes(ready))
    def start(self, job: Job) -> Job:
        """A worker begins an attempt."""
        self.ready_now.remove(job.id)
        self.desk.start(job)
        self.started[job.id] = self.seconds
        return job

    @rule(target=pending, job=consumes(processing))
    def retry(self, job: Job) -> Job:
        """The attempt failed and is to be repeated."""
        self.desk.apply(
            retry(job, job.attempts[-1], "ValueError: no", "Traceback …", 1.0, self.clock)
        )
        self.count["retried"] += 1
        self.run_seconds += self.seconds - self.started.pop(job.id)
        return job

    @rule(target=pending, job=consumes(processing))
    def snooze(self, job: Job) -> Job:
        """The handler wants the job back later, which costs no retry."""
        snoozes, retries = job.snoozes, job.retries
        self.desk.apply(snooze(job, job.attempts[-1], 1.0, self.clock))
        assert (job.snoozes, job.retries) == (snoozes + 1, retries)
        assert (job.attempts[-1].number, job.attempts[-1].outcome) == (job.runs, "snoozed")
        self.count["snoozed"] += 1
        self.run_seconds += self.seconds - self.started.pop(job.id)
        return job

    @rule(job=consumes(processing), end=st.sampled_from(["completed", "failed"]))
    def finish(self, job: Job, end: str) -> None:
        """The attempt is over, and so is the job."""
        attempt = job.attempts[-1]
        if end == "completed":
            self.desk.apply(complete(job, attempt, b"null", self.clock))
        else:
            self.desk.apply(fail(job, attempt, "ValueError: no", "Traceback: no", self.clock))
        self.ended(job, end)

    @rule(
        job=st.one_of(consumes(pending), consumes(ready), consumes(processing)),
        end=st.sampled_from(["cancelled", "abandoned"]),
    )
    def end_early(self, job: Job, end: str) -> None:
        """A job is called off or left behind, whether it runs or not."""
        to: Literal["cancelled", "abandoned"] = "cancelled" if end == "cancelled" else "abandoned"
        if job.status == "processing":
            self.desk.apply(cut_short(job, job.attempts[-1], to, "requested", self.clock))
        else:
            decide = cancel if to == "cancelled" else abandon
            self.desk.apply(decide(job, "requested", self.clock))
        self.ended(job, end)

    def ended(self, job: Job, end: str) -> None:
        """Note the end in the model."""
        self.count[end] += 1
        self.unfinished.remove(job.id)
        self.ready_now.discard(job.id)
        self.holders = {key: held for key, held in self.holders.items() if held != job.id}
        self.finished.append(job.id)
        if job.id in self.started:
            self.run_seconds += self.seconds - self.started.pop(job.id)

    @invariant()
    def the_books_balance(self) -> None:
        """The conservation law, as `/metrics` states it."""
        assert_balanced(self.metrics.snapshot())

    @invariant()
    def the_metrics_agree_with_a_plain_count(self) -> None:
        """No counter is off, and the store's own view is the same."""
        now = self.metrics.snapshot()
        for name in (
            "created",
            "completed",
            "failed",
            "retried",
            "snoozed",
            "cancelled",
            "abandoned",
        ):
            assert getattr(now, f"jobs_{name}") == self.count[name], name
        assert now.jobs_in_progress == self.desk.counts["processing"] == len(self.started)
        assert now.jobs_pending == self.desk.counts["pending"]
        assert now.jobs_ready == len(self.ready_now)
        assert now.jobs_pending == len(self.unfinished) - len(self.started)
        assert now.run_seconds_total == round(self.run_seconds, 6)

    @invariant()
    def what_jobs_weigh_adds_up(self) -> None:
        """Nothing is left of a job that has gone, and nothing is counted twice."""
        finished = [job for job in self.index.jobs if job.status in TERMINAL]
        assert all(job.weight == weight_in_bytes(job) for job in finished)
        assert self.index.weight == sum(job.weight for job in self.index.jobs)
        unfinished = sum(job.weight for job in self.index.jobs if job.status not in TERMINAL)
        assert self.index.unfinished_bytes == unfinished

    @invariant()
    def each_job_is_created_once_and_ends_at_most_once(self) -> None:
        """Counted over the events, as a reader of the log would."""
        told = Counter(
            (event.job_id, "end" if event.event in ENDINGS else event.event)
            for event in self.events
            if isinstance(event, JobEvent)
        )
        for job_id in self.unfinished:
            assert (told[job_id, "job_created"], told[job_id, "end"]) == (1, 0)
        for job_id in self.finished:
            assert (told[job_id, "job_created"], told[job_id, "end"]) == (1, 1)

    @invariant()
    def the_oldest_finished_are_forgotten_and_unfinished_ones_never(self) -> None:
        """What is kept is every unfinished job and the last few that finished."""
        kept = {job.id for job in self.index.jobs}
        assert kept == self.unfinished | set(self.finished[-RETAIN:])
        page = self.index.jobs.page(JobFilter(), after=None, limit=1_000).jobs
        assert [job.id for job in page] == sorted(kept)


StateIndex.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBooks = StateIndex.TestCase


def test_a_unique_key_stays_with_who_has_it_now() -> None:
    """In a shared store the one before may have ended elsewhere, and this process hears it late."""
    now = datetime.now(UTC)
    index = Index(RETAIN, 10**6)
    first, second = [Job(n, "email", b"null", 5, now, now, unique_key="ada") for n in "12"]
    index.add(first)
    index.add(second)
    index.drop(first)
    assert index.holder("email", "ada") is second
    index.drop(second)
    assert index.holder("email", "ada") is None
