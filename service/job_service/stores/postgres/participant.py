"""What a process does for as long as it shares the store: listen, and lend a hand."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeVar

import msgspec
import psycopg
import trio
from msgspec import UNSET, structs

from job_service.errors import JobServiceError, StoreRefused, StoreUnavailable
from job_service.failures.report import describe
from job_service.jobs.state.attempt_transitions import rescue
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.model import TERMINAL, Job, Status
from job_service.stores.location import PostgresLocation
from job_service.stores.postgres import node as nodes
from job_service.stores.postgres import schema
from job_service.stores.postgres.awaited import Awaited
from job_service.stores.postgres.claimant import POLL_SECONDS, Claimant
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.hearing import hear
from job_service.stores.postgres.holder import STAYS_SECONDS
from job_service.stores.postgres.pace import tell_pace
from job_service.stores.postgres.pooling import is_pooled
from job_service.stores.postgres.rescuing import Rescue, by_lease
from job_service.stores.postgres.retention import EVERY_SECONDS, keep_house
from job_service.stores.postgres.signals import READY_EVERY_SECONDS, Signal, listen, say_ready
from job_service.stores.postgres.word import decode
from job_service.stores.unit_of_work import Pause
from job_service.telemetry.events import Event, QueuePaused, QueueResumed, StoreOpened

T = TypeVar("T")

TURN_SECONDS: Final = 1.0


class Participant(Claimant):
    """Takes part in the service: listens to others, and does what they ask it for.

    Whatever it hears by NOTIFY it would also find out by itself, a little later.
    """

    def __init__(
        self,
        conninfo: str,
        emit: Callable[[Event], None],
        clock: Clock | None = None,
        *,
        capacity: int,
        capacity_bytes: int,
        retain: int,
        retain_seconds: float | None = None,
        max_losses: int = 3,
        lease_seconds: float = nodes.LEASE_SECONDS,
        stays_seconds: float = STAYS_SECONDS,
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
        self.name = str(PostgresLocation(conninfo))
        self._retain_seconds = retain_seconds
        self._max_losses = max_losses
        self._awaited = Awaited()
        self._own_pauses = 0  # that are not kept yet
        self._turned_at = 0.0  # on the monotonic clock, when the loop was seen to turn

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self._token = trio.lowlevel.current_trio_token()
        await self._enter()
        lease = nodes.Lease(
            self._conninfo, self._lease_seconds, lambda: self.node, self._has_turned_lately
        )
        self._turned_at = self.clock.elapsed()
        lease.start()
        try:
            async with trio.open_nursery() as nursery:
                for task in (self._committer.run, self._turn, self._be_member):
                    nursery.start_soon(task)
                try:
                    yield
                finally:
                    nursery.cancel_scope.cancel()
        finally:
            self._committer.close()
            lease.stop()
            with trio.CancelScope(shield=True), suppress(psycopg.Error):
                await self._reader.do(lambda connection: nodes.leave(connection, self.node))
                await self._reader.close()
                await self._pages.close()
                await self._writer.close()

    async def _enter(self) -> None:
        """Bring the tables up to date, and let others know of this process."""
        try:
            connection = await self._writer.connected()
            await schema.migrate(connection)
            await nodes.register(connection, self.node, self._lease_seconds)
        except BaseException as error:
            await self._writer.close()
            if isinstance(error, psycopg.Error):
                raise StoreRefused(f"can't use {self.name}: {describe(error)}") from None
            raise

    async def recover(self) -> None:
        began = self.clock.monotonic()
        counts = await self._question(self._reader.counts())
        self._say(
            StoreOpened(
                timestamp=self.clock.now(),
                store=self.name,
                node=str(self.node),
                jobs_pending=0,
                jobs_rescued=0,
                jobs_finished=finished(counts),
                open_seconds=round(self.clock.monotonic() - began, 6),
            )
        )
        await self._hear()
        self._read_whole.set()

    def leave_behind(self, reason_of: Callable[[Job], str]) -> None:
        self._leave()
        super().leave_behind(reason_of)

    def close(self) -> None:
        super().close()
        self._must_hear.set()

    # Its tasks.

    async def _be_member(self) -> None:
        await self._read_whole.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._claim_now_and_then)
            nursery.start_soon(self._hear_now_and_then)
            if not is_pooled(self._conninfo):
                nursery.start_soon(listen, self._conninfo, self._begin_to_listen, self._note_signal)
            nursery.start_soon(self._rescue_now_and_then)
            nursery.start_soon(self._say_ready_later)
            nursery.start_soon(self._leave_overdue_to_others)
            nursery.start_soon(self._awaited.look, self._reader, self._jobs.__contains__)
            nursery.start_soon(self._keep_house)
            nursery.start_soon(
                tell_pace, self._reader, lambda: self.node, lambda: self._runner.view().types
            )

    async def _turn(self) -> None:
        while True:
            self._turned_at = self.clock.elapsed()
            await trio.sleep(TURN_SECONDS)

    def _has_turned_lately(self) -> bool:
        return self.clock.elapsed() < self._turned_at + nodes.STALL_SECONDS

    async def _hear_now_and_then(self) -> None:
        while True:
            with trio.move_on_after(POLL_SECONDS * random.uniform(0.5, 1.0)):
                await self._must_hear.wait()
            self._must_hear = trio.Event()
            with suppress(StoreUnavailable):
                await self._hear()
            if self._admission.is_closed and not self._runner.demand().limits:
                self._leave()  # nothing starts here any more

    async def _hear(self) -> None:
        """Do what others have said: pause, go on, call off jobs, and change them."""
        paused, schedules = self._paused, self._schedules
        heard = await self._question(self._reader.do(partial(hear, node=self.node)))
        # The answer may not know yet of what this process itself has changed meanwhile.
        if not self._own_pauses and self._paused is paused:
            self._hear_of_pauses(heard.pauses)
        if self._schedules is schedules:
            self._schedules = {state.schedule: state for state in heard.known_schedules()}
        for job_id, reason, by in heard.called_off:
            job = self._jobs.get(job_id)
            if job is not None:
                self._call_off_here(job, reason, by)
        for job_id, wanted in heard.to_edit:
            job = self._jobs.get(job_id)
            if job is not None and job.status not in TERMINAL and job_id not in self._given:
                # It is about to start, say, or what a newer program has asked for can't be done.
                with suppress(JobServiceError, msgspec.DecodeError):
                    self._do_word(job, decode(wanted))
                if job.status not in TERMINAL:
                    self._write_anew(job)
        await self._committer.kept()  # else the same is heard again
        await self._look_at_misfits()

    async def _look_at_misfits(self) -> None:
        """Those that were changed may fit now; those that have ended need not be known any more."""
        if known := dict(self._misfits):
            edits = await self._question(self._reader.edits(known))
            for job_id, misfit in known.items():
                if edits.get(job_id) != misfit.edits:
                    self._misfits.pop(job_id, None)
                    self._may_claim.set()

    def _hear_of_pauses(self, paused: set[str]) -> None:
        now = self.clock.now()
        for job_type in sorted(paused - self._paused):
            if self._runner.pause(job_type or None):
                self._say(QueuePaused(timestamp=now, job_type=job_type or UNSET))
        for job_type in sorted(self._paused - paused):
            if self._runner.resume(job_type or None):
                self._say(QueueResumed(timestamp=now, job_type=job_type or UNSET))
        self._paused = paused

    async def _say_word(self, pause: Pause, event: Event) -> None:
        """Pause or go on in all processes, as this one does already."""
        self._own_pauses += 1
        try:
            await self._ask(pause, event)
        finally:
            self._own_pauses -= 1
            self._must_hear.set()

    def _begin_to_listen(self) -> None:
        self._committer.try_now()  # the server answers
        self._may_claim.set()
        self._must_hear.set()

    def _note_signal(self, signal: Signal) -> None:
        (self._may_claim if signal == "ready" else self._must_hear).set()

    async def _rescue_now_and_then(self) -> None:
        while True:
            pause = self._lease_seconds / 3
            try:
                await self._ask(Rescue(self._max_losses, self._lease_seconds))
            except StoreUnavailable:  # perhaps to all others, too: let them renew their leases
                pause = 3 * self._lease_seconds / 2
            await trio.sleep(pause * random.uniform(0.7, 1.0))

    async def _say_ready_later(self) -> None:
        while True:
            await self._must_say_ready.wait()
            next_at = self._said_ready_at + READY_EVERY_SECONDS
            await trio.sleep(max(0.0, next_at - self.clock.monotonic()))
            self._must_say_ready = trio.Event()
            self._said_ready_at = self.clock.monotonic()
            with suppress(psycopg.Error):  # they look by themselves, too
                await self._reader.do(say_ready)

    def _take_claimed(self, job: Job) -> None:
        if job.status == "pending":
            super()._take_claimed(job)
            return
        # It ran when its process died, and whoever saw to that could not read it. Whether others
        # ran beside it is not known any more.
        self._live.restore(job)
        self._given.add(job.id)
        change = rescue(job, self.clock, self._max_losses, was_alone=False)
        self.apply(structs.replace(change, event=by_lease(change.event)))

    def _let_go(self, job: Job) -> None:
        super()._let_go(job)
        self._awaited.wake(job.id)

    async def _keep_house(self) -> None:
        while True:
            await trio.sleep(EVERY_SECONDS * random.uniform(0.5, 1.5))
            try:
                await self._reader.do(self._tidy)
            except psycopg.Error as error:
                self._note_failure(error)

    async def _tidy(self, connection: Connection) -> None:
        await keep_house(connection, self.clock.now(), self._retain_seconds)
        await self._forget_keys(connection)


def finished(counts: Mapping[str, Mapping[Status, int]]) -> int:
    """How many of these jobs have ended."""
    return sum(
        jobs
        for of_type in counts.values()
        for status, jobs in of_type.items()
        if status in TERMINAL
    )
