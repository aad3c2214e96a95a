"""The log as a person reads it on a terminal: plain lines, with each traceback below its own."""

import fcntl
import os
import pty
import re
import struct
import termios
from datetime import datetime, timedelta

import pytest

from job_service.telemetry.console import COLUMNS, FEWEST_COLUMNS, duration, terminal_columns
from job_service.telemetry.events import (
    Event,
    JobCancelled,
    JobCompleted,
    JobCreated,
    JobEnqueued,
    JobFailed,
    JobStarted,
    LoopStalled,
    QueuePaused,
    ServiceStarted,
)
from job_service.telemetry.log import Log
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


def columns_of(text: str, lines: list[bytes]) -> set[int]:
    """The columns in which `text` begins, in the first rows of all lines."""
    return {COLOURS.sub("", line.decode()).splitlines()[0].index(text) for line in lines}


@pytest.mark.parametrize("columns", [80, 100, 113, 200])
@pytest.mark.parametrize("job_type", ["echo", "send_receipt", "t" * 24, "t" * 60])
def test_columns_stay_whatever_job_types_are_called(
    columns: int, job_type: str, lines: list[bytes]
) -> None:
    """Their column is made for the longest name when the service starts, and names are cut at 24.

    Names of up to 11 characters fit 100 columns; longer ones lose their middle there.
    """
    log = Log(lines.append, "console", columns=lambda: columns)
    log.observe(sample(ServiceStarted, job_types=["echo", job_type]))
    lines.clear()
    for name in ("echo", job_type, "echo"):
        log.observe(sample(JobStarted, job_id=JOB_ID, job_type=name, worker_id="worker-10"))
    assert len(columns_of("worker-10", lines)) == 1
    if columns >= 100:
        assert len(columns_of(JOB_ID, lines)) == 1
    for line in lines:
        assert JOB_ID in line.decode()
        assert max(map(len, line.decode().splitlines())) <= columns
    whole = len(job_type) <= 11 or (len(job_type) <= 24 and columns != 100)
    assert (job_type in lines[1].decode()) == whole
    assert ("…" in lines[1].decode()) == (not whole)


def test_columns_stay_with_hundreds_of_workers(log: Log, lines: list[bytes]) -> None:
    """The column of workers grows with their ids, and the line still fits."""
    log.logger.info("worker_started", worker_id="worker-1000")
    lines.clear()
    for worker_id in ("worker-1", "worker-1000"):
        log.observe(sample(JobStarted, job_id=JOB_ID, worker_id=worker_id))
    assert columns_of(JOB_ID, lines) == {COLUMNS - len(JOB_ID)}
    assert len(columns_of("#2", lines)) == 1


def test_a_handlers_long_event_leaves_the_id_in_its_column(log: Log, lines: list[bytes]) -> None:
    """As far as there is room: an own event may be longer than the service's are."""
    job = log.logger.bind(job_id=JOB_ID, job_type="echo", worker_id="worker-1", attempt=1)
    job.info("seen")
    job.info("payment_declined")
    assert columns_of(JOB_ID, lines) == {COLUMNS - len(JOB_ID)}


@pytest.mark.parametrize("columns", [100, 200])
@pytest.mark.parametrize("event", ["payment_declined", "webhook_delivered"])
def test_a_handlers_long_event_leaves_the_columns_in_place(
    columns: int, event: str, lines: list[bytes]
) -> None:
    """It takes room from the job type, which loses its middle if it must."""
    log = Log(lines.append, "console", columns=lambda: columns)
    for job_type in ("echo", "send_mail", "count_words"):
        job = log.logger.bind(job_id=JOB_ID, job_type=job_type, worker_id="worker-1", attempt=1)
        job.info("seen", run_seconds=0.125)
        job.info(event, run_seconds=0.125)
    for text in ("worker-1", "#1", "125ms", JOB_ID):
        assert len(columns_of(text, lines)) == 1
    assert all(piece in lines[-1].decode() for piece in ("cou", "rds", event))


def test_a_place_in_the_code_is_never_broken(log: Log, lines: list[bytes]) -> None:
    """What is longer than a row is broken between its words, and a path not at all."""
    path = f"/home/{'somebody/' * 10}shop-floor.py:127"
    log.observe(sample(LoopStalled, where=f"{path} in add_up", job_id=JOB_ID, over=True))
    first, *below = read(lines).splitlines()
    assert JOB_ID in first
    assert path in below[0].split("'")[1].split()
    assert below[-1].split()[-3:] == ["in", "add_up'", "over"]


def test_a_list_is_broken_between_its_items(log: Log, lines: list[bytes]) -> None:
    """However many job types there are, each can be read."""
    names = [f"job-type-{number}" for number in range(30)]
    log.observe(sample(ServiceStarted, job_types=names))
    rows = read(lines).splitlines()
    assert max(map(len, rows)) <= COLUMNS
    assert f"job_types={','.join(names)}" in "".join(row.strip() for row in rows)
    assert all(any(name in row for row in rows) for name in names)


