"""Makes jobs of what is submitted to a durable store, and looks up what is no longer in memory."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta

from job_service.jobs.state.clock import Clock
from job_service.jobs.state.detail import JobSummary, summarize
from job_service.jobs.state.group import Group
from job_service.jobs.state.model import Draft, Ending, Job
from job_service.jobs.state.table import JobTable
from job_service.stores.contract import KeyedRequest
from job_service.stores.idempotency import REMEMBERED_SECONDS, replayed
from job_service.stores.live_admission import LiveAdmission
from job_service.stores.unit_of_work import Remembered, UnitOfWork


class DurableSubmissions:
    """What durable stores do beside `admission`, which knows the live `jobs`.

    `read` gives those jobs of some ids that are kept, as far as a summary shows them. `keyed` has
    the ids of jobs that a request with a key has made and that have not ended.
    """

    def __init__(
        self,
        admission: LiveAdmission,
        jobs: JobTable,
        clock: Clock,
        read: Callable[[Collection[str]], Awaitable[dict[str, Job]]],
    ) -> None:
        self.keyed = set[str]()
        self._admission = admission
        self._jobs = jobs
        self._clock = clock
        self._read = read
        self._looked_up: Mapping[str, Job | None] = {}
        admission.find = self._find_predecessor

    async def look_up_predecessors(self, drafts: Sequence[Draft]) -> None:
        """Read those jobs to come after that have ended, for `accept` right after this.

        Raises StoreUnavailable.
        """
        looked_up = dict[str, Job | None]()
        wanted = {job_id for draft in drafts if draft.after for job_id in draft.after}
        while missing := [
            each for each in wanted if each not in self._jobs and each not in looked_up
        ]:
            looked_up.update(dict.fromkeys(missing))
            looked_up.update(await self._read(missing))
        self._looked_up = looked_up

    def accept(
        self,
        unit: UnitOfWork,
        drafts: Sequence[Draft],
        request: KeyedRequest | None,
        group: Group | None = None,
    ) -> Sequence[JobSummary]:
        """Make a job of each draft, or give those that the same request has made before.

        Raises what `Admission.accept_all` and `LiveAdmission.recall` do.
        """
        unit.is_submission = True
        if request is None:
            return self._make(unit, drafts, group)
        known = self._admission.recall(request)
        if known is None:
            known = self._make(unit, drafts, group)
            self._admission.remember(request, known)
            until = self._clock.now() + timedelta(seconds=REMEMBERED_SECONDS)
            unit.beside.append(Remembered(request, known, until))
            self.keyed.update(job.id for job in known if job.finished_at is None)
        return known

    def _make(
        self, unit: UnitOfWork, drafts: Sequence[Draft], group: Group | None
    ) -> Sequence[JobSummary]:
        if group is None:
            return self._admission.accept_all(drafts)
        jobs = self._admission.accept_group(group, drafts)
        unit.beside.append(group)
        return jobs

    async def as_they_are(self, jobs: Sequence[JobSummary]) -> Sequence[JobSummary]:
        """The jobs, of which those that were made before may have ended since.

        Raises StoreUnavailable.
        """
        ended = [job.id for job in jobs if job.replayed and job.id not in self._jobs]
        if not ended:
            return jobs
        kept = await self._read(ended)
        return [replayed(summarize(kept[job.id]), job) if job.id in kept else job for job in jobs]

    def recover(
        self,
        request: KeyedRequest,
        jobs: Sequence[JobSummary],
        seconds: float,
        endings: Mapping[str, Ending],
    ) -> None:
        """A request of an earlier process counts for so long. `endings` has those of its jobs."""
        self._admission.remember(request, jobs, seconds, endings)
        self.keyed.update(job.id for job in jobs if job.id in self._jobs)

    def forget(self, undone: Iterable[object]) -> None:
        """Requests that are among this were not kept: they may be made again."""
        for item in undone:
            if isinstance(item, Remembered):
                self._admission.forget(item.request.key)

    def _find_predecessor(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id) or self._looked_up.get(job_id)
