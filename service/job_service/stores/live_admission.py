"""Takes submissions into memory, by those rules, and knows requests that were made before."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.group import Group
from job_service.jobs.state.live_jobs import LiveJobs
from job_service.jobs.state.model import Draft, Edit, Ending, Job
from job_service.stores.admission import Admission
from job_service.stores.contract import KeyedRequest
from job_service.stores.idempotency import REMEMBERED_SECONDS, IdempotencyKeys, replayed
from job_service.telemetry.events import Event


class LiveAdmission(Admission):
    """Decides on the jobs in memory, and knows the idempotency keys of requests."""

    def __init__(
        self,
        live: LiveJobs,
        emit: Callable[[Event], None],
        clock: Clock,
        put_off: Callable[[Job, Edit], bool],
    ) -> None:
        super().__init__(
            live.capacity,
            emit,
            clock,
            find=live.index.jobs.get,
            holder=live.index.holder,
            make=live.apply,
            put_off=put_off,
        )
        self._live = live
        self._jobs = live.index.jobs
        self._keys = IdempotencyKeys(clock.monotonic)

    def once(
        self, request: KeyedRequest, accept: Callable[[], Sequence[JobSummary]]
    ) -> Sequence[JobSummary]:
        """What `accept` gives, or gave when the same was requested before.

        Raises IdempotencyKeyReused, and what `accept` does.
        """
        known = self.recall(request)
        if known is None:
            known = accept()
            self.remember(request, known)
        return known

    def accept_group(self, group: Group, drafts: Sequence[Draft]) -> Sequence[JobSummary]:
        """Make the group, with a job of each draft, or nothing at all. Raises as `accept_all`."""
        jobs = self.accept_all(drafts)
        self._live.groups.open(group, filter(None, (self._jobs.get(job.id) for job in jobs)))
        return jobs

    def recall(self, request: KeyedRequest) -> Sequence[JobSummary] | None:
        """The jobs that were made when the same was requested before, as they are now.

        None if it was not. Raises IdempotencyKeyReused.
        """
        known = self._keys.recall(request)
        return None if known is None else [self._replay(job) for job in known]

    def remember(
        self,
        request: KeyedRequest,
        jobs: Sequence[JobSummary],
        seconds: float = REMEMBERED_SECONDS,
        endings: Mapping[str, Ending] = MappingProxyType({}),
    ) -> None:
        """This request has made these jobs; that is not to be forgotten for so long.

        `endings` has those of jobs that are not live any more, by their ids.
        """
        ends = [endings.get(job.id) or self._ending_of(job) for job in jobs]
        self._keys.remember(request, jobs, ends, seconds)

    def forget(self, key: str) -> None:
        """What was requested with this key was not done."""
        self._keys.forget(key)

    def _ending_of(self, summary: JobSummary) -> Ending:
        job = self._jobs.get(summary.id)
        return Ending() if job is None else self._live.ending_of(job)

    def _replay(self, first: JobSummary) -> JobSummary:
        job = self._jobs.get(first.id)
        return replayed(summarize(job) if job else first, first)
