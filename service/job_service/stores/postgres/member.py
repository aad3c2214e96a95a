"""What a process writes to the store that it shares, and what has come of it."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import psycopg
import trio

from job_service.failures.report import describe
from job_service.jobs.state.capacity import Capacity, Totals
from job_service.jobs.state.clock import Clock
from job_service.stores.commit import CannotKeep
from job_service.stores.postgres import node as nodes
from job_service.stores.postgres.batch import Batch, released, strike
from job_service.stores.postgres.calling_off import CallOff
from job_service.stores.postgres.connection import connect
from job_service.stores.postgres.editing import EditElsewhere
from job_service.stores.postgres.holder import Holder
from job_service.stores.postgres.rescuing import Rescue
from job_service.stores.postgres.schedules import ChangeSchedule
from job_service.stores.postgres.server_time import ServerTime
from job_service.stores.postgres.signals import READY_EVERY_SECONDS
from job_service.stores.postgres.submission import Submission
from job_service.stores.postgres.transaction import InDoubt, Writer, at_once
from job_service.stores.postgres.unreadable import NO_EDITS
from job_service.stores.postgres.writing import AHEAD, MOST_AHEAD, Claim, Done, Means, Work
from job_service.stores.runner import Demand
from job_service.stores.unit_of_work import UnitOfWork
from job_service.telemetry.events import Event, JobReleased, JobsClaimed


class Member(Holder):
    """Writes units of work, and claims jobs.

    If its lease is over, it has lost all that it held, and goes on under a new name.
    """

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
        self._conninfo = conninfo
        server_time = ServerTime((clock or Clock()).elapsed)
        super().__init__(
            emit,
            clock or Clock(server_time.now),
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            stays_seconds=stays_seconds,
        )
        self.node = nodes.new_id()
        self._retain = retain
        self._lease_seconds = lease_seconds
        self._words_of_capacity: list[Event] = []
        self._limits = Capacity(  # of the whole store
            self._live.index,
            self._words_of_capacity.append,
            self.clock,
            capacity,
            capacity_bytes,
        )
        self._writer = Writer(conninfo, self.clock.now, server_time.learn)
        self._paused: set[str] = set()
        self._in_doubt: tuple[InDoubt, Batch, Done] | None = None
        self._must_look_for_strays = False
        self._expects_more = False
        self._ended_lately = 0
        self._ended_untrimmed = 0
        self._said_ready_at = -math.inf
        self._must_say_ready = trio.Event()  # again whenever that was said too lately to say it
        self._may_claim = trio.Event()  # again whenever there is something to take
        self._must_hear = trio.Event()  # again whenever somebody has said something

    def note_demand(self) -> None:
        self._may_claim.set()

    async def _write(self, units: Sequence[UnitOfWork]) -> None:
        lost = set[str]()
        if (units := await self._resolve_doubt(units)) == []:
            return
        while True:
            self._type_limits = self._runner.demand().limits or self._type_limits
            batch = Batch(units, self.node, self._stays, lost, self._type_limits)
            self._let_go_of_given(batch)
            work = Work(batch, self._means(batch))
            try:
                done = await self._writer.run(self.node, work.do)
            except nodes.LeaseOver:
                lost |= self._jobs_held() | batch.jobs.keys()
                await self._begin_anew()
            except psycopg.Error as error:
                self._must_look_for_strays = True
                if isinstance(error, InDoubt):
                    self._in_doubt = error, batch, work.done
                raise CannotKeep(describe(error)) from error
            else:
                break
        done.lost |= lost
        self._conclude(batch, done)

    async def _resolve_doubt(self, units: Sequence[UnitOfWork]) -> Sequence[UnitOfWork]:
        """Find out whether the last transaction has committed; the units that are still to write.

        Raises CannotKeep if the server does not say so.
        """
        if self._in_doubt is None:
            return units
        doubt, batch, done = self._in_doubt
        try:
            has_committed = await self._writer.has_committed(doubt.node, doubt.number)
        except psycopg.Error as error:
            raise CannotKeep(describe(error)) from error
        self._in_doubt = None
        if not has_committed:
            return units
        waiting = set(self._committer.waiting)
        batch.units = [unit for unit in batch.units if unit in waiting]
        if batch.units:
            self._conclude(batch, done)
        self._must_look_for_strays = True  # jobs of callers who were refused meanwhile
        return [unit for unit in units if unit not in batch.units]

    def _write_at_once(self, units: Sequence[UnitOfWork]) -> None:
        batch = Batch(units, self.node, lambda _: False, limits=self._type_limits)
        batch.asks = []  # whoever asks gets no answer any more
        work = Work(batch, replace(self._means(batch), demand=Demand()))
        try:
            done = at_once(self._conninfo, self.node, self.clock.now(), work.do)
        except (psycopg.Error, nodes.LeaseOver) as error:
            raise CannotKeep(describe(error)) from error
        for job_id in done.lost:
            strike(units, batch.jobs[job_id], self.clock.now())
        for call in done.calls:
            self._tell_of(units[-1], call, done)
        units[-1].told += done.told_of_groups

    def _means(self, batch: Batch) -> Means:
        demand = self._runner.demand()
        now = self.clock.monotonic()
        held = None
        if self._must_look_for_strays:
            held = [*self._jobs_held(), *batch.jobs]
        return Means(
            clock=self.clock,
            capacity=self._capacity_of,
            is_closed=self._admission.is_closed,
            demand=demand,
            paused=self._paused,
            stays_seconds=self._stays_seconds,
            ahead=min(AHEAD * self._ended_lately, MOST_AHEAD),
            without=self._misfits,
            retain=self._retain,
            ended_untrimmed=self._ended_untrimmed,
            may_say_ready=now >= self._said_ready_at + READY_EVERY_SECONDS,
            expects_more=self._expects_more,
            held=held,
            is_full=self._limits.is_full,
        )

    def _capacity_of(self, totals: Totals) -> Capacity:
        self._limits.totals = totals
        return self._limits

    def _conclude(self, batch: Batch, done: Done) -> None:
        """It has committed: let the units tell what it has led to. There is no checkpoint."""
        self._must_look_for_strays = False
        units = batch.units
        waiting = list(self._committer.waiting)
        self._lose_all(done.lost, batch, waiting)
        units[-1].told += self._told_of_given(batch, done.lost)
        written = {job.id for job in (*batch.ended, *batch.given)}
        self._given -= written | done.lost
        for unit in waiting[len(units) :]:
            for job_id in unit.jobs.keys() & written:
                del unit.jobs[job_id]
        for unit in units:
            for job in tuple(unit.ended):
                unit.told += done.followed.told.get(job.id, ())
            for ask in unit.beside:
                self._tell_of(unit, ask, done)
        self._tell_of_called_off(units[-1], batch, done)
        units[-1].told += done.told_of_groups
        if done.totals is not None:
            self._limits.totals = done.totals
            if self._limits.is_full:
                self._limits.eased()
        self._ended_lately = len(batch.ended)
        self._ended_untrimmed = 0 if done.is_trimmed else self._ended_untrimmed + done.ended
        self._note_claimed(units[-1], done)

    def _lose_all(self, lost: Collection[str], batch: Batch, waiting: list[UnitOfWork]) -> None:
        for job_id in lost:
            job = self._jobs.get(job_id) or batch.jobs.get(job_id)
            if job is not None:
                strike(waiting, job, self.clock.now())
                self._lose(job)

    def _told_of_given(self, batch: Batch, lost: Collection[str]) -> list[Event]:
        """That jobs were given back, but for those of which a unit tells that itself."""
        if not batch.given:  # as nearly always, which spares a look at all that is told
            return []
        told = {
            event.job_id
            for unit in self._committer.waiting
            for event in unit.told
            if isinstance(event, JobReleased)
        }
        now = self.clock.now()
        return [
            released(job, now) for job in batch.given if job.id not in told and job.id not in lost
        ]

    def _tell_of(self, unit: UnitOfWork, ask: object, done: Done) -> None:
        if isinstance(ask, Submission):
            unit.told += ask.told
            unit.told += [(self._take_new, job) for job in ask.taken]
        elif isinstance(ask, EditElsewhere | ChangeSchedule):
            unit.told += ask.told
        elif isinstance(ask, Claim):
            ask.taken = len(done.claimed.jobs)
        elif isinstance(ask, CallOff | Rescue):
            unit.told += ask.told
            for job in ask.ended:
                unit.told += done.followed.told.get(job.id, ())

    def _tell_of_called_off(self, unit: UnitOfWork, batch: Batch, done: Done) -> None:
        """Others have called jobs off while this process wrote what had become of them."""
        for call in done.calls:
            self._tell_of(unit, call, done)
        for job_id, (reason, by) in done.called_off.items():
            call_off = partial(self._call_off_here, reason=reason, by=by)
            unit.told.append((call_off, batch.jobs[job_id]))

    def _note_claimed(self, unit: UnitOfWork, done: Done) -> None:
        now, claimed = self.clock.now(), done.claimed.jobs
        if done.wanted:
            self._expects_more = len(claimed) >= done.wanted
        if claimed:
            unit.told.append(JobsClaimed(timestamp=now, jobs=len(claimed)))
            unit.told += [(self._take_claimed, job) for job in claimed]
        if done.claimed.any_to_edit:
            self._must_hear.set()
        for each in done.claimed.unreadable:
            unit.told.append(self._note_misfit(each.job_id, each.job_type, NO_EDITS, each.why))
            self._may_claim.set()  # others, which they were taken for
        if done.any_ready:
            if done.said_ready:
                self._said_ready_at = self.clock.monotonic()
            else:
                self._must_say_ready.set()
            self._may_claim.set()
        unit.told += self._words_of_capacity
        self._words_of_capacity.clear()

    async def _begin_anew(self) -> None:
        """Go on under a new name. Raises CannotKeep."""
        self.node = nodes.new_id()
        try:
            connection = await connect(self._conninfo)
            async with connection:
                await nodes.register(connection, self.node, self._lease_seconds)
        except psycopg.Error as error:
            raise CannotKeep(describe(error)) from error
