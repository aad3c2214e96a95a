"""A real process whose disk fails: what clients, operators and jobs meet with, and what is left."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest
import trio

from job_service.errors import StoreRefused
from job_service.hosting import host
from job_service.jobs.registration.registry import Registry
from job_service.settings import Settings
from job_service.stores.sqlite.schema import VERSION
from tests.forking import POLL_SECONDS, Ancestor
from tests.process.conftest import COMMAND, ServiceProcess, Start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are made as on Linux")

JOBS: Final = """
import pathlib
import time
import trio
from job_service import Registry

registry = Registry()

@registry.job("hold")
async def hold(name: str) -> str:
    pathlib.Path(name + ".began").touch()
    while not pathlib.Path("go").exists():
        await trio.sleep(0.01)
    pathlib.Path(name + ".ended").touch()
    return name

@registry.job("outlast")
async def outlast() -> None:
    pathlib.Path("outlasts").touch()
    while True:
        try:
            await trio.sleep(600)
        except BaseException:
            pass

@registry.job("block")
async def block() -> None:
    pathlib.Path("blocked").touch()
    time.sleep(600)
"""
SECONDS: Final = 30.0
UNAVAILABLE: Final = "/problems/store-unavailable"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where services run; its folder `data` has the file."""
    (tmp_path / "faults.py").write_text(JOBS)
    (tmp_path / "data").mkdir()
    return tmp_path


STORE: Final = ["--jobs", "faults:registry", "--store", "sqlite:data/jobs.db", "--workers", "2"]


async def appears(path: Path) -> None:
    """Wait until there is such a file."""
    with trio.fail_after(SECONDS):
        while not path.exists():
            await trio.sleep(POLL_SECONDS)


async def submit(client: httpx.AsyncClient, name: str, key: str | None = None) -> httpx.Response:
    """A job that begins when it can, and ends when it may."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post("/jobs", json={"type": "hold", "payload": name}, headers=headers)


async def require_unavailable(client: httpx.AsyncClient, job_id: str) -> None:
    """Nobody is told anything that might not be kept; and whoever asks is told to come back."""
    for answer in (
        await submit(client, "d", key="d"),
        await client.get(f"/jobs/{job_id}"),
        await client.get("/jobs"),
        await client.get("/queue"),
        await client.post(f"/jobs/{job_id}/cancel"),
        await client.get("/health/ready"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (503, UNAVAILABLE), answer.text
        assert int(answer.headers["Retry-After"]) > 0
    for path in ("/health", "/metrics"):
        assert (await client.get(path)).status_code == 200


async def live_through(
    service: ServiceProcess,
    folder: Path,
    begin: Callable[[], Awaitable[object]],
    end: Callable[[], Awaitable[object]],
) -> None:
    """Trouble comes and goes: what runs goes on, nothing new starts, and then all is there."""
    async with service.client() as client:
        a, b, c = [(await submit(client, name)).json()["id"] for name in "abc"]
        for name in "ab":
            await appears(folder / f"{name}.began")
        await begin()
        refused = await submit(client, "d", key="d")
        assert (refused.status_code, refused.json()["type"]) == (503, UNAVAILABLE), refused.text
        await require_unavailable(client, a)
        (folder / "go").touch()
        for name in "ab":
            await appears(folder / f"{name}.ended")
        await trio.sleep(0.3)  # for it to try again, in vain
        await require_unavailable(client, a)
        count = service.count()
        assert (count["store_failing"], count["store_recovered"], count["job_completed"]) == (
            1,
            0,
            0,
        )
        assert not (folder / "c.began").exists()
        await end()
        await service.line("store_recovered")
        again = (await submit(client, "d", key="d")).json()["id"]
        for job_id in (a, b, c, again):
            story = (await client.get(f"/jobs/{job_id}?wait=20")).json()
            assert (story["status"], story["attempt"]) == ("completed", 1)
        assert {job["id"] for job in (await client.get("/jobs")).json()} == {a, b, c, again}
        assert (await client.get("/health/ready")).status_code == 200
    service.signal()
    assert await service.exit_status() == 0
    assert sorted(line["job_id"] for line in service.of("job_completed")) == [a, b, c, again]
    count = service.count()
    assert (count["store_failing"], count["store_recovered"]) == (1, 1)


async def limit_files(service: ServiceProcess, file: Path | None) -> None:
    """Let no file of the service grow beyond the size that this one has now."""
    size = resource.RLIM_INFINITY if file is None else file.stat().st_size
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def require_sound(path: Path) -> None:
    """The file is what the next start can use."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.slow
