"""The jobs in memory, in the order of their creation, and how long finished ones stay.

The order is kept in chunks, and each chunk knows by a bit per job which of its jobs have a status
or a type. A page is read off these bits, so that it costs what is on it, and not what is kept; and
where jobs of a status are sought, only those chunks are looked at in which a job has entered it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import cast

from job_service.jobs.model import TERMINAL, TRANSITIONS, Job, Status

CHUNK = 1_024

_BITS = tuple(1 << place for place in range(CHUNK))
_ALL_BITS = (1 << CHUNK) - 1


class JobTable:
    """All unfinished jobs, and of the finished ones the `retain` that finished last.

    Ids must sort by creation, as UUIDv7 do; a page then begins by bisection, whatever has been
    forgotten since the page before it was read.
    """

    def __init__(self, retain: int) -> None:
        self._retain = retain
        self._jobs: dict[str, Job] = {}
        self._finished: deque[Job] = deque()
        self._chunks: dict[int, _Chunk] = {}  # by number, the oldest first
        self._entered: dict[Status, list[int]] = {  # in which a job has; sorted numbers of chunks
            status: [] for status in TRANSITIONS if status != "pending"
        }
        self._newest = _Chunk("")
        self._rows = 0

    def __iter__(self) -> Iterator[Job]:
        """All jobs, the oldest first."""
        return iter(self._jobs.values())

    def get(self, job_id: str) -> Job | None:
        """The job, or None where there is none of this id, or no more."""
        return self._jobs.get(job_id)

    def add(self, job: Job) -> None:
        """Keep a new job, and give it its row."""
        row = job.row = self._rows
        self._rows = row + 1
        self._jobs[job.id] = job
        place = row % CHUNK
        if place == 0:
            self._newest = self._chunks[row // CHUNK] = _Chunk(job.id)
        chunk = self._newest
        chunk.jobs.append(job)
        chunk.of_type[job.type] |= _BITS[place]

    def moved(self, job: Job) -> None:
        """The job has entered another state, which is not its end."""
        if job.status == "processing":
            self._enter(job)
        else:
            self._chunks[job.row // CHUNK].entered["processing"] ^= _BITS[job.row % CHUNK]

    def finished(self, job: Job) -> None:
        """The job has reached its end; where too many have, the first of them is forgotten."""
        self._enter(job)
        self._finished.append(job)
        if len(self._finished) > self._retain:
            self._forget(self._finished.popleft())

    def page(
        self,
        *,
        status: Status | None,
        job_type: str | None,
        after: str | None,
        limit: int,
        newest_first: bool = False,
    ) -> list[Job]:
        """Up to `limit` jobs of this status and type, in order, from behind the job `after`.

        The oldest come first, or the newest; what is behind a job turns with it.
        """
        found: list[Job] = []
        numbers = list(self._chunks) if status in (None, "pending") else self._entered[status]
        first = len(numbers) - 1 if newest_first else 0
        if after is not None:
            first = max(0, bisect_right(numbers, after, key=self._first_id) - 1)
        for number in reversed(numbers[: first + 1]) if newest_first else numbers[first:]:
            chunk = self._chunks[number]
            bits = chunk.matching(status, job_type)
            if after is not None and bits and number == numbers[first]:
                bits &= chunk.before(after) if newest_first else chunk.behind(after)
            while bits:
                if len(found) >= limit:
                    return found
                bit = _BITS[bits.bit_length() - 1] if newest_first else bits & -bits
                found.append(chunk.job_at(bit))
                bits ^= bit
        return found

    def count(self) -> dict[str, dict[Status, int]]:
        """How many jobs of each type have which status."""
        counts: dict[str, dict[Status, int]] = {}
        for chunk in self._chunks.values():
            of_status = {status: chunk.matching(status, None) for status in TRANSITIONS}
            for job_type, of_type in chunk.of_type.items():
                of_this_type = counts.setdefault(job_type, dict.fromkeys(TRANSITIONS, 0))
                for status, bits in of_status.items():
                    of_this_type[status] += (bits & of_type).bit_count()
        return counts

    def _enter(self, job: Job) -> None:
        number, place = divmod(job.row, CHUNK)
        entered = self._chunks[number].entered
        if not entered[job.status]:
            numbers = self._entered[job.status]
            index = bisect_left(numbers, number)
            if numbers[index : index + 1] != [number]:  # else there was one before that went back
                numbers.insert(index, number)
        entered[job.status] |= _BITS[place]

    def _forget(self, job: Job) -> None:
        del self._jobs[job.id]
        number, place = divmod(job.row, CHUNK)
        chunk = self._chunks[number]
        chunk.jobs[place] = None
        chunk.forgotten |= _BITS[place]
        if chunk.forgotten == _ALL_BITS:
            del self._chunks[number]
            for numbers in self._entered.values():
                index = bisect_left(numbers, number)
                if numbers[index : index + 1] == [number]:
                    del numbers[index]

    def _first_id(self, number: int) -> str:
        return self._chunks[number].first_id


class _Chunk:
    """The jobs of CHUNK successive rows; in its integers, the job of each row has one bit.

    To spare the way of each job through its states, a bit that a later one outdoes is left set:
    what a job has `entered` counts only until it has ended, and nothing of one that is forgotten.
    """

    __slots__ = ("entered", "first_id", "forgotten", "jobs", "of_type")

    def __init__(self, first_id: str) -> None:
        self.first_id = first_id
        self.jobs: list[Job | None] = []  # None where it has been forgotten
        self.forgotten = 0
        self.of_type: defaultdict[str, int] = defaultdict(int)
        self.entered: dict[Status, int] = dict.fromkeys(TRANSITIONS, 0)  # nothing for "pending"

    def matching(self, status: Status | None, job_type: str | None) -> int:
        """The bits of the jobs of this status and type."""
        if job_type is not None:
            bits = self.of_type.get(job_type, 0)
        else:
            bits = _ALL_BITS >> (CHUNK - len(self.jobs))
        if status is not None and bits:
            bits &= self._of_status(status)
        return bits & ~self.forgotten

    def _of_status(self, status: Status) -> int:
        if status in TERMINAL:
            return self.entered[status]
        entered = self.entered
        ended = 0
        for end in TERMINAL:
            ended |= entered[end]
        if status == "processing":
            return entered["processing"] & ~ended
        return ~(entered["processing"] | ended)

    def behind(self, job_id: str) -> int:
        """The bits of all rows behind that of the job, which may have been forgotten."""
        kept = [job for job in self.jobs if job is not None]
        index = bisect_right(kept, job_id, key=_id)
        return -_BITS[kept[index].row % CHUNK] if index < len(kept) else 0

    def before(self, job_id: str) -> int:
        """The bits of all rows before that of the job, which may have been forgotten."""
        kept = [job for job in self.jobs if job is not None]
        index = bisect_left(kept, job_id, key=_id)
        return 2 * _BITS[kept[index - 1].row % CHUNK] - 1 if index > 0 else 0

    def job_at(self, bit: int) -> Job:
        """The job that has this one bit."""
        return cast("Job", self.jobs[bit.bit_length() - 1])


def _id(job: Job) -> str:
    return job.id
