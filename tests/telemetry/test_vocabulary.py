"""The vocabulary as documentation: `job-service vocabulary` prints what the structs have."""

import json
from typing import Any

import jsonschema_rs
import pytest

from job_service.main import main
from job_service.telemetry import vocabulary
from job_service.telemetry.events import Event, JobRescued, ScheduleSkipped
from job_service.telemetry.log import encode_event
from tests.telemetry.sample import EVENT_KINDS, VALUES, name_of, own_fields, sample

LOGGED = [kind for kind in EVENT_KINDS if kind.logged]
TOLD = [kind for kind in EVENT_KINDS if kind.streamed]
OWN_REASONS: dict[type[Event], str] = {ScheduleSkipped: "missed", JobRescued: "restart"}
every_logged_kind = pytest.mark.parametrize("kind", LOGGED, ids=name_of)


def names(kind: type[Event]) -> list[str]:
    """The fields of an event of its own."""
    return [field.name for field in own_fields(kind)]


def test_events_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """`job-service vocabulary` names every event that is told, with its meaning and its fields."""
    with pytest.raises(SystemExit) as exited:
        main(["vocabulary"])
    said = capsys.readouterr()
    assert (exited.value.code, said.err) == (0, "")
    assert max(map(len, said.out.splitlines())) <= 100
    entries = {entry.split()[0]: entry for entry in said.out.split("\n\n")[1:]}
    assert sorted(entries) == sorted(map(name_of, TOLD))
    for kind in TOLD:
        _, *rest = entries[name_of(kind)].splitlines()
        fields = [line.split()[0].strip("[]") for line in rest if line.startswith("    ")]
        assert fields == names(kind)
        assert (kind.__doc__ or "").split()[0] in rest[0]
        assert ("in the stream of events only" in entries[name_of(kind)]) == (not kind.logged)
        assert entries[name_of(kind)].startswith(f"{name_of(kind)} ({sample(kind).level}")


def test_types_are_told_in_words() -> None:
    """Nobody has to know Python to read them."""
    entries = vocabulary.table().split("\n\n")
    worker_stopped = next(entry for entry in entries if entry.startswith("worker_stopped"))
    assert worker_stopped.splitlines()[-2:] == [
        "    reason                drained or cancelled or crashed",
        "    jobs_run              whole number",
    ]
    assert "class" not in vocabulary.table()
    assert "Unset" not in vocabulary.table()


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `job-service vocabulary --schema` prints."""
    with pytest.raises(SystemExit) as exited:
        main(["vocabulary", "--schema"])
    assert exited.value.code == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


@every_logged_kind
def test_lines_fit_the_schema(kind: type[Event], schema: dict[str, Any]) -> None:
    """Each with what it must have, and with all that it can have; and not with a field less."""
    validator = jsonschema_rs.validator_for(schema)
    optional = {name: VALUES[name] for name in names(kind)}
    given = {"reason": OWN_REASONS[kind]} if kind in OWN_REASONS else {}
    for event in (sample(kind, **given), sample(kind, **optional | given)):
        line = json.loads(encode_event(event))
        assert validator.is_valid(line), list(validator.iter_errors(line))
    for name in line.keys() & {field.name for field in own_fields(kind) if field.required}:
        assert not validator.is_valid({key: line[key] for key in line if key != name})
