"""Which role each call needs: one table, by the names that calls have in the documentation."""

from collections.abc import Mapping
from typing import Final

from job_service.access.tokens import Role, Token
from job_service.web.problems import Problem
from job_service.web.refusals import NO_TOKEN, ROLE_TOO_LOW, Refusal

# None: the call needs no token.
NEEDED: Final[Mapping[str, Role | None]] = {
    "submit_job": "submit",
    "submit_batch": "submit",
    "submit_group": "submit",
    "get_group": "read",
    "cancel_group": "operate",
    "retry_group": "operate",
    "list_jobs": "read",
    "get_job": "read",
    "edit_job": "operate",
    "run_job_now": "operate",
    "cancel_jobs": "operate",
    "run_jobs_now": "operate",
    "retry_jobs": "operate",
    "cancel_job": "operate",
    "retry_job": "operate",
    "stream_events": "read",
    "get_queue": "read",
    "pause_queue": "operate",
    "resume_queue": "operate",
    "back_up_store": "operate",
    "list_nodes": "read",
    "list_types": "read",
    "list_workers": "read",
    "list_schedules": "read",
    "run_schedule_now": "operate",
    "pause_schedule": "operate",
    "resume_schedule": "operate",
    "get_metrics": "read",
    "get_overview": "read",
    "get_history": "read",
    "list_notices": "read",
    "get_caller": "read",
    "get_openapi": "read",
    "check_health": None,
    "check_readiness": None,
    "read_docs": None,  # but a token that is sent must be right
    "open_dashboard": None,
    "get_dashboard_file": None,
}


def require_role(call: str, token: Token | None) -> None:
    """Raise Problem, 403, if the token's role is too low, or 401 if a token is needed and is None.

    A call that is not known needs most.
    """
    if token is not None and token.role == "operate":
        return
    needed = NEEDED.get(call, "operate")
    if needed is None:
        return
    if token is None:
        raise Problem(NO_TOKEN)
    if not token.allows(needed):
        refusal = role_too_low(needed)
        has = f"and your token has the role {token.role}"
        raise Problem(refusal, f"this call needs the role {needed}, {has}")


def role_too_low(needed: Role) -> Refusal:
    """The problem of a call that needs this role."""
    scope = f'Bearer realm="job-service", error="insufficient_scope", scope="{needed}"'
    return ROLE_TOO_LOW._replace(
        detail=f"this call needs the role {needed}, and your token has the role read",
        headers={"WWW-Authenticate": scope},  # RFC 6750, section 3
    )
