"""`job-service migrate`: the tables by a command, for those who do not let a service make them."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

PROGRAM = Path(sys.executable).with_name("job-service")


def migrate(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What the command prints, and its exit status."""
    command = [str(PROGRAM), "--store", url, "migrate", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_the_plan_is_sql_that_somebody_else_can_run(database: str) -> None:
    """It has the same effect as the command, which has nothing to do after that."""
    plan = migrate(database, "--plan")
    assert plan.returncode == 0
    assert plan.stdout.startswith("BEGIN;")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(plan.stdout.encode())
    done = migrate(database)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("is up to date (version 1)\n")
    assert migrate(database, "--plan").stdout.startswith("-- postgresql:///")


@pytest.mark.slow
def test_the_command_makes_the_tables(database: str) -> None:
    """Once."""
    assert migrate(database).stdout.endswith(": from version 0 to 1\n")
    assert migrate(database).stdout.endswith("is up to date (version 1)\n")


@pytest.mark.slow
def test_what_can_not_be_migrated_is_refused(tmp_path: Path) -> None:
    """With one line, and exit status 2."""
    for store, why in (
        (f"sqlite:{tmp_path}/jobs.db", "only a PostgreSQL database is migrated"),
        (f"postgresql:///jobs?host={tmp_path}", "can't use postgresql:///jobs:"),
    ):
        refused = migrate(store)
        assert refused.returncode == 2
        assert why in refused.stderr
        assert refused.stderr.count("\n") == 1