async def test_a_file_that_cant_grow_is_waited_for(start: Start, folder: Path) -> None:
    """Its log of changes is longer than what the service says, and so the only one cut off."""
    service = await start(*STORE)
    wal = folder / "data" / "jobs.db-wal"
    await live_through(
        service,
        folder,
        begin=partial(limit_files, service, wal),
        end=partial(limit_files, service, None),
    )
    require_sound(folder / "data" / "jobs.db")


NAMESPACE: Final = ["unshare", "--mount", "--propagation", "private"]
Within = Callable[[str], list[str]]


@pytest.fixture
def with_mount() -> Within:
    """What runs a command after mounting something where nobody else sees it; it takes root."""
    try:
        command = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted")
    return lambda mount: [*NAMESPACE, "sh", "-c", f'{mount} && exec "$0" "$@"']


@pytest.mark.slow
async def test_a_full_disk_is_waited_for(with_mount: Within, start: Start, folder: Path) -> None:
    """No space is left on its device."""
    service = await start(*STORE, within=with_mount("mount -t tmpfs -o size=1m none data"))
    filler = Path(f"/proc/{service.process.pid}/root{folder}/data/filler")

    async def fill() -> None:
        with suppress(OSError):
            filler.write_bytes(bytes(2_000_000))

    async def free() -> None:
        filler.unlink()

    await live_through(service, folder, fill, free)
    assert "disk is full" in service.of("store_failing")[0]["error"]


BROKEN_DISK: Final = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_broken(int fd, const char *name) {
    char link[64], path[4096], broken[64];
    int flag = open(getenv("BROKEN_IF"), O_RDONLY);
    if (flag < 0) return 0;
    ssize_t size = read(flag, broken, sizeof broken - 1);
    close(flag);
    broken[size < 0 ? 0 : size] = 0;
    if (strstr(broken, name) == NULL) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strstr(path, "jobs.db") == NULL) return 0;
    while (strstr(broken, "hangs") != NULL) pause();
    errno = EIO;
    return 1;
}

