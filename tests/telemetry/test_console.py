"""The log as a person reads it on a terminal: plain lines, with each traceback below its own."""

import re
from datetime import datetime

import pytest

from service.telemetry.console import COLUMNS, duration
from service.telemetry.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobEnqueued,
    JobFailed,
    JobStarted,
)
from service.telemetry.log import Log
from tests.telemetry.sample import EVENT_KINDS, MOMENT, VALUES, name_of, own_fields, sample

JOB_ID = "01890a5d-ac96-774b-bcce-b302099a8057"

every_logged_kind = pytest.mark.parametrize(
    "kind", [kind for kind in EVENT_KINDS if kind.logged], ids=name_of
)
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


def clock(moment: datetime) -> str:
    """The moment on the wall's clock."""
    return moment.astimezone().strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03}"


def test_an_event_is_readable(log: Log, lines: list[bytes]) -> None:
    """A line has the wall's time, the level, the event and its fields in columns, and no JSON."""
    log.observe(sample(JobStarted, job_id=JOB_ID))
    assert read(lines) == (
        f"{clock(MOMENT)} info job_started   echo        worker-1  #2  125ms {JOB_ID}"
    )


def test_the_lines_of_jobs_are_a_table(log: Log, lines: list[bytes]) -> None:
    """Whatever is said of jobs, each kind of thing stands in one column, the whole id last."""
    logger = log.logger.bind(job_id=JOB_ID, worker_id="worker-1", attempt=1)
    logger.info("handler_line")
    for kind in (JobCreated, JobEnqueued, JobStarted, JobCompleted, JobCancelled):
        log.observe(sample(kind, job_id=JOB_ID))
    columns = {COLOURS.sub("", line.decode()).index(JOB_ID) for line in lines}
    assert columns == {COLUMNS - len(JOB_ID)}


@every_logged_kind
def test_every_line_fits_100_columns(kind: type[Event], log: Log, lines: list[bytes]) -> None:
    """With the longest usual values, nothing runs over the edge of a terminal; it wraps, below."""
    optional = {field.name: VALUES[field.name] for field in own_fields(kind)}
    usual = {"job_type": "count_words", "worker_id": "worker-10", "job_id": JOB_ID}
    optional |= {name: value for name, value in usual.items() if name in optional}
    if "job_types" in optional:
        optional["job_types"] = [f"job_type_number_{number}" for number in range(30)]
    log.observe(sample(kind, **optional))
    first, *below = read(lines).splitlines()
    assert name_of(kind) in first
    assert max(map(len, [first, *below])) <= COLUMNS
    assert all(line.startswith("    ") for line in below)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0ms"),
        (0.00015, "0.1ms"),
        (0.0123, "12ms"),
        (0.9994, "999ms"),
        (0.9999, "1.00s"),
        (59.994, "59.99s"),
        (59.999, "1m00s"),
        (723.4, "12m03s"),
        (3_599.9, "1h00m"),
        (108_420.0, "30h07m"),
    ],
)
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    """A handful of characters, with a unit that fits."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("level", "colour"), [("debug", 34), ("info", 32), ("warning", 33), ("error", 31)]
)
def test_levels_have_their_colours(level: str, colour: int, lines: list[bytes]) -> None:
    """On a terminal that is asked for colours, trouble can be seen from afar."""
    log = Log(lines.append, "console", "debug", colors=True)
    getattr(log.logger, level)("said")
    assert f"\x1b[{colour}m{level[:4]}".encode()[:8] in lines[0]


def test_without_colours_there_are_none(log: Log, lines: list[bytes]) -> None:
    """Nor any other word to the terminal, whatever a handler logs."""
    log.logger.error("odd\x1b[2J", **{"k\x1b[2J": "v\x1b[2J"})
    assert b"\x1b" not in lines[0]


def test_what_does_not_apply_is_absent(log: Log, lines: list[bytes]) -> None:
    """An optional field that was not given leaves no trace, neither None nor UNSET."""
    log.observe(sample(JobCreated))
    assert read(lines).split()[2:] == ["job_created", "echo", "job-1"]


def test_a_handlers_line_is_readable(log: Log, lines: list[bytes]) -> None:
    """A line of a handler's own looks like the service's."""
    log.logger.bind(job_id="job-1").warning("email_sent", to_domain="example.org")
    assert read(lines).split()[1:] == ["warn", "email_sent", "job-1", "to_domain=example.org"]


def test_times_have_one_form_in_all_lines(log: Log, lines: list[bytes]) -> None:
    """The service's events and a handler's lines tell the moment in the same way."""
    log.observe(sample(JobStarted))
    log.logger.info("email_sent")
    for line in lines:
        assert re.match(r"\d\d:\d\d:\d\d\.\d{3} ", COLOURS.sub("", line.decode()))


def test_an_events_traceback_stands_below_its_line(log: Log, lines: list[bytes]) -> None:
    """A traceback is printed as Python does, not as one escaped string."""
    log.observe(sample(JobFailed, traceback=VALUES["traceback"]))
    first, *below = read(lines).splitlines()
    assert "job_failed" in first
    assert "error='ValueError: no'" in first
    assert "traceback" not in first
    assert below == ["    Traceback (most recent call last):", "    ValueError: no"]


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
    assert below[0] == "    Traceback (most recent call last):"
    assert below[-1] == "    ValueError: no such customer"


def test_a_value_with_a_line_break_stays_in_its_line(log: Log, lines: list[bytes]) -> None:
    """No value can look like a line of its own."""
    log.logger.info("said", text="one\n2026-01-31 [info] forged")
    assert len(read(lines).splitlines()) == 1