def test_a_short_extra_stands_in_the_first_row(log: Log, lines: list[bytes]) -> None:
    """If its job has no worker yet, there is room before the id."""
    log.observe(sample(JobCreated, job_id=JOB_ID, priority=2))
    (row,) = read(lines).splitlines()
    assert row.split()[3:] == ["echo", "priority=2", JOB_ID]
    assert row.endswith(JOB_ID)
    assert len(row) == COLUMNS


def test_a_wide_terminal_has_room_behind_the_id(lines: list[bytes]) -> None:
    """What took a second row at 100 columns stands in the first one."""
    log = Log(lines.append, "console", columns=lambda: 160)
    log.observe(sample(JobFailed, job_id=JOB_ID))
    assert read(lines).endswith(f"{JOB_ID} error='ValueError: no'")


def test_a_narrow_terminal_has_the_id_below(lines: list[bytes]) -> None:
    """It is whole there, too."""
    log = Log(lines.append, "console", columns=lambda: 80)
    log.observe(sample(JobFailed, job_id=JOB_ID))
    _, *below = read(lines).splitlines()
    assert [row.strip() for row in below] == [f"job_id={JOB_ID}", "error='ValueError: no'"]


@pytest.mark.parametrize("columns", [80, 100])
def test_no_row_ends_with_blanks(columns: int, lines: list[bytes]) -> None:
    """Whoever copies it copies nothing else."""
    log = Log(lines.append, "console", columns=lambda: columns)
    log.observe(sample(QueuePaused))
    log.observe(sample(JobEnqueued, job_id=JOB_ID))
    for line in lines:
        assert all(row == row.rstrip() for row in line.decode().splitlines())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "value"),
        (False, "value=false"),
        (None, "value="),
        ([], "value="),
        ((JOB_ID,), f"value={JOB_ID}"),
        (["a", "b c", 3], "value=a,'b c',3"),
        ("b", "value=b"),
        ("b c", "value='b c'"),
        ("", "value=''"),
        (1.5, "value=1.5"),
    ],
)
def test_values_are_for_people(value: object, shown: str, log: Log, lines: list[bytes]) -> None:
    """Nobody has to know how Python would write them."""
    log.logger.info("said", value=value)
    assert read(lines).partition("said")[2].strip() == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.9175612, "0.918"), (30.0, "30"), (0.00005, "5e-05"), (0.0, "0")]
)
def test_seconds_have_three_decimals(
    seconds: float, shown: str, log: Log, lines: list[bytes]
) -> None:
    """As many as somebody reads, and without a fraction that says nothing."""
    log.logger.info("said", pause_seconds=seconds)
    assert read(lines).endswith(f" pause_seconds={shown}")


def test_a_moment_that_has_no_local_time_can_be_logged(log: Log, lines: list[bytes]) -> None:
    """The last day of all is past the end of the calendar in some zones."""
    log.logger.info("said", expires=datetime.max)  # noqa: DTZ901
    assert "expires=" in read(lines)


def test_a_duration_that_is_no_number_can_be_logged(log: Log, lines: list[bytes]) -> None:
    """A handler may have computed it."""
    log.logger.bind(job_id=JOB_ID).info("said", run_seconds=float("nan"))
    assert read(lines).split()[-2:] == ["nan", JOB_ID]


def test_all_times_of_a_line_are_the_walls(log: Log, lines: list[bytes]) -> None:
    """The time at which a job is to start reads like that of its line, with a date on another day.

    A line that gave two zones would have to be computed with.
    """
    for ahead in (timedelta(seconds=1), timedelta(days=2)):
        log.observe(sample(JobCreated, run_at=MOMENT + ahead))
    soon, later = (COLOURS.sub("", line.decode()) for line in lines)
    assert f"run_at={clock(MOMENT + timedelta(seconds=1))} " in soon
    assert f"run_at=2026-02-02T{clock(MOMENT + timedelta(days=2))}" in later


@pytest.mark.parametrize(("width", "columns"), [(132, 132), (40, FEWEST_COLUMNS), (0, COLUMNS)])
def test_lines_are_as_wide_as_the_terminal(width: int, columns: int) -> None:
    """As it is at the moment; one that does not know, or is too narrow, gets what can be read."""
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        assert terminal_columns(theirs) == columns
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_a_terminal_lines_have_100_columns() -> None:
    """In a file or a pipe, whose reader nobody knows."""
    read_end, write_end = os.pipe()
    try:
        assert terminal_columns(write_end) == COLUMNS
    finally:
        os.close(read_end)
        os.close(write_end)


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
    assert read(lines).split()[1:] == ["warn", "email_sent", "to_domain=example.org", "job-1"]


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
