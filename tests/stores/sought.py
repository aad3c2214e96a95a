"""Filters of every kind, most of which mean few jobs, however many are kept."""

from datetime import UTC, datetime

from job_service.jobs.state.job_filter import JobFilter

SOUGHT = (
    JobFilter(),
    JobFilter(statuses=("completed", "failed")),
    JobFilter(types=("email", "letter")),
    JobFilter(statuses=("failed",), types=("letter",)),
    JobFilter(id_part="-000"),
    JobFilter(id_part="zz"),
    JobFilter(id_part="00000007-0000"),
    JobFilter(error="zz"),
    JobFilter(error="no", statuses=("failed",)),
    JobFilter(unique_key="9"),
    JobFilter(tag="all"),
    JobFilter(tag="all", statuses=("pending",)),
    JobFilter(tag="all", unique_key="9"),
    JobFilter(tag="all", types=("none",), id_part="zz", error="zz"),
    JobFilter(created_after=datetime(2020, 1, 1, tzinfo=UTC), error="zz"),
)
