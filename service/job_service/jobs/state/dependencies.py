"""Which jobs come after which others, and what follows when one of those has ended."""

from collections import Counter
from collections.abc import Iterator, Sequence

from job_service.jobs.state.model import TERMINAL, Job


class Dependencies:
    """Keeps the jobs that await others. A job may only come after older ones: there is no cycle."""

    def __init__(self) -> None:
        self.by_type = Counter[str]()  # how many jobs await others

    @property
    def waiting(self) -> int:
        """How many jobs await others."""
        return self.by_type.total()

    def add(self, job: Job, predecessors: Sequence[Job]) -> None:
        """Let a new job await those of its predecessors that have not ended."""
        awaited = {other.id: other for other in predecessors if other.status not in TERMINAL}
        if awaited:
            job.awaits = awaited
            self.by_type[job.type] += 1
            for other in awaited.values():
                if other.successors is None:
                    other.successors = {}
                other.successors[job.id] = job

    def end(self, job: Job) -> Iterator[Job]:
        """The jobs for which it matters that `job` has ended.

        If it has completed, these are the ones that await nothing more; else all that awaited it,
        and they await nothing more either.
        """
        successors, job.successors = job.successors, None
        for successor in list(successors.values()) if successors else ():
            if job.status == "completed" and successor.awaits and len(successor.awaits) > 1:
                del successor.awaits[job.id]
            else:
                self.discard(successor)
                yield successor

    def discard(self, job: Job) -> None:
        """The job awaits nothing more."""
        awaited, job.awaits = job.awaits, None
        if awaited is not None:
            self.by_type[job.type] -= 1
            for other in awaited.values():
                if other.successors is not None:
                    other.successors.pop(job.id, None)


def failed_dependency(predecessors: Sequence[Job]) -> Job | None:
    """The first of them that has ended and not completed, if there is one."""
    return next(
        (job for job in predecessors if job.status in TERMINAL and job.status != "completed"), None
    )


def why_blocked(first: str, others: int) -> str:
    """Why a job waits that awaits the job with this id, and this many others."""
    more = "" if others == 0 else " and 1 other" if others == 1 else f" and {others} others"
    return f"waits for job {first}{more}"


def why_unstarted(predecessor: Job) -> str:
    """Why a job that was to come after this one has failed."""
    became = "has failed" if predecessor.status == "failed" else f"was {predecessor.status}"
    return f"job {predecessor.id}, which it was to follow, {became}"
