"""Whatever is written, repeated and trimmed: the file tells what a dict would."""

import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from job_service.jobs.state.job_filter import JobFilter
from job_service.jobs.state.model import TERMINAL, Status
from job_service.stores.sqlite.job_file import JobFile
from job_service.stores.sqlite.rows import Batch, FinishedCount, JobRow
from tests.stores.sqlite.sample import ends_of, job, moment, new

TYPES = ("email", "sms", "ä 'b'")

statuses = st.sampled_from(("pending", "processing", *sorted(TERMINAL)))
numbers = st.integers(0, 99)
drawn_jobs = st.lists(st.tuples(numbers, statuses, numbers), max_size=80)


class AnyBatches(RuleBasedStateMachine):
    """A file, and a dict of the jobs that it must have."""

    @initialize()
    def open(self) -> None:
        """A new file."""
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "jobs.db"
        self.file = JobFile.open(self.path)
        self.kept: dict[str, JobRow] = {}
        self.last = Batch()

    def teardown(self) -> None:
        """No file is left."""
        if hasattr(self, "file"):
            self.file.close()
            self.directory.cleanup()

    @rule(drawn=drawn_jobs)
    def write(self, drawn: list[tuple[int, Status, int]]) -> None:
        """Jobs are made, or change: what has ended stays as it is."""
        rows: dict[str, JobRow] = {}
        for number, status, finished in drawn:
            row = job(
                number,
                status,
                job_type=TYPES[number % len(TYPES)],
                finished=finished if status in TERMINAL else None,
                record=f'"{status} {finished}"',
            )
            before = rows.get(row.id) or self.kept.get(row.id)
            if before is None or before.finished_at is None:
                rows[row.id] = row
        self.last = new(*rows.values())
        self.file.write(self.last)
        self.kept |= rows

    @rule()
    def write_again(self) -> None:
        """As whoever does not know whether it was kept; some of it may have been trimmed since."""
        rows = {row.id: row for row in self.last.jobs}
        self.last.ended = ends_of(row for row in rows.values() if row.id not in self.kept)
        self.file.write(self.last)
        self.kept |= rows

    @rule()
    def reopen(self) -> None:
        """Another process goes on."""
        self.file.close()
        self.file = JobFile.open(self.path)

    @rule(before=numbers, at_most=numbers)
    def trim_by_age(self, before: int, at_most: int) -> None:
        """Jobs are deleted that finished before a time, those that finished first."""
        old = sum(
            row.finished_at is not None and row.finished_at < moment(before)
            for row in self.kept.values()
        )
        self.require_gone(min(old, at_most), self.file.trim(moment(before), at_most))

    @rule(retain=st.integers(0, 60))
    def trim_by_number(self, retain: int) -> None:
        """Jobs are deleted if there are more, those that finished first."""
        ended = sum(row.finished_at is not None for row in self.kept.values())
        self.require_gone(max(0, ended - retain), self.file.write(Batch(), retain))

    def require_gone(self, jobs: int, trimmed: list[FinishedCount]) -> None:
        """So many are kept no more, and it was told of which types and statuses they were."""
        ended = sorted((row.finished_at, row.id) for row in self.kept.values() if row.finished_at)
        gone = [self.kept.pop(job_id) for _, job_id in islice(ended, jobs)]
        assert {(kind, status): jobs for kind, status, jobs in trimmed} == Counter(
            (row.type, row.status) for row in gone
        )

    @rule(
        status=st.none() | statuses,
        job_type=st.none() | st.sampled_from((*TYPES, "unknown")),
        after=st.none() | numbers,
        limit=st.integers(1, 30),
        newest_first=st.booleans(),
    )
    def page(
        self,
        status: Status | None,
        job_type: str | None,
        after: int | None,
        limit: int,
        newest_first: bool,
    ) -> None:
        """Any page has what it should."""
        start = None if after is None else job(after).id
        expected = [
            row
            for _, row in sorted(self.kept.items(), reverse=newest_first)
            if (status is None or row.status == status)
            and (job_type is None or row.type == job_type)
            and (start is None or (row.id < start if newest_first else row.id > start))
        ]
        wanted = JobFilter(
            statuses=() if status is None else (status,),
            types=() if job_type is None else (job_type,),
        )
        page = self.file.page(wanted, after=start, limit=limit, newest_first=newest_first)
        assert page == (expected[:limit], None)

    @invariant()
    def agrees(self) -> None:
        """All that is kept is there, and nothing else."""
        if not hasattr(self, "file"):
            return
        ended = sorted(each for each in self.file.finished_counts() if each.jobs)
        assert ended == sorted(ends_of(self.kept.values()))
        counts = Counter((row.type, row.status) for row in self.kept.values())
        assert counts == {
            (job_type, status): jobs
            for job_type, of_type in self.file.counts().items()
            for status, jobs in of_type.items()
        }
        unfinished = [kept for portion in self.file.unfinished(7) for kept in portion]
        assert [(kept.record.decode(), kept.result) for kept in unfinished] == [
            (row.record, None if row.result is None else row.result.encode())
            for _, row in sorted(self.kept.items())
            if row.finished_at is None
        ]
        assert self.file.summaries([*self.kept, "unknown"]) == self.kept
        assert self.file.check() == []


AnyBatches.TestCase.settings = settings(max_examples=30, stateful_step_count=20)
TestAnyBatches = pytest.mark.slow(AnyBatches.TestCase)