#define BREAK(result, name, parameters, arguments) \\
    result name parameters { \\
        static result (*real) parameters; \\
        if (real == NULL) real = dlsym(RTLD_NEXT, #name); \\
        return is_broken(fd, #name) ? -1 : real arguments; \\
    }

BREAK(ssize_t, pread64, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
BREAK(ssize_t, pwrite64, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
BREAK(int, fsync, (int fd), (fd))
BREAK(int, fdatasync, (int fd), (fd))
"""


@pytest.fixture
def broken_disk(folder: Path) -> list[str]:
    """What runs a command whose disk gives I/O errors as long as there is a file `broken`.

    It names the system calls that fail. If it says `hangs`, they never return.
    """
    (folder / "broken.c").write_text(BROKEN_DISK)
    library = folder / "broken.so"
    try:
        command = ["cc", "-shared", "-fPIC", "-o", str(library), "broken.c", "-ldl"]
        subprocess.run(command, check=True, cwd=folder)
    except FileNotFoundError:
        pytest.skip("there is no C compiler")
    return ["env", f"LD_PRELOAD={library}", f"BROKEN_IF={folder / 'broken'}"]


@pytest.mark.slow
async def test_a_broken_disk_is_waited_for(
    broken_disk: list[str], start: Start, folder: Path
) -> None:
    """Reading, writing and waiting for the disk fail."""
    service = await start(*STORE, within=broken_disk)
    flag = trio.Path(folder / "broken")
    broken = partial(flag.write_text, "pread64 pwrite64 fsync fdatasync")
    await live_through(service, folder, broken, flag.unlink)
    assert "disk I/O error" in service.of("store_failing")[0]["error"]
    require_sound(folder / "data" / "jobs.db")


async def test_a_disk_that_does_not_confirm_what_it_was_given_is_waited_for(
    broken_disk: list[str], start: Start, folder: Path
) -> None:
    """A commit was written, and then the wait for the disk fails: it counts as not kept."""
    service = await start(*STORE, within=broken_disk)
    flag = trio.Path(folder / "broken")
    await live_through(service, folder, partial(flag.write_text, "fsync fdatasync"), flag.unlink)
    assert "disk I/O error" in service.of("store_failing")[0]["error"]
    require_sound(folder / "data" / "jobs.db")


async def test_a_kill_while_the_disk_confirms_nothing_costs_nothing_that_was_told(
    broken_disk: list[str], start: Start, folder: Path
) -> None:
    """Who was refused, and repeats the request with its key, has one job in any case."""
    service = await start(*STORE, within=broken_disk)
    async with service.client() as client:
        a = (await submit(client, "a", key="a")).json()["id"]
        await appears(folder / "a.began")
        await service.line("job_started")
        (folder / "broken").write_text("fsync fdatasync")
        assert (await submit(client, "b", key="b")).status_code == 503
    service.signal(signal.SIGKILL)
    assert await service.exit_status() == -signal.SIGKILL
    (folder / "broken").unlink()
    (folder / "go").touch()
    restarted = await start(*STORE)
    async with restarted.client() as client:
        b = (await submit(client, "b", key="b")).json()["id"]
        for job_id in (a, b):
            assert (await client.get(f"/jobs/{job_id}?wait=20")).json()["status"] == "completed"
        assert {job["id"] for job in (await client.get("/jobs")).json()} == {a, b}
    restarted.signal()
    assert await restarted.exit_status() == 0
    require_sound(folder / "data" / "jobs.db")


@pytest.mark.slow
@pytest.mark.parametrize("hangs", ["fdatasync", "pread64 pwrite64 fsync fdatasync"])
async def test_a_disk_that_never_answers_is_told_and_keeps_no_process(
    broken_disk: list[str], start: Start, folder: Path, hangs: str
) -> None:
    """Whoever asks after 10 seconds is refused; a stop says what could not be kept."""
    service = await start(*STORE, "--grace", "1", within=broken_disk)
    async with service.client() as client, trio.open_nursery() as nursery:
        a = (await submit(client, "a")).json()["id"]
        await appears(folder / "a.began")
        await service.line("job_started")
        (folder / "broken").write_text(f"{hangs} hangs")
        nursery.start_soon(partial(submit, client, "b", key="b"))
        with trio.fail_after(SECONDS):
            while (await client.get("/health/ready")).status_code == 200:
                await trio.sleep(POLL_SECONDS)
        await require_unavailable(client, a)
        nursery.cancel_scope.cancel()
    service.signal()
    assert await service.exit_status() == 1
    (failing,) = service.of("store_failing")
    assert failing["error"].startswith("it has not answered for 1")
    assert [line["job_id"] for line in service.of("job_abandoned")] == [a]
    assert service.lines()[-1]["event"] == "service_stopped"


@pytest.fixture
def on_ext4(with_mount: Within, folder: Path) -> list[str]:
    """What runs a command after mounting a file system that an error makes read-only."""
    (folder / "disk").write_bytes(bytes(16 * 1024 * 1024))
    within = with_mount("mount -o loop,errors=remount-ro disk data")
    try:
        subprocess.run(["mkfs.ext4", "-q", "disk"], check=True, cwd=folder)
        subprocess.run([*within, "true"], check=True, cwd=folder, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be made in a file and mounted")
    return within


@pytest.mark.slow
async def test_a_file_system_that_has_become_read_only_is_trouble_until_the_end(
    on_ext4: list[str], start: Start, folder: Path
) -> None:
    """As Linux makes it when it finds an error on the disk. What could not be kept is told."""
    service = await start(*STORE, within=on_ext4)
    device = await trio.to_thread.run_sync(device_of, service.process.pid, folder / "data")
    trigger = trio.Path("/sys/fs/ext4", device, "trigger_fs_error")
    if not await trigger.exists():
        pytest.skip("ext4 can't be told to find an error")
    async with service.client() as client:
        job_id = (await submit(client, "a")).json()["id"]
        await appears(folder / "a.began")
        await trigger.write_text("1")
        await require_unavailable(client, job_id)
        (folder / "go").touch()
        await appears(folder / "a.ended")
        await require_unavailable(client, job_id)
    service.signal()
    assert await service.exit_status() == 1
    assert [line["job_id"] for line in service.of("job_abandoned")] == [job_id]
    assert service.count()["store_failing"] == 1
    assert service.count()["store_recovered"] == 0


def device_of(pid: int, folder: Path) -> str:
    """The name of the device that a process has mounted there."""
    for line in Path(f"/proc/{pid}/mounts").read_text().splitlines():
        device, place, *_ = line.split()
        if place == str(folder):
            return Path(device).name
    raise AssertionError("nothing is mounted")


@pytest.mark.slow
async def test_a_directory_that_vanishes_is_waited_for(start: Start, folder: Path) -> None:
    """The service notices it within a second, and goes on when it is back."""
    service = await start(*STORE)
    data = trio.Path(folder / "data")

    async def take_away() -> None:
        await data.rename(folder / "elsewhere")
        await trio.sleep(1)

    async def put_back() -> None:
        await trio.Path(folder / "elsewhere").rename(data)

    await live_through(service, folder, take_away, put_back)
    assert "was deleted or replaced" in service.of("store_failing")[0]["error"]
    require_sound(folder / "data" / "jobs.db")


@pytest.mark.slow
async def test_a_stop_during_trouble_says_what_it_could_not_keep(
    start: Start, folder: Path
) -> None:
    """A line for each job that may be affected, and exit status 1. The next start goes on."""
    service = await start(*STORE)
    async with service.client() as client:
        a, b, c = [(await submit(client, name)).json()["id"] for name in "abc"]
        for name in "ab":
            await appears(folder / f"{name}.began")
        await limit_files(service, folder / "data" / "jobs.db-wal")
        await require_unavailable(client, a)
        (folder / "go").touch()
        for name in "ab":
            await appears(folder / f"{name}.ended")
    service.signal()
    assert await service.exit_status() == 1
    abandoned = service.of("job_abandoned")
    assert sorted(line["job_id"] for line in abandoned) == [a, b]
    assert {line["reason"] for line in abandoned} == {"store_failing"}
    assert service.count()["job_completed"] == 0
    assert service.lines()[-1]["event"] == "service_stopped"

    restarted = await start(*STORE)
    async with restarted.client() as client:
        for job_id, attempts in ((a, 2), (b, 2), (c, 1)):
            story = (await client.get(f"/jobs/{job_id}?wait=20")).json()
            assert (story["status"], len(story["attempts"])) == ("completed", attempts)
    assert sorted(line["job_id"] for line in restarted.of("job_rescued")) == [a, b]
    restarted.signal()
    assert await restarted.exit_status() == 0


def kept_outcomes(folder: Path) -> list[tuple[str, str]]:
    """The status of each job in the file, and how its last attempt ended."""
    with closing(sqlite3.connect(folder / "data" / "jobs.db")) as connection:
        return connection.execute(
            "SELECT status, record ->> '$.attempts[#-1].outcome' FROM jobs"
        ).fetchall()


@pytest.mark.slow
async def test_a_stop_while_a_job_blocks_the_loop_releases_what_runs(
    start: Start, folder: Path
) -> None:
    """Nothing was lost with the process: the next start finds both interrupted."""
    service = await start(*STORE, "--grace", "0")
    async with service.client() as client, trio.open_nursery() as nursery:
        await submit(client, "a")
        await appears(folder / "a.began")
        nursery.start_soon(partial(client.post, "/jobs", json={"type": "block"}))
        await appears(folder / "blocked")
        nursery.cancel_scope.cancel()
    service.signal()
    assert await service.exit_status() == 0
    assert {line["job_type"] for line in service.of("job_released")} == {"hold", "block"}
    assert service.lines()[-1]["reason"] == "loop_blocked"
    assert kept_outcomes(folder) == [("pending", "interrupted")] * 2


@pytest.mark.slow
async def test_a_stop_releases_a_job_that_can_t_be_ended(start: Start, folder: Path) -> None:
    """That is kept before the process goes."""
    service = await start(*STORE, "--grace", "0")
    async with service.client() as client:
        await client.post("/jobs", json={"type": "outlast"})
        await appears(folder / "outlasts")
    service.signal()
    assert await service.exit_status() == 0
    assert service.count()["job_released"] == 1
    assert kept_outcomes(folder) == [("pending", "interrupted")]


@pytest.mark.slow
async def test_a_kill_in_the_middle_of_a_write_costs_nothing_that_was_told(
    start: Start, folder: Path
) -> None:
    """The log of changes ends with half a page then."""
    service = await start(*STORE)
    async with service.client() as client:
        a, b, c = [(await submit(client, name, key=name)).json()["id"] for name in "abc"]
        for name in "ab":
            await appears(folder / f"{name}.began")
        await service.line("job_started", 2)
    service.signal(signal.SIGKILL)
    assert await service.exit_status() == -signal.SIGKILL
    with (folder / "data" / "jobs.db-wal").open("ab") as wal:
        wal.write(os.urandom(1_000))

    (folder / "go").touch()
    restarted = await start(*STORE)
    assert sorted(line["job_id"] for line in restarted.of("job_rescued")) == [a, b]
    async with restarted.client() as client:
        assert (await submit(client, "c", key="c")).json()["id"] == c
        for job_id in (a, b, c):
            assert (await client.get(f"/jobs/{job_id}?wait=20")).json()["status"] == "completed"
    restarted.signal()
    assert await restarted.exit_status() == 0
    require_sound(folder / "data" / "jobs.db")


# What is found at the start.


@pytest.fixture
async def used(start: Start, folder: Path) -> Path:
    """A file with many jobs, whose service was killed."""
    service = await start(*STORE)
    async with service.client() as client:
        await client.post("/queue/pause")
        jobs = b'{"type": "hold", "payload": "a long name"}\n' * 200
        lines = {"Content-Type": "application/x-ndjson"}
        answer = await client.post("/jobs/batch", content=jobs, headers=lines)
        assert answer.status_code == 201, answer.text
    service.signal(signal.SIGKILL)
    await service.exit_status()
    path = folder / "data" / "jobs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


async def refusal(ancestor: Ancestor, folder: Path, *options: str) -> str:
    """Why a service does not start: the one line on stderr, with exit status 2."""
    output, log = folder / "refused", folder / "refused.log"
    options = ("--port", "0", "--log-format", "json", "--log-file", str(log), *STORE, *options)
    process = ancestor.start(list(options), "", folder, output)
    with trio.fail_after(SECONDS):
        assert await process.wait() == 2, output.read_text()
    (line,) = output.read_text().splitlines()
    assert "service_started" not in log.read_text()
    return line.removeprefix("job-service: ")


async def test_a_job_that_cant_be_read_is_told_and_left(
    used: Path, start: Start, folder: Path
) -> None:
    """The service starts, all other jobs run, and that one can be cancelled."""
    with closing(sqlite3.connect(used)) as connection, connection:
        (job_id,) = connection.execute("SELECT min(id) FROM jobs").fetchone()
        connection.execute("UPDATE jobs SET record = '{\"version\": 9}' WHERE id = ?", [job_id])
    service = await start(*STORE)
    async with service.client() as client:
        shown = (await client.get(f"/jobs/{job_id}")).json()
        assert shown["waits_because"].startswith("its record can't be read: ")
        assert (await client.post(f"/jobs/{job_id}/run-now")).status_code == 409
        assert (await client.get("/jobs?limit=1000")).status_code == 200
        assert (await client.get("/queue")).json()["unfit"] == 1
        answer = await client.post(f"/jobs/{job_id}/cancel")
        assert answer.json()["status"] == "cancelled"


async def test_a_second_process_is_refused(start: Start, ancestor: Ancestor, folder: Path) -> None:
    """It is told which one to stop first; that one goes on."""
    service = await start(*STORE)
    path = folder / "data" / "jobs.db"
    why = await refusal(ancestor, folder)
    assert why == f"{path} is in use by process {service.process.pid}: stop that one first"
    async with service.client() as client:
        assert (await submit(client, "a")).status_code == 201


def cut_off(path: Path) -> None:
    """Half of it is missing."""
    os.truncate(path, path.stat().st_size // 2)


def overwrite_start(path: Path) -> None:
    """It is no database any more."""
    with path.open("r+b") as file:
        file.write(b"#!/bin/sh\n" * 10)


def overwrite_jobs(path: Path) -> None:
    """All but its first page is noise."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def make_newer(path: Path) -> None:
    """A later version of the service has used it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (cut_off, "is damaged (database disk image is malformed): put a backup in its place"),
        (overwrite_start, "is no SQLite database: name another file"),
        (overwrite_jobs, "is damaged ("),
        (make_newer, f"has version 99, and this program knows {VERSION}: run the newer program"),
    ],
)
async def test_a_file_that_cant_be_used_is_refused_and_left_as_it_is(
    used: Path, ancestor: Ancestor, folder: Path, spoil: Callable[[Path], None], why: str
) -> None:
    """One line says what to do."""
    spoil(used)
    before = used.read_bytes()
    assert (await refusal(ancestor, folder)).startswith(f"{used} {why}")
    assert used.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("data", "can't use {}-lock: Read-only file system"),
        ("data/jobs.db", "can't use {}: Read-only file system"),
    ],
)
async def test_what_is_read_only_is_refused(
    with_mount: Within, used: Path, folder: Path, what: str, why: str
) -> None:
    """The whole file system, or the file alone."""
    before = used.read_bytes()
    read_only = with_mount(f"mount --bind {what} {what} && mount -o remount,ro,bind {what}")
    command = [*read_only, *COMMAND, *STORE]
    with trio.fail_after(SECONDS):
        ended = await trio.run_process(
            command, cwd=folder, capture_stdout=True, capture_stderr=True, check=False
        )
    assert ended.returncode == 2
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith(f"job-service: {why.format(used)}")
    assert used.read_bytes() == before


async def test_without_its_directory_there_is_no_start(ancestor: Ancestor, folder: Path) -> None:
    """It is not made, because its path is most likely wrong."""
    (folder / "data").rmdir()
    assert await refusal(ancestor, folder) == (
        f"there is no directory {folder / 'data'}: make it first"
    )


async def test_a_program_that_hosts_a_service_is_told_that_its_store_is_refused(
    tmp_path: Path,
) -> None:
    """In a group, as all errors of the block; and nothing is left that listens."""
    path, unix = tmp_path / "nowhere" / "jobs.db", tmp_path / "socket"
    settings = Settings(unix=str(unix), store=f"sqlite:{path}", log_file=str(tmp_path / "log"))
    with pytest.RaisesGroup(
        pytest.RaisesExc(StoreRefused, match="there is no directory"), flatten_subgroups=True
    ):
        async with host(Registry(), settings):
            raise AssertionError("it does not start")
    assert not unix.exists()
