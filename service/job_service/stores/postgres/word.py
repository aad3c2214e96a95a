"""What one process asks of the one that holds a job, and how it learns whether that was done.

The word is in the row of the job, one at a time. If it is done, its id is kept with the job, in the
same act: nobody else knows whether the job was still as expected when its holder heard of it.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import uuid_utils

from job_service.errors import JobChanged
from job_service.jobs.state.detail import summarize
from job_service.jobs.state.model import Edit, Job
from job_service.stores.live_store import require_version
from job_service.stores.postgres.transaction import Transaction


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """To change a job, or else to call it off for a `reason` if it has an `expected` version.

    It has an `id` if any versions are expected.
    """

    edit: Edit | None = None
    reason: str = ""
    by: str | None = None
    expected: tuple[str, ...] | None = None
    id: str | None = None

    @property
    def versions(self) -> Collection[str] | None:
        """Those that are expected, for either."""
        return self.expected if self.edit is None else self.edit.expected


def word_to_edit(wanted: Edit) -> Word:
    """To change a job, as it is wanted."""
    return Word(wanted, id=None if wanted.expected is None else _new_id())


def word_to_call_off(reason: str, by: str | None, expected: Collection[str]) -> Word:
    """To call a job off that has one of these versions."""
    return Word(None, reason, by, tuple(expected), _new_id())


def _new_id() -> str:
    return str(uuid_utils.uuid4())


def require_unchanged(job: Job, word: Word, asked: str | None) -> None:
    """Raise JobChanged if the job is not as expected, or its holder is `asked` for something else.

    What that one will do comes first, and would be lost, because there is one word at a time.
    """
    require_version(job, word.versions)
    if word.id is not None and asked not in (None, encode(word).decode()):
        raise JobChanged(summarize(job))


async def tell_holders(tx: Transaction, word: Word, ids: Sequence[str]) -> None:
    """Say it to those who hold these jobs."""
    text = encode(word).decode()
    await tx.rows("UPDATE job_service.jobs SET edit = %s WHERE id = ANY(%s)", text, list(ids))


encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Word).decode
