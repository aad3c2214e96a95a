"""The example `resumable_import`: it goes on where it stopped, and tells how far it is."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from job_service.testing import assert_completed, assert_failed, run_sync, waits
from tests.examples.conftest import Load


@pytest.fixture
def example(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The example, with a database of its own, and ten rows in one go."""
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.db"))
    example = load("resumable_import")
    monkeypatch.setattr(example, "ROWS_IN_ONE_GO", 10)
    return example


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Thirty customers."""
    file = tmp_path / "customers.csv"
    rows = "".join(f"c{n}@example.com,Customer {n}\n" for n in range(30))
    file.write_text(f"email,name\n{rows}")
    return file


def customers(tmp_path: Path) -> int:
    """How many are in the database."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        return int(database.execute("SELECT count(*) FROM customers").fetchone()[0])


def test_an_attempt_goes_on_where_the_last_one_stopped(
    example: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is written once, though the database failed in the middle."""
    keep, portions = example.keep, list[int]()

    def failing_once(database: Any, job_id: str, rows: list[Any], done: int) -> int:
        portions.append(done)
        if portions == [0, 10]:
            raise sqlite3.OperationalError("disk I/O error")
        return int(keep(database, job_id, rows, done))

    monkeypatch.setattr(example, "keep", failing_once)
    job = run_sync(example.registry, "import_customers", {"path": str(file)})
    assert_completed(job, {"rows": 30, "went_on_after": 10})
    assert portions == [0, 10, 10, 20]
    assert customers(tmp_path) == 30
    assert job.progress is not None
    assert (job.progress.done, job.progress.total) == (30, 30)
    assert waits(job) == [1]


def test_half_a_portion_is_never_kept(example: Any, file: Path, tmp_path: Path) -> None:
    """A row that does not fit takes the other nine of its portion back."""
    file.write_text(file.read_text().replace("c15@example.com,Customer 15", "c15@example.com"))
    job = run_sync(example.registry, "import_customers", {"path": str(file)}, max_retries=1)
    assert_failed(job, "NOT NULL constraint failed: customers.name")
    assert customers(tmp_path) == 10
