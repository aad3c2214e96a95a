"""A block of successive jobs in the table, indexed by status and by type at once."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection
from typing import cast

from job_service.jobs.state.model import TERMINAL, TRANSITIONS, Job, Status

CHUNK = 1_024

SPARSE = CHUNK // 4  # jobs; those of two such chunks fit into one, and many may still leave it

BITS = tuple(1 << place for place in range(CHUNK))
_ALL_BITS = (1 << CHUNK) - 1


class Chunk:
    """The jobs of up to CHUNK successive rows; in its integers, the job of each row has one bit.

    To spare each job time, bits are not cleared when a job ends or is forgotten. So the bit of a
    job that runs means nothing once that of its end is set, and no bit of a forgotten job counts.
    """

    __slots__ = ("entered", "first_id", "forgotten", "jobs", "kept", "number", "of_type")

    def __init__(self, number: int, first_id: str) -> None:
        self.number = number
        self.first_id = first_id
        self.jobs: list[Job | None] = []  # None for one that has been forgotten
        self.kept = 0
        self.forgotten = 0
        self.of_type: defaultdict[str, int] = defaultdict(int)
        self.entered: dict[Status, int] = dict.fromkeys(TRANSITIONS, 0)  # nothing for "pending"

    @property
    def is_sparse(self) -> bool:
        """Whether it keeps so few jobs that it had better share its room."""
        return self.kept <= SPARSE

    def append(self, job: Job) -> None:
        """Take a new job, and give it its row."""
        place = len(self.jobs)
        job.row = self.number * CHUNK + place
        self.jobs.append(job)
        self.kept += 1
        self.of_type[job.type] |= BITS[place]

    def absorb(self, other: "Chunk") -> None:
        """Take in the jobs of another one, which comes right behind; all get new rows.

        Both must be sparse.
        """
        jobs = [job for job in self.jobs + other.jobs if job is not None]
        merged = Chunk(self.number, self.first_id)
        for job in jobs:
            merged.append(job)
            if job.status != "pending":
                merged.entered[job.status] |= BITS[job.row % CHUNK]
        self.jobs, self.kept, self.forgotten = merged.jobs, merged.kept, merged.forgotten
        self.of_type, self.entered = merged.of_type, merged.entered

    def matching(self, statuses: Collection[Status] = (), types: Collection[str] = ()) -> int:
        """The bits of the jobs of any of these statuses and types; nothing stands for all."""
        if types:
            bits = 0
            for job_type in types:
                bits |= self.of_type.get(job_type, 0)
        else:
            bits = _ALL_BITS >> (CHUNK - len(self.jobs))
        if statuses and bits:
            of_these = 0
            for status in statuses:
                of_these |= self._of_status(status)
            bits &= of_these
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
        return -BITS[kept[index].row % CHUNK] if index < len(kept) else 0

    def before(self, job_id: str) -> int:
        """The bits of all rows before that of the job, which may have been forgotten."""
        kept = [job for job in self.jobs if job is not None]
        index = bisect_left(kept, job_id, key=_id)
        return 2 * BITS[kept[index - 1].row % CHUNK] - 1 if index > 0 else 0

    def pop(self, bits: int, *, newest: bool) -> tuple[Job, int]:
        """The oldest or newest of the jobs with these bits, and the bits of the others."""
        bit = BITS[bits.bit_length() - 1] if newest else bits & -bits
        return cast("Job", self.jobs[bit.bit_length() - 1]), bits ^ bit


def _id(job: Job) -> str:
    return job.id
