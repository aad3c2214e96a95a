"""Does the same to one job after the other; a refusal of one does not keep the others from it."""

from collections.abc import Callable, Sequence

from job_service.errors import JobServiceError, TryAgainLater, Unauthorized
from job_service.process.standard_streams import print_error
from job_service.terminal.job_ids import whole_id
from job_service.terminal.session import OK, Session, status_of


def for_each(session: Session, parts: Sequence[str], act: Callable[[str], None]) -> int:
    """Call `act` with the id of each job that is meant by a part of it; gives the exit status.

    Each refusal is printed. The service may refuse all of them for the same reason: it can't now,
    or the token does not allow it. Then this is raised, and a line says which jobs were not tried.
    """
    status = OK
    for number, part in enumerate(parts, start=1):
        try:
            act(whole_id(session.client, part))
        except (TryAgainLater, Unauthorized):
            if rest := parts[number:]:
                print_error(f"not tried: {', '.join(rest)}")
            raise
        except JobServiceError as error:
            print_error(str(error))
            status = max(status, status_of(error))
    return status
