"""What a process does with groups of a store that it shares: their jobs may be anywhere."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import trio

from job_service.errors import UnknownGroup
from job_service.jobs.state.model import Job
from job_service.stores.group_store import KeptGroup
from job_service.stores.live_store import no_such_group
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
