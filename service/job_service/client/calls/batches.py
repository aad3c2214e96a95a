"""Submits any number of jobs, in portions that the service takes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from job_service.client.calls.terms import OnProgress, Terms
from job_service.client.encoding import Submission, line_of, new_key
from job_service.client.exchange import Conversation
from job_service.errors import BatchTooLarge, JobServiceError

# Fewer than the service takes at once: it has room for a small portion sooner than for a large one.
PORTION_JOBS: Final = 250
PORTION_BYTES: Final = 4 * 1024 * 1024


class BatchCalls(Terms):
    """Submit many jobs."""

    def submit_all(
        self, submissions: Iterable[Submission], key: str | None, on_progress: OnProgress[int]
    ) -> Conversation[Sequence[str]]:
        """`POST /jobs/batch`, again and again; gives the ids.

        If it fails, a note of the error says how many jobs are accepted. The same submissions with
        the same `key` are the same portions.
        """
        key = key or new_key()
        ids: list[str] = []
        try:
            for portion in _portions(submissions):
                yield from self._submit_portion(portion, key, ids)
                if on_progress is not None:
                    on_progress(len(ids))
        except JobServiceError as error:
            error.add_note(f"the first {len(ids)} jobs are accepted")
            raise
        return ids

    def _submit_portion(
        self, lines: Sequence[bytes], key: str, ids: list[str]
    ) -> Conversation[None]:
        """Submit a portion, and add its ids; if the queue can never hold it, the one half first."""
        request = self._post(
            "/jobs/batch",
            b"\n".join(lines),
            f"{key}/{len(ids)}+{len(lines)}",
            content_type="application/x-ndjson",
        )
        try:
            receipt: _Receipt = yield from self._read(request, _Receipt)
        except BatchTooLarge:
            if len(lines) == 1:
                raise
            half = len(lines) // 2
            yield from self._submit_portion(lines[:half], key, ids)
            yield from self._submit_portion(lines[half:], key, ids)
        else:
            ids += receipt.ids


class _Receipt(msgspec.Struct):
    """Of `POST /jobs/batch`."""

    ids: list[str]


def _portions(submissions: Iterable[Submission]) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    size = 0
    for submission in submissions:
        line = line_of(submission)
        if lines and (len(lines) == PORTION_JOBS or size + len(line) > PORTION_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield lines
