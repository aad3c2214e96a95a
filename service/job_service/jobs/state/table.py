"""The jobs in memory, in the order of their creation.

The order is kept in chunks, and each chunk knows by a bit per job which of its jobs have a status
or a type. A page is read off these bits, so that it costs what is on it, and not what is kept. When
jobs of a status are sought, only those chunks are looked at in which a job has entered it.

A chunk of which few jobs are left is merged with another one beside it that has as few. Else a
single job that waits for long would keep the room of a thousand.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from job_service.jobs.state.chunk import BITS, CHUNK, SPARSE, Chunk
from job_service.jobs.state.job_filter import JobFilter, Span
from job_service.jobs.state.model import TRANSITIONS, Job, Status


class Found(NamedTuple):
    """Some jobs, and the id up to which they were looked for; None if that is the end."""

    jobs: list[Job]
    edge: str | None


CountsByType = dict[str, dict[Status, int]]


class JobTable:
    """All jobs that are not forgotten yet.

    Ids must sort by creation, as UUIDv7 do; a page then begins by bisection, whatever has been
    forgotten since the page before it was read.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._chunks: dict[int, Chunk] = {}
        self._numbers: list[int] = []  # of all chunks, the oldest first
        self._entered: dict[Status, list[int]] = {  # in which a job has; sorted numbers of chunks
            status: [] for status in TRANSITIONS if status != "pending"
        }
        self._newest: Chunk | None = None

    def __iter__(self) -> Iterator[Job]:
        """All jobs, the oldest first."""
        return iter(self._jobs.values())

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def get(self, job_id: str) -> Job | None:
        """The job, or None if no job of this id is kept."""
        return self._jobs.get(job_id)

    def add(self, job: Job) -> None:
        """Keep a new job, and give it its row."""
        self._jobs[job.id] = job
        chunk = self._newest
        if chunk is None or len(chunk.jobs) == CHUNK:
            chunk = self._begin_chunk(job)
        chunk.append(job)

    def moved(self, job: Job) -> None:
        """The job has entered another state."""
        row, status = job.row, job.status
        chunk = self._chunks[row // CHUNK]
        entered = chunk.entered
        if status == "pending":
            entered["processing"] ^= BITS[row % CHUNK]
            return
        if not entered[status]:
            _include(self._entered[status], chunk.number)
        entered[status] |= BITS[row % CHUNK]

    def forget(self, job: Job) -> None:
        """Keep a job no more, which has ended."""
        del self._jobs[job.id]
        place = job.row % CHUNK
        chunk = self._chunks[job.row // CHUNK]
        chunk.jobs[place] = None
        chunk.forgotten |= BITS[place]
        kept = chunk.kept = chunk.kept - 1
        if kept > SPARSE or chunk is self._newest:  # whose room is still to be used
            return
        if kept == 0:
            self._drop(chunk)
        elif kept == SPARSE:  # the chunks beside it find it so, should they become sparse later
            self._merge_around(chunk)

    def page(
        self,
        wanted: JobFilter,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = False,
        looks: int | None = None,
    ) -> Found:
        """Up to `limit` jobs that the filter means, in the order of their creation.

        The oldest come first, or the newest. The page begins with the next job in that order after
        the one whose id is `after`. No more than this many `looks` are taken at single jobs.
        """
        found: list[Job] = []
        if wanted.is_empty or limit <= 0:
            return Found(found, None)
        span, has_rest, looked = wanted.span(after, newest_first=newest_first), wanted.has_rest, 0
        numbers = self._numbers_between(span, wanted.among)
        for number in reversed(numbers) if newest_first else numbers:
            chunk = self._chunks[number]
            bits = chunk.matching(wanted.among, wanted.types)
            if span.behind is not None and bits and number == numbers[0]:
                bits &= chunk.behind(span.behind)
            if span.before is not None and bits and number == numbers[-1]:
                bits &= chunk.before(span.before)
            while bits:
                job, bits = chunk.pop(bits, newest=newest_first)
                if not has_rest or wanted.is_rest_true_of(job):
                    found.append(job)
                    if len(found) == limit:
                        return Found(found, job.id)
                looked += 1
                if looked == looks:
                    return Found(found, job.id)
        return Found(found, None)

    def count(self, statuses: Collection[Status] = tuple(TRANSITIONS)) -> CountsByType:
        """How many jobs of each type have which of these statuses."""
        counts: CountsByType = {}
        for chunk in self._chunks.values():
            of_status = {status: chunk.matching((status,)) for status in statuses}
            for job_type, of_type in chunk.of_type.items():
                of_this_type = counts.setdefault(job_type, dict.fromkeys(TRANSITIONS, 0))
                for status, bits in of_status.items():
                    of_this_type[status] += (bits & of_type).bit_count()
        return counts

    def _numbers_between(self, span: Span, statuses: Collection[Status]) -> list[int]:
        """Of the chunks that may have jobs with such ids and any of these statuses."""
        numbers = self._numbers
        if statuses and "pending" not in statuses:
            entered = [self._entered[status] for status in statuses]
            numbers = entered[0] if len(entered) == 1 else sorted(set().union(*entered))
        start, end = 0, len(numbers)
        if span.behind is not None:
            start = max(0, bisect_right(numbers, span.behind, key=self._first_id) - 1)
        if span.before is not None:
            end = bisect_left(numbers, span.before, key=self._first_id)
        return numbers[start:end]

    def _begin_chunk(self, job: Job) -> Chunk:
        full = self._newest
        number = 0 if full is None else full.number + 1
        chunk = self._newest = self._chunks[number] = Chunk(number, job.id)
        self._numbers.append(number)
        if full is not None and full.kept == 0:
            self._drop(full)
        elif full is not None and full.is_sparse:
            self._merge_around(full)
        return chunk

    def _merge_around(self, chunk: Chunk) -> None:
        """Merge a chunk that keeps few jobs with those beside it that keep few, too."""
        index = bisect_left(self._numbers, chunk.number)
        older = self._chunks[self._numbers[index - 1]] if index > 0 else None
        if older is not None and older.is_sparse:
            self._merge(older, chunk)
            chunk, index = older, index - 1
        if chunk.is_sparse and index + 1 < len(self._numbers):
            newer = self._chunks[self._numbers[index + 1]]
            if newer is not self._newest and newer.is_sparse:
                self._merge(chunk, newer)

    def _merge(self, older: Chunk, newer: Chunk) -> None:
        self._drop(newer)
        older.absorb(newer)
        for status, numbers in self._entered.items():
            if older.entered[status]:
                _include(numbers, older.number)

    def _drop(self, chunk: Chunk) -> None:
        del self._chunks[chunk.number]
        for numbers in (self._numbers, *self._entered.values()):
            index = bisect_left(numbers, chunk.number)
            if numbers[index : index + 1] == [chunk.number]:
                del numbers[index]

    def _first_id(self, number: int) -> str:
        return self._chunks[number].first_id


def _include(numbers: list[int], number: int) -> None:
    index = bisect_left(numbers, number)
    if numbers[index : index + 1] != [number]:  # else a job was there before and went back
        numbers.insert(index, number)
