"""All that is done in one transaction: what was decided is kept, and the rest is decided."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from job_service.jobs.state.capacity import Capacity, Totals
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.limits import NO_LIMITS
from job_service.jobs.state.model import Job
from job_service.stores.postgres.admitting import Admitted, Terms, admit, totals_of
from job_service.stores.postgres.batch import Batch
from job_service.stores.postgres.calling_off import CallOff
from job_service.stores.postgres.claiming import claim
from job_service.stores.postgres.editing import EditElsewhere
from job_service.stores.postgres.following import Followed, follow
from job_service.stores.postgres.groups import count_ends
from job_service.stores.postgres.rescuing import Rescue
from job_service.stores.postgres.retention import trim_to
from job_service.stores.postgres.schedules import ChangeSchedule
from job_service.stores.postgres.signals import say
from job_service.stores.postgres.submission import Submission
from job_service.stores.postgres.transaction import Transaction
from job_service.stores.postgres.unreadable import Claimed
from job_service.stores.runner import Demand
from job_service.stores.unit_of_work import Pause
from job_service.telemetry.events import Event

# Jobs that are claimed before a worker is free for them. While one transaction keeps what became of
# some, workers run the next, and so neither waits for the other.
AHEAD: Final = 4  # times as many as have ended since the transaction before
MOST_AHEAD: Final = 2_000


class Claim:
    """Take jobs for the workers that are free; `taken` is how many, in the end."""

    taken = 0


@dataclass(frozen=True, slots=True)
class Means:
    """What this process decides with in a transaction.

    It `holds` a new job itself if a worker is free for it, and if it is due within `stays_seconds`.
    It claims up to `ahead` jobs more than it has workers free, and none of `without`.
    """

    clock: Clock
    capacity: Callable[[Totals], Capacity]
    is_closed: bool
    demand: Demand
    paused: Collection[str]  # job types, "" for the queue
    stays_seconds: float
    ahead: int
    without: Collection[str]
    retain: int
    ended_untrimmed: int  # since this process has looked last whether there are too many
    may_say_ready: bool
    expects_more: bool  # because not all that was ready could be claimed before
    is_full: bool  # the whole store, so it is worth telling when it is not
    held: Collection[str] | None  # give back all but these, which nobody knows of; None if none is


@dataclass(slots=True)
class Done:
    """What a transaction has led to, beside what was written: it is told when it has committed."""

    lost: set[str] = field(default_factory=set)
    # Ids of held jobs, and why, and by whom.
    called_off: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    calls: Sequence[CallOff] = ()  # of jobs that were given back
    followed: Followed = field(default_factory=Followed)
    told_of_groups: Sequence[Event] = ()
    claimed: Claimed = field(default_factory=Claimed)
    wanted: int = 0  # jobs to claim
    any_ready: bool = False  # and held by nobody
    said_ready: bool = False
    ended: int = 0  # jobs
    is_trimmed: bool = False
    totals: Totals | None = None  # of the whole store


class Work:
    """One transaction. It may be done several times, of which the last counts."""

    def __init__(self, batch: Batch, means: Means) -> None:
        self.batch = batch
        self.done = Done()
        self._means = means
        self._free = 0

    async def do(self, tx: Transaction) -> Done:
        """Write, decide, and claim."""
        means = self._means
        done = self.done = Done()
        self._free = means.demand.workers - means.demand.waiting
        if means.held is not None:
            await self._give_back(tx, means.held)
        written = await self.batch.write(tx)
        done.lost, ended, members = written.lost, list(written.awaited), list(written.members)
        done.called_off = written.called_off
        done.calls = [
            CallOff([job.id], *written.called_off[job.id])
            for job in self.batch.given
            if job.id in written.called_off
        ]
        done.any_ready = any(job.run_at <= tx.now for job in self.batch.given)
        says_word = await self._do_asks(tx, done, ended, members)
        submissions = [ask for ask in self.batch.asks if isinstance(ask, Submission)]
        done.ended = len(self.batch.ended) + len(ended)
        if submissions:
            admitted = await admit(tx, submissions, self._terms(tx))
            done.any_ready = done.any_ready or admitted.any_ready
            done.ended += len(admitted.ended)
            members += admitted.ended
            says_word = await self._put_off(tx, done, admitted) or says_word
        if ended:
            done.followed = await follow(tx, ended, means.clock)
            done.any_ready = done.any_ready or done.followed.any_ready
            done.ended += sum(map(len, done.followed.told.values()))
            members += done.followed.failed
        await self._end_groups(tx, done, members)
        if means.ended_untrimmed + done.ended > means.retain // 100:
            await trim_to(tx, means.retain)
            done.is_trimmed = True
        if says_word:
            await say(tx, "said")
        await self._claim(tx, done)
        if means.is_full:
            done.totals = await totals_of(tx)
        return done

    async def _end_groups(self, tx: Transaction, done: Done, members: Sequence[Job]) -> None:
        """End the groups of which the last jobs have ended now."""
        members = [job for job in members if job.group is not None]
        if members:
            groups = await count_ends(tx, members, self._means.clock)
            done.told_of_groups = groups.told
            done.any_ready = done.any_ready or groups.any_ready

    async def _put_off(self, tx: Transaction, done: Done, admitted: Admitted) -> bool:
        """Change jobs that wait, because of later submissions; whether other processes must."""
        says_word = False
        for submission, job_id, wanted in admitted.put_off:
            change = EditElsewhere([job_id], wanted)
            await change.do(tx, self._means.clock, self._means.capacity)
            submission.told += change.told
            done.any_ready = done.any_ready or change.any_ready
            says_word = says_word or change.says_word
        return says_word

    async def _do_asks(
        self, tx: Transaction, done: Done, ended: list[Job], members: list[Job]
    ) -> bool:
        """Do what else is asked for; whether there is a word for other processes."""
        says_word = False
        for ask in (*self.batch.asks, *done.calls):
            if isinstance(ask, CallOff | Rescue):
                await ask.do(tx, self._means.clock)
                ended += ask.ended
                members += ask.ended
            if isinstance(ask, EditElsewhere):
                await ask.do(tx, self._means.clock, self._means.capacity)
                done.any_ready = done.any_ready or ask.any_ready
            if isinstance(ask, CallOff | EditElsewhere):
                says_word = says_word or ask.says_word
            elif isinstance(ask, Rescue):
                done.any_ready = done.any_ready or ask.any_ready
            elif isinstance(ask, ChangeSchedule):
                await ask.do(tx)
                says_word = True
            elif isinstance(ask, Pause):
                says_word = True
                change = "INSERT INTO job_service.pauses VALUES (%s) ON CONFLICT DO NOTHING"
                if not ask.paused:
                    change = "DELETE FROM job_service.pauses WHERE job_type = %s"
                    done.any_ready = True
                await tx.rows(change, ask.job_type or "")
        return says_word

    async def _claim(self, tx: Transaction, done: Done) -> None:
        means = self._means
        is_asked_to = any(isinstance(ask, Claim) for ask in self.batch.asks)
        jobs = self._free + means.ahead
        if jobs > 0 and (is_asked_to or done.any_ready or means.expects_more):
            done.wanted = jobs
            done.claimed = await claim(tx, means.demand, jobs, means.without)
            if len(done.claimed.jobs) < jobs:
                done.any_ready = False  # or they are of types that this process does not have
        if done.any_ready and means.may_say_ready:
            await say(tx, "ready")
            done.said_ready = True

    def _terms(self, tx: Transaction) -> Terms:
        means = self._means
        stays_until = tx.now + timedelta(seconds=min(means.stays_seconds, 1e9))
        limits = means.demand.limits
        can_hold = "" not in means.paused and not means.is_closed and not means.expects_more

        def holds(job: Job) -> bool:
            if not can_hold or self._free <= 0 or job.run_at > stays_until:
                return False
            if limits.get(job.type) != NO_LIMITS or job.type in means.paused:
                return False
            self._free -= 1
            return True

        return Terms(means.capacity, means.clock, means.is_closed, holds)

    async def _give_back(self, tx: Transaction, held: Collection[str]) -> None:
        await tx.rows(
            "UPDATE job_service.jobs SET node = NULL "
            "WHERE node = %s AND status = 'pending' AND id <> ALL(%s)",
            tx.node,
            list(held),
        )
