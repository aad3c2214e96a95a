"""What is no database for this program is refused with a line that says what to do, untouched."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from job_service.errors import StoreRefused
from job_service.stores.sqlite import schema
from job_service.stores.sqlite.connection import open_connection
from job_service.stores.sqlite.schema import VERSION, version_of
from tests.stores.sqlite.sample import closing_file, job, job_id, new

JOBS = 200
NOBODY = 65_534


def filled(path: Path) -> None:
    """Make a database with some jobs there."""
    with closing_file(path) as file:
        file.write(new(*[job(number) for number in range(JOBS)]))


def refused(path: Path, why: str, *, read_only: bool = False) -> None:
    """To open it fails with one line, and changes neither the file nor what is beside it."""
    before = contents(path.parent)
    with pytest.raises(StoreRefused, match=why) as caught:
        open_connection(path, read_only=read_only)
    assert "\n" not in str(caught.value)
    assert contents(path.parent) == before


def contents(directory: Path) -> dict[str, bytes]:
    """What each file in it has, as far as there is such a directory."""
    files = directory.iterdir() if directory.is_dir() else []
    return {file.name: file.read_bytes() if file.is_file() else b"" for file in files}


def run(path: Path, *statements: str) -> None:
    """Do this to a database, as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement).fetchall()


