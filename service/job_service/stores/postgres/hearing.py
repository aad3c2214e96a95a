"""What others have said to a process: it looks each second, so all of it comes in one answer."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from job_service.jobs.state.schedule_state import ScheduleState
from job_service.stores.postgres.connection import Connection
from job_service.stores.postgres.node import NodeId
from job_service.stores.postgres.schedules import STATES

_HEAR: Final = f"""
    SELECT json_build_object(
        'pauses', ARRAY(SELECT job_type FROM job_service.pauses),
        'schedules', ARRAY(SELECT row_to_json(state) FROM ({STATES}) AS state),
        'called_off', ARRAY(
            SELECT json_build_array(id, cancel_reason, cancel_by) FROM job_service.jobs
            WHERE node = %(node)s AND cancel_reason IS NOT NULL
        ),
        'to_edit', ARRAY(
            SELECT json_build_array(id, edit) FROM job_service.jobs
            WHERE node = %(node)s AND edit IS NOT NULL
        )
    )::text
"""


class Heard(msgspec.Struct, frozen=True):
    """What is to be done by a process.

    `pauses` are the job types that are paused, "" for the whole queue. The jobs that it holds and
    that others want it to call off have each a reason, and who; those to change, what is wanted.
    Of the schedules each is the text of a ScheduleState.
    """

    pauses: set[str]
    schedules: list[msgspec.Raw]
    called_off: list[tuple[str, str, str | None]]
    to_edit: list[tuple[str, str]]

    def known_schedules(self) -> Iterator[ScheduleState]:
        """Those that can be read: somebody may have written a time that Python does not have."""
        for text in self.schedules:
            with suppress(msgspec.DecodeError):
                yield _decode_schedule(text)


async def hear(connection: Connection, node: NodeId) -> Heard:
    """What has been said to this node, or to all. Raises psycopg.Error."""
    ((told,),) = await connection.named(_HEAR, {"node": node})
    return _decode(told)


_decode: Final = msgspec.json.Decoder(Heard).decode
_decode_schedule: Final = msgspec.json.Decoder(ScheduleState).decode
