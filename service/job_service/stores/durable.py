"""What stores do that keep jobs beyond the process: apply at once, and tell when it is kept."""

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import trio

from job_service.errors import StoreUnavailable
from job_service.jobs.state.attempt_transitions import release
from job_service.jobs.state.changes import CancelRequest, Change, Readiness
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import IllegalTransition, Job
from job_service.stores.commit import CannotKeep, Committer
from job_service.stores.group_store import GroupStore
from job_service.stores.live_reads import Nobody
from job_service.stores.outbox import Outbox, abandonments, withdraw
from job_service.stores.runner import Runner
from job_service.stores.unit_of_work import Call, UnitOfWork
from job_service.telemetry.events import Event

T = TypeVar("T")

_TOLD_BY_UNIT: Final = 300  # events and calls, of changes that nobody waits for


class DurableStore(GroupStore):
    """The base of stores whose jobs survive. Those that this process holds are in memory, too.

    What keeps the jobs is up to the store: it says how units of work are written. Meaning and
    errors of all other methods are those of `contract.Store`.
    """

    is_durable = True

    def __init__(
        self,
        emit: Callable[[Event], None],
        clock: Clock,
        *,
        capacity: int,
        capacity_bytes: int,
    ) -> None:
        self._emit = emit
        self._outbox = Outbox(self._say, Nobody())
        super().__init__(
            self._outbox.emit,
            clock,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            retain=math.inf,  # in memory: what has ended leaves it when it is kept
            retain_bytes=math.inf,
        )
        self._live.runner = self._outbox
        self._outbox.find = self._jobs.get
        self._live.groups.keep = self._outbox.keep_group
        self._committer = Committer(self._keep, self._tell, self._refuse, emit, clock)
        self._token: trio.lowlevel.TrioToken | None = None  # of the loop, while it is opened
        self._read_whole = trio.Event()

    @abstractmethod
    async def _write(self, units: Sequence[UnitOfWork]) -> None:
        """Keep these units, all or none of them. Raises CannotKeep."""

    @abstractmethod
    def _write_at_once(self, units: Sequence[UnitOfWork]) -> None:
        """As `_write`, for a thread that is not the loop's, and within a second or so."""

    @property
    def trouble(self) -> str | None:
        return self._committer.trouble

    def attach(self, runner: Runner) -> None:
        self._runner = self._outbox.runner = runner

    def apply(self, change: Change) -> None:
        """Changes that follow one another are one unit, because they are kept together anyway."""
        if type(change) is Readiness:  # which need not be kept
            self._live.apply(change)
            return
        unit = self._outbox.unit
        if unit.is_open and len(unit.told) < _TOLD_BY_UNIT:
            self._apply_in(unit, change)
            return
        unit = self._outbox.begin()
        self._apply_in(unit, change)
        unit.is_open = self._committer.add(unit)

    def _apply_in(self, unit: UnitOfWork, change: Change) -> None:
        """Apply a change in the unit that is under way."""
        self._live.apply(change)
        if type(change) is CancelRequest:  # of which no event tells
            unit.jobs[change.job.id] = change.job

    def _take_back(self, job: Job) -> bool:
        if not super()._take_back(job):
            return False
        # What is not told yet must not bring it back either.
        for unit in (*self._committer.waiting, self._outbox.unit):
            if job.id in unit.jobs:
                coming = (self._runner.add, job)
                unit.told = [
                    self._without_return(job, told)
                    for told in unit.told
                    if not isinstance(told, tuple) or told[:2] != coming
                ]
        return True

    def _without_return(self, job: Job, told: Event | Call) -> Event | Call:
        """An attempt of this job has ended for its runner, but the job does not come back."""
        if isinstance(told, tuple) and told[1] is job:
            return (self._runner.attempt_ended, job, None)
        return told

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        # What was in hand at a crash is still to be rescued, as long as not all is read.
        for job in self._live.unfinished() if self._read_whole.is_set() else ():
            if job.status == "processing":
                try:
                    self.apply(release(job, job.attempts[-1], reason_of(job), self.clock))
                except IllegalTransition:  # the loop turns again, and has moved the job on
                    continue
        if self._token is not None and not _is_running(self._token):
            self._keep_at_once()

    async def settled(self) -> None:
        await self._committer.settled()

    def abandon_unkept(self) -> None:
        self._abandon(self._committer.close())

    # How units are kept and told.

    def _say(self, event: Event) -> None:
        self._emit(event)

    def _let_go(self, job: Job) -> None:
        """The job has ended, and that is kept and told: it leaves memory."""
        self._live.index.drop(job)

    def _undo(self, units: deque[UnitOfWork]) -> None:
        """Take all submissions out of these units that can't be kept now: they never were."""
        withdraw(units, self._live)

    async def _as_unit(self, act: Callable[[UnitOfWork], T]) -> T:
        """What `act` does is one unit; its answer, when that is kept and told."""
        self._committer.require_no_trouble()  # which may have begun since the call did
        unit = self._outbox.begin()
        try:
            answer = act(unit)
        except BaseException:
            self._committer.add(unit)  # which has no more than events of what was turned away
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        self._committer.add(unit)
        await self._committer.kept()
        return answer

    async def _keep(self, units: Sequence[UnitOfWork]) -> None:
        await self._write(units)
        self._runner.hold(None)

    def _tell(self, unit: UnitOfWork) -> None:
        say = self._say
        for told in unit.told:
            if isinstance(told, tuple):
                told[0](*told[1:])
            else:
                say(told)
        for job in unit.ended:
            self._let_go(job)
        for group_id, standing in unit.groups.items():
            if standing.ended_at is not None:
                self._live.groups.discard(group_id)

    def _refuse(self, units: deque[UnitOfWork]) -> None:
        self._runner.hold("the store can't keep anything now")
        self._undo(units)

    def _keep_at_once(self) -> None:
        """From another thread, while the loop is blocked."""
        units = self._committer.take_over()
        try:
            self._write_at_once(units)
        except CannotKeep:
            self._abandon(units)
            return
        for unit in units:
            for told in unit.told:
                if not isinstance(told, tuple):  # the runner has nothing to run any more
                    self._say(told)

    def _abandon(self, units: Iterable[UnitOfWork]) -> None:
        reason = "store_closed" if self.trouble is None else "store_failing"
        for event in abandonments(units, reason, self.clock.now()):
            self._say(event)

    async def _require_open(self) -> None:
        """Raise StoreUnavailable if nothing can be kept now."""
        try:
            if not self._read_whole.is_set():
                raise StoreUnavailable("the store is still being read")
            self._committer.require_no_trouble()
        except StoreUnavailable:
            await trio.lowlevel.checkpoint()
            raise
        await trio.lowlevel.checkpoint_if_cancelled()

    async def _when_kept(self, answer: T) -> T:
        await self._committer.kept()
        return answer


def _is_running(token: trio.lowlevel.TrioToken) -> bool:
    """Whether this is the thread of the loop that this token is of."""
    return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is token