def test_a_new_database_survives_power_loss(path: Path) -> None:
    """Each commit waits for the disk. At the end, there is nothing beside the file."""
    with closing(open_connection(path)) as database:
        settings = ("journal_mode", "synchronous", "user_version")
        values = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
        assert values == ["wal", 2, VERSION]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_was_kept_is_there_when_it_is_opened_again(path: Path) -> None:
    """By its writer, and by one who only reads."""
    filled(path)
    with closing(open_connection(path)) as database:
        assert version_of(database) == VERSION
    with closing(open_connection(path, read_only=True)) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (JOBS,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("DELETE FROM jobs")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_a_killed_process_kept_is_there(path: Path) -> None:
    """Its write-ahead log was never moved to the file."""
    child = os.fork()
    if child == 0:
        with closing_file(path) as file:
            file.write(new(job(1)))
            os._exit(0)
    os.waitpid(child, 0)
    assert Path(f"{path}-wal").stat().st_size > 0
    with closing_file(path) as file:
        assert file.statuses([job_id(1)]) == {job_id(1): "pending"}


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    """As one that somebody has made to set its permissions, or that was about to be made."""
    path.touch()
    filled(path)
    path.unlink()
    run(path, "PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    filled(path)


DAMAGED = r"is damaged \(.*\): put a backup in its place"
FOREIGN = "is another program's database: name another file"
NEWER = f"has version {VERSION + 1}, and this program knows {VERSION}: run the newer program"


def write(content: bytes) -> Callable[[Path], object]:
    """Makes a file of this content there."""
    return lambda path: path.write_bytes(content)


def do(*statements: str, to: Callable[[Path], object] = Path.touch) -> Callable[[Path], object]:
    """Does this to a database, as another program would."""

    def spoil(path: Path) -> None:
        to(path)
        run(path, *statements)

    return spoil


def cut_to(bytes_of: Callable[[int], int]) -> Callable[[Path], object]:
    """Makes a database shorter; `bytes_of` gives its new size for its old one."""

    def spoil(path: Path) -> None:
        filled(path)
        os.truncate(path, bytes_of(path.stat().st_size))

    return spoil


def scribble(path: Path) -> None:
    """Write over a page in the middle of the jobs."""
    filled(path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 4_096)


def link(path: Path) -> None:
    """Give a database a second name."""
    filled(path)
    Path(f"{path}-2").hardlink_to(path)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(write(b"id,type\n1,email\n"), "is no SQLite database: name", id="no database"),
        pytest.param(write(b"x"), "is no SQLite database: name another file", id="one byte"),
        pytest.param(Path.mkdir, "is no file: name one, and it will be made", id="a directory"),
        pytest.param(os.mkfifo, "is no file: name one, and it will be made", id="a pipe"),
        pytest.param(do("CREATE TABLE jobs (id TEXT)"), FOREIGN, id="another program's"),
        pytest.param(
            do("PRAGMA application_id = 7", "CREATE TABLE jobs (id TEXT)"),
            FOREIGN,
            id="another program's with an id",
        ),
        pytest.param(
            do(f"PRAGMA user_version = {VERSION + 1}", to=filled), NEWER, id="a newer version"
        ),
        pytest.param(do("PRAGMA user_version = 3"), FOREIGN, id="an empty one of another program"),
        pytest.param(
            do("PRAGMA user_version = 0", to=filled),
            "says that its version is 0, and the first one was 1: put a backup in its place",
            id="of no version",
        ),
        pytest.param(cut_to(lambda size: size // 2), DAMAGED, id="cut in half"),
        pytest.param(cut_to(lambda size: size - 100), DAMAGED, id="cut a little"),
        pytest.param(cut_to(lambda _: 3_000), DAMAGED, id="cut in its first page"),
        pytest.param(cut_to(lambda _: 50), DAMAGED, id="cut in its head"),
        pytest.param(scribble, DAMAGED, id="overwritten"),
        pytest.param(link, r"has several names \(hard links\): remove all but one", id="hard link"),
    ],
)
def test_it_is_refused_untouched(path: Path, spoil: Callable[[Path], object], why: str) -> None:
    """With what is wrong, and what to do about it."""
    spoil(path)
    refused(path, why)
    refused(path, why, read_only=True)


def test_tables_of_another_version_are_refused(path: Path) -> None:
    """The line says what can be done about it."""
    do("PRAGMA user_version = 3", to=filled)(path)
    why = "has not the tables of its version .*: put a backup in its place"
    with pytest.raises(StoreRefused, match=why):
        open_connection(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_what_is_in_the_place_of_a_file_of_sqlites_is_named(
    path: Path, suffix: str, make: Callable[[str], None]
) -> None:
    """SQLite itself would speak of an I/O error, or of the rights to the database."""
    make(f"{path}{suffix}")
    with pytest.raises(StoreRefused, match=f"{suffix} is no file: move it away"):
        open_connection(path)


def test_a_newer_version_keeps_what_its_killed_process_left(path: Path) -> None:
    """What is in its write-ahead log is still there for the program that wrote it."""
    child = os.fork()
    if child == 0:
        with closing(open_connection(path)) as database:
            database.execute(f"PRAGMA user_version = {VERSION + 1}")
            os._exit(0)
    os.waitpid(child, 0)
    log = Path(f"{path}-wal").read_bytes()
    with pytest.raises(StoreRefused, match="run the newer program"):
        open_connection(path)
    assert Path(f"{path}-wal").read_bytes() == log


def test_there_must_be_a_directory(path: Path) -> None:
    """It is not made, because its name may be a mistake."""
    refused(path.parent / "missing" / path.name, "there is no directory .*missing: make it first")
    path.touch()
    refused(path / path.name, "there is no directory .*jobs.db: make it first")


def test_one_who_only_reads_makes_nothing(path: Path) -> None:
    """A name with a mistake in it is no empty database."""
    refused(path, "there is no database at .*jobs.db", read_only=True)


@contextmanager
def by_nobody() -> Iterator[Path]:
    """A directory with a database; the block is run by a user who is not root."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # others may look in there
        directory = Path(name)
        filled(directory / "jobs.db")
        directory.chmod(0o755)
        if is_root:
            os.chown(directory, NOBODY, -1)
            os.chown(directory / "jobs.db", NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield directory
        finally:
            directory.chmod(0o755)
            if is_root:
                os.seteuid(0)


def test_a_read_only_file_is_refused() -> None:
    """At once, and not when the first job comes; who only reads may read it."""
    with by_nobody() as directory:
        path = directory / "jobs.db"
        path.chmod(0o444)
        refused(path, r"can't use .*jobs\.db: Permission denied")
        with closing(open_connection(path, read_only=True)) as database:
            assert database.execute("SELECT count(*) FROM jobs").fetchone() == (JOBS,)
        path.chmod(0o000)
        with pytest.raises(StoreRefused, match=r"can't use .*jobs\.db: Permission denied"):
            open_connection(path, read_only=True)


def test_a_read_only_directory_is_refused() -> None:
    """SQLite needs room for a write-ahead log beside the file."""
    with by_nobody() as directory:
        directory.chmod(0o555)
        refused(directory / "jobs.db", "can't write to .*: allow it, in its directory, too")
        refused(directory / "new.db", "can't write to .*: allow it, in its directory, too")


def test_an_sqlite_of_old_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes whatever version there is on the machine."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    refused(path, "this Python has SQLite .*: take one that has 3.37 or later")


def test_a_database_that_another_program_locks_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while: it may be done soon."""
    filled(path)
    monkeypatch.setattr("job_service.stores.sqlite.connection.BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreRefused, match=r"another program uses .*jobs\.db .*: end it first"):
            open_connection(path)


def test_an_older_version_is_brought_up_to_date_or_left_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All steps to this version are one transaction."""
    filled(path)

    def add_notes(database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE notes (id TEXT) STRICT")

    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("the disk is on fire")

    monkeypatch.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS, add_notes, fail))
    with pytest.raises(StoreRefused, match=r"can't use .*jobs\.db: the disk is on fire"):
        open_connection(path)
    monkeypatch.undo()
    with closing(open_connection(path)) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (JOBS,)
        assert not database.execute("SELECT * FROM sqlite_schema WHERE name = 'notes'").fetchall()
