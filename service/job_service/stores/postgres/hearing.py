"""What others have said to a process: it looks each second, so all of it comes in one answer."""

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
    """

    pauses: set[str]
    schedules: list[ScheduleState]
    called_off: list[tuple[str, str, str | None]]
    to_edit: list[tuple[str, str]]


async def hear(connection: Connection, node: NodeId) -> Heard:
    """What has been said to this node, or to all. Raises psycopg.Error."""
    ((told,),) = await connection.named(_HEAR, {"node": node})
    return _decode(told)


_decode: Final = msgspec.json.Decoder(Heard).decode
