"""What a process asks the database for: jobs to run, answers, and what is to be done there."""

import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar

import psycopg
import trio

from job_service.errors import StoreUnavailable
from job_service.failures.report import describe
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.limits import NO_LIMITS
from job_service.jobs.state.model import Job
from job_service.stores.postgres import node as nodes
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.idleness import Idleness
from job_service.stores.postgres.member import Member
from job_service.stores.postgres.reading import Reader
from job_service.stores.postgres.submission import Submission
from job_service.stores.postgres.writing import Claim
from job_service.stores.unit_of_work import UnitOfWork
from job_service.telemetry.events import Event, StoreFailed

T = TypeVar("T")

FIRST_POLL_SECONDS: Final = 0.02
UNSTARTED_SECONDS: Final = 1.0  # that a ready job may wait here while all workers are busy
POLL_SECONDS: Final = 1.0  # beside NOTIFY, by which most things are known sooner


class Claimant(Member):
    """Takes jobs when there are some for its free workers, and asks for all else."""

    def __init__(
        self,
        conninfo: str,
        emit: Callable[[Event], None],
        clock: Clock | None,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: int,
        lease_seconds: float,
        stays_seconds: float,
    ) -> None:
        super().__init__(
            conninfo,
            emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=retain,
            lease_seconds=lease_seconds,
            stays_seconds=stays_seconds,
        )
        self._reader = Reader(conninfo)
        self._pages = Reader(conninfo)  # apart, because nothing else can wait for a search
        self._idleness = Idleness(self.clock.monotonic)
        self._told_types: tuple[nodes.NodeId, list[str]] = self.node, []

    @property
    def why_idle(self) -> str | None:
        return self._idleness.why

    async def _claim_now_and_then(self) -> None:
        # What others are about to claim is passed over, and they may take less of it. So it looks
        # again soon, and then ever less often.
        pause = FIRST_POLL_SECONDS
        while True:
            self._may_claim = trio.Event()
            with suppress(StoreUnavailable):
                self._idleness.note_look(in_vain=await self._claims_in_vain())
            with trio.move_on_after(pause * random.uniform(0.5, 1.0)) as waiting:
                await self._may_claim.wait()
            pause = min(2 * pause, POLL_SECONDS) if waiting.cancelled_caught else FIRST_POLL_SECONDS

    async def _leave_overdue_to_others(self) -> None:
        """Give back what was claimed ahead and has a long job in front of it."""
        while True:
            await trio.sleep(UNSTARTED_SECONDS / 2)
            if self.trouble is None and self._runner.demand().workers == 0:
                since = self.clock.monotonic() - UNSTARTED_SECONDS
                self._give_back_ready(
                    job for job in self._live.unfinished() if _is_overdue(job, since)
                )

    def _give_back_ready(self, jobs: Iterable[Job]) -> None:
        """Leave these jobs to others, but for those that are about to start."""
        given = [job for job in jobs if job.id not in self._given and self._take_back(job)]
        if given:
            self._given.update(job.id for job in given)
            self._ended_lately = 0  # or the same would be claimed ahead again
            self._give_back(given)

    async def _claims_in_vain(self) -> bool:
        """Take jobs if there are any; whether it got none, although some could have been taken."""
        if not await self._finds_any_to_claim():
            return False
        claim = Claim()
        await self._ask(claim)
        return claim.taken == 0 and await self._finds_any_without_limit()

    async def _finds_any_to_claim(self) -> bool:
        demand = self._runner.demand()
        if (self.node, sorted(demand.limits)) != self._told_types:
            self._told_types = told = self.node, sorted(demand.limits)
            await self._question(
                self._reader.do(lambda connection: nodes.tell_types(connection, *told))
            )
            await self._question(self._reader.do(self._forget_keys))
        if demand.workers <= demand.waiting:
            return False
        return await self._is_any_ready(demand.limits)

    async def _finds_any_without_limit(self) -> bool:
        """Whether jobs were left that this process could have taken."""
        demand = self._runner.demand()
        if demand.workers <= demand.waiting:
            return False
        return await self._is_any_ready(
            name for name, limits in demand.limits.items() if limits == NO_LIMITS
        )

    async def _is_any_ready(self, types: Iterable[str]) -> bool:
        return await self._question(self._reader.any_ready(types, self._misfits))

    async def _forget_keys(self, connection: Connection) -> None:
        """Jobs that were submitted with a limit key wait without one, if their type has none."""
        types = [name for name, each in self._runner.demand().limits.items() if not each.is_per_key]
        await connection.execute(
            """
            UPDATE job_service.jobs SET limit_key = NULL
            WHERE type = ANY(%s) AND node IS NULL AND awaits = 0 AND limit_key IS NOT NULL
            """,
            [types],
        )

    async def _ask(self, item: object, *events: Event) -> None:
        """Have this done in a transaction, and return when that is kept and told.

        Raises StoreUnavailable.
        """
        self._committer.require_no_trouble()
        unit = UnitOfWork()
        unit.beside.append(item)
        unit.told += events
        unit.is_submission = isinstance(item, Submission)
        self._committer.add(unit)
        await self._committer.kept()

    async def _question(self, answer: Awaitable[T]) -> T:
        """What is read. Raises StoreUnavailable if it can't be."""
        try:
            return await answer
        except psycopg.Error as error:
            self._note_failure(error)
            why = f"the store can't be read now: {describe(error)}"
            raise StoreUnavailable(why) from error

    def _note_failure(self, error: psycopg.Error) -> None:
        """Something other than a commit has failed: find out whether commits fail, too."""
        self._emit(StoreFailed(timestamp=self.clock.now(), error=describe(error)))
        self._committer.try_out()


def _is_overdue(job: Job, since: float) -> bool:
    """Whether the job waits for a worker, since then or for longer.

    One that runs alone waits for all workers, as it would anywhere.
    """
    ready = job.ready_monotonic if job.status == "pending" else None
    return ready is not None and ready <= since and not job.runs_alone
