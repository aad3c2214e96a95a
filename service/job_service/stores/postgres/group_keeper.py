"""What a process does with groups of a store that it shares: their jobs may be anywhere."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import trio

from job_service.errors import UnknownGroup
from job_service.jobs.state.detail import Cancellations
from job_service.jobs.state.model import TERMINAL, Job
from job_service.stores.group_store import KeptGroup
from job_service.stores.live_store import no_such_group
from job_service.stores.postgres.calling_off import CallOff
from job_service.stores.postgres.groups import group_of, unsuccessful
from job_service.stores.postgres.participant import Participant
from job_service.stores.postgres.rows import is_storable

LOOK_SECONDS: Final = 0.1  # between two looks at a group that somebody waits for


class GroupKeeper(Participant):
    """Asks the database for groups. Meaning and errors are those of `contract.Store`."""

    async def _read_group(self, group_id: str) -> KeptGroup:
        await self._require_open()
        await self._committer.kept()
        kept = None
        if is_storable(group_id):
            kept = await self._question(self._reader.do(partial(group_of, group_id=group_id)))
        if kept is None:
            raise UnknownGroup(no_such_group(group_id))
        return kept

    async def _unsuccessful(self, group_id: str) -> Sequence[Job]:
        return await self._question(self._reader.do(partial(unsuccessful, group_id=group_id)))

    async def _wait_for_end(self, group_id: str) -> None:
        while True:
            if (await self._read_group(group_id)).standing.ended_at is not None:
                return
            await trio.sleep(LOOK_SECONDS)

    async def _call_off_group(self, group_id: str, reason: str, by: str | None) -> Cancellations:
        cancelled = interrupted = 0
        is_over = False
        while not is_over:
            some = CallOff(reason, by, group_id=group_id)
            await self._ask(some)
            cancelled += some.cancelled
            interrupted += some.interrupted
            is_over = some.is_over
        held = [job for job in self._jobs if job.group == group_id and job.status not in TERMINAL]
        held.sort(key=lambda job: job.status == "pending")
        here = await self._call_off_each(held, None, reason, by)
        await self._committer.kept()
        return Cancellations(
            cancelled=cancelled + here.cancelled, interrupted=interrupted + here.interrupted
        )
