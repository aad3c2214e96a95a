"""The command `check MODULE:NAME --url`: which waiting jobs of a service a registry can't run."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct

from job_service.cli.misfits import MisfitCount, Misfits, lines_of_misfits
from job_service.client import JobClient
from job_service.errors import UnknownJob, UnknownJobType
from job_service.jobs.queueing.fitness import why_payload_unfit
from job_service.jobs.registration.registry import Registry

LOOKED_AT: Final = 500  # payloads of each type, the oldest jobs first
_PATIENCE_SECONDS: Final = 2.0


class WaitingReport(Struct, kw_only=True):
    """What was found out about the jobs that wait in the service at `url`.

    Of the `waiting` ones, `looked_at` were compared with the registry: those of types that it does
    not have all together, and of each other type the oldest. `hidden` ones could not be, because
    their type is sensitive and the token may not read payloads.
    """

    url: str
    waiting: int = 0
    looked_at: int = 0
    hidden: int = 0
    misfits: list[Misfits] = []

    @property
    def is_well(self) -> bool:
        """Whether all jobs fit that were looked at."""
        return not self.misfits


def examine_waiting(url: str, registry: Registry) -> WaitingReport:
    """Ask the service for its waiting jobs, and see whether the registry can run them.

    It changes nothing. Raises Unreachable, Unauthorized or another JobServiceError.
    """
    misfits = MisfitCount()
    with JobClient(url, patience_seconds=_PATIENCE_SECONDS) as client:
        report = WaitingReport(url=client.url)
        for each in client.view().types:
            report.waiting += each.pending
            with suppress(UnknownJobType):  # of the service: its last jobs have gone meanwhile
                if each.pending and not _is_known(registry, each.type):
                    report.looked_at += each.pending
                    _note_unknown(client, registry, each.type, each.pending, misfits)
                elif each.pending:
                    _look_at_payloads(client, registry, each.type, report, misfits)
    report.misfits = misfits.all()
    return report


def lines_of_waiting(report: WaitingReport) -> Iterator[str]:
    """The report for people."""
    yield from lines_of_misfits(report.misfits)
    if report.hidden:
        yield f"note: {_jobs(report.hidden)} could not be compared: the token may not read payloads"
    yield f"{report.url}: {_jobs(report.waiting)} waiting, {report.looked_at:,} looked at"
    if report.misfits:
        number = sum(misfits.jobs for misfits in report.misfits)
        yield f"{_jobs(number)} would wait for other handlers."
    else:
        yield "All that were looked at fit the handlers."


def _is_known(registry: Registry, job_type: str) -> bool:
    try:
        registry.lookup(job_type)
    except UnknownJobType:
        return False
    return True


def _note_unknown(
    client: JobClient, registry: Registry, job_type: str, pending: int, misfits: MisfitCount
) -> None:
    why = why_payload_unfit(registry, job_type, b"") or ""
    for job in client.list(status="pending", job_type=job_type, limit=1):
        misfits.add(job_type, why, job.id, pending)


def _look_at_payloads(
    client: JobClient,
    registry: Registry,
    job_type: str,
    report: WaitingReport,
    misfits: MisfitCount,
) -> None:
    for listed in client.list(status="pending", job_type=job_type, limit=LOOKED_AT):
        try:
            job = client.get(listed.id)
        except UnknownJob:  # it has ended meanwhile, and is gone
            continue
        if job.hidden:
            report.hidden += 1
            continue
        report.looked_at += 1
        if (why := why_payload_unfit(registry, job_type, bytes(job.payload))) is not None:
            misfits.add(job_type, why, job.id)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"
