"""The log as a person reads it on a terminal: plain lines, with each traceback below its own."""

import re

import pytest

from service.telemetry.events import JobCreated, JobFailed, JobStarted
from service.telemetry.log import Log
from tests.telemetry.sample import VALUES, sample

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def lines() -> list[bytes]:
    """What the log wrote."""
    return []


@pytest.fixture
def log(lines: list[bytes]) -> Log:
    """A log for the console."""
    return Log(lines.append, log_format="console")


def read(lines: list[bytes]) -> str:
    """The one line that was written, as a person sees it."""
    (line,) = lines
    return COLOURS.sub("", line.decode())


def test_an_event_is_readable(log: Log, lines: list[bytes]) -> None:
    """A line has the moment, the level, the event and its fields as `key=value`, and no JSON."""
    log.observe(sample(JobStarted))
    assert read(lines).split() == [
        "2026-01-31T12:00:00.123456Z",
        "[info",
        "]",
        "job_started",
        "job_id=job-1",
        "job_type=echo",
        "worker_id=worker-1",
        "attempt=2",
        "wait_seconds=0.125",
    ]


def test_what_does_not_apply_is_absent(log: Log, lines: list[bytes]) -> None:
    """An optional field that was not given leaves no trace, neither None nor UNSET."""
    log.observe(sample(JobCreated))
    assert read(lines).split()[3:] == ["job_created", "job_id=job-1", "job_type=echo"]


def test_a_handlers_line_is_readable(log: Log, lines: list[bytes]) -> None:
    """A line of a handler's own looks like the service's."""
    log.logger.bind(job_id="job-1").warning("email_sent", to_domain="example.org")
    _, *rest = read(lines).partition("[")
    assert "".join(rest).split() == [
        "[warning",
        "]",
        "email_sent",
        "job_id=job-1",
        "to_domain=example.org",
    ]


def test_timestamps_have_one_form_in_all_lines(log: Log, lines: list[bytes]) -> None:
    """The service's events and a handler's lines tell the moment in the same way."""
    log.observe(sample(JobStarted))
    log.logger.info("email_sent")
    for line in lines:
        moment = COLOURS.sub("", line.decode()).split(" [")[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment)


def test_an_events_traceback_stands_below_its_line(log: Log, lines: list[bytes]) -> None:
    """A traceback is printed as Python does, not as one escaped string."""
    log.observe(sample(JobFailed, traceback=VALUES["traceback"]))
    first, *below = read(lines).splitlines()
    assert "job_failed" in first
    assert "error='ValueError: no'" in first
    assert "traceback" not in first
    assert below == ["Traceback (most recent call last):", "ValueError: no"]


def test_a_handlers_traceback_stands_below_its_line(log: Log, lines: list[bytes]) -> None:
    """`log.exception` prints its traceback below its line too."""
    try:
        raise ValueError("no such customer")
    except ValueError:
        log.logger.exception("mail_failed", customer=7)
    first, *below = read(lines).splitlines()
    assert "mail_failed" in first
    assert "customer=7" in first
    assert "traceback" not in first
    assert below[0] == "Traceback (most recent call last):"
    assert below[-1] == "ValueError: no such customer"


def test_a_value_with_a_line_break_stays_in_its_line(log: Log, lines: list[bytes]) -> None:
    """No value can look like a line of its own."""
    log.logger.info("said", text="one\n2026-01-31 [info] forged")
    assert len(read(lines).splitlines()) == 1
