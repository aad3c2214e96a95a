"""The part of the facade that only reads: jobs, and the state of the queue."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

import trio
from msgspec import structs

from job_service.errors import UnknownJobType
from job_service.jobs.queueing.filters import MAX_PAGE, JobFilters, check_page, job_filter
from job_service.jobs.queueing.own_loop import OnOwnLoop
from job_service.jobs.registration.registry import Registry
from job_service.jobs.state.detail import JobDetail, JobSummary
from job_service.jobs.state.job_filter import JobPage
from job_service.jobs.state.limits import NO_LIMITS
from job_service.jobs.state.model import TRANSITIONS, Status
from job_service.jobs.state.views import NodeView, QueueView, TypeView, with_types
from job_service.stores.contract import Store


class QueueReader(OnOwnLoop):
    """Reads jobs, types and processes; see `JobQueue`."""

    def __init__(self, registry: Registry, store: Store) -> None:
        super().__init__(store)
        self._registry = registry

    async def get(self, job_id: str) -> JobDetail:
        """All there is to know of a job. Raises UnknownJob."""
        return await self._store.get(job_id)

    async def wait(self, job_id: str, seconds: float) -> JobDetail:
        """What `get` returns as soon as the job has ended, or after `seconds` at the latest.

        Raises UnknownJob. Cancelling the wait does not cancel the job.
        """
        return await self._store.wait(job_id, seconds)

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> Sequence[JobSummary]:
        """Up to `limit` jobs of which all `filters` are true, in the order of their creation.

        The oldest come first, or the newest. The list begins with the job that follows in this
        order on the one whose id is `after`. Fewer than `limit` are all. Each page of the store on
        the way is of another moment: a search that finds little in many jobs takes many of them.

        Raises InvalidOption.
        """
        page = await self.page(after=after, limit=limit, newest_first=newest_first, **filters)
        jobs = page.jobs
        while page.next is not None and len(jobs) < limit:
            page = await self.page(
                after=page.next, limit=limit - len(jobs), newest_first=newest_first, **filters
            )
            jobs += page.jobs
        return jobs

    async def page(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        **filters: Unpack[JobFilters],
    ) -> JobPage:
        """As `list`, but as far as one moment goes, and with the id to go on after.

        So a page may have fewer jobs than `limit`, or none, and yet not be the last one. It never
        has more than 1,000.
        """
        try:
            wanted = job_filter(**filters)
            check_page(after, limit)
        except BaseException:
            await trio.lowlevel.checkpoint()
            raise
        if limit < 1:
            await trio.lowlevel.checkpoint()
            return JobPage([], after)
        return await self._store.page(
            wanted, after=after, limit=min(limit, MAX_PAGE), newest_first=newest_first
        )

    async def with_excerpts(self, jobs: Sequence[JobSummary]) -> Sequence[JobSummary]:
        """The same, each with how its payload begins and why it waits; but for those forgotten."""
        excerpts = await self._store.excerpts([job.id for job in jobs])
        return [
            structs.replace(
                job,
                payload_excerpt=excerpts[job.id].payload,
                waits_because=excerpts[job.id].waits_because,
            )
            for job in jobs
            if job.id in excerpts
        ]

    async def view(self) -> QueueView:
        """How many jobs wait, and for what, at the moment at which the call returns."""
        return with_types(await self._store.view(), self._registry.names)

    async def nodes(self) -> Sequence[NodeView]:
        """The processes that share the store, the oldest first; none if it can't be shared."""
        return await self._store.nodes()

    async def require_types(self, names: Iterable[str]) -> None:
        """Raise UnknownJobType for a name that no handler has, and no job that is kept.

        It is a checkpoint if one has no handler: then the store is asked.
        """
        registered = self._registry.names
        unregistered = [name for name in names if name not in registered]
        if not unregistered:
            return
        kept = _kept(await self._store.counts())
        for name in unregistered:
            if name not in kept:
                raise UnknownJobType(name, sorted({*registered, *kept}))

    async def types(self) -> Sequence[TypeView]:
        """All job types, and how many of their jobs are in which status.

        Those without a handler are there for as long as jobs of them are kept.
        """
        return (await self.overview())[1]

    async def overview(self) -> tuple[QueueView, Sequence[TypeView], Mapping[Status, int]]:
        """`view` and `types` of one moment, at which the call returns, so that they agree.

        The third part is how many jobs have which status, those of types without a handler, too.
        """
        view, counts = await self._store.view_and_counts()
        views = []
        for name in sorted(_kept(counts).union(self._registry.names)):
            jobs_of_type: Mapping[Any, Any] = counts.get(name, dict.fromkeys(TRANSITIONS, 0))
            told = {**self._terms_of(name), **jobs_of_type}
            views.append(TypeView(type=name, paused=name in view.paused_types, **told))
        jobs = {status: sum(each[status] for each in counts.values()) for status in TRANSITIONS}
        return with_types(view, self._registry.names), views, jobs

    def _terms_of(self, name: str) -> dict[str, Any]:
        """On which terms jobs of this type run; none without a handler."""
        try:
            job_type = self._registry.lookup(name)
        except UnknownJobType:
            return {}
        limits = job_type.limits
        return {
            "runs_in": job_type.runs_in,
            "max_retries": job_type.retry.max_retries,
            "timeout_seconds": job_type.timeout,
            "concurrency": limits.concurrency,
            "rate_starts": limits.starts,
            "rate_seconds": limits.per_seconds if limits.starts else None,
            "per_key": limits.is_per_key,
            "sensitive": job_type.sensitive,
            "is_limited": limits != NO_LIMITS,
        }


def _kept(counts: Mapping[str, Mapping[Status, int]]) -> set[str]:
    """The types of which there are any jobs."""
    return {name for name, of_type in counts.items() if any(of_type.values())}
