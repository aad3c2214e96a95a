"""The start of a real process: signals that come too early for it, and streams that are missing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from tests.forking import POLL_SECONDS
from tests.process.conftest import COMMAND, START_SECONDS, Start

# It says that it is being imported, and goes on when it may. It lets no exception end that.
HEAVY_IMPORT = """
import pathlib, time

pathlib.Path("importing").touch()
while not pathlib.Path("go on").exists():
    try:
        time.sleep(0.02)
    except BaseException:
        pass

from job_service import Registry
registry = Registry()
"""

ORPHANING_JOBS = """
import subprocess
from job_service import Registry

registry = Registry()

@registry.job("orphan")
def orphan() -> None:  # its grandchild outlives its child, and ends before the service does
    subprocess.run(["sh", "-c", "sleep 0.2 & exit 0"], check=True)

@registry.job("wait")
def wait() -> int:  # its own child is nobody else's to wait for
    child = subprocess.Popen(["sh", "-c", "exit 5"])
    subprocess.run(["sleep", "0.5"], check=True)
    return child.wait()
"""


@contextmanager
def importing(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A service that is still importing its job types."""
    (folder / "heavy.py").write_text(HEAVY_IMPORT)
    command = [*COMMAND, "--jobs", "heavy:registry", *options]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def appears(path: Path) -> None:
    """Wait until there is such a file."""
    with trio.fail_after(START_SECONDS):
        while not path.exists():
            await trio.sleep(POLL_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_while_job_types_are_imported_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    """At once and well, since nothing was accepted; whatever the module does with exceptions."""
    with importing(tmp_path) as process:
        await appears(tmp_path / "importing")
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    assert err == f"job-service: {number.name} came before the service had started\n"


@pytest.mark.slow
async def test_a_terminal_that_is_closed_while_job_types_are_imported_ends_it_then(
    tmp_path: Path,
) -> None:
    """It never serves."""
    with importing(tmp_path) as process:
        await appears(tmp_path / "importing")
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go on").touch()
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert "service_started" not in out
    assert '"reason":"SIGHUP"' in out


@pytest.mark.slow
async def test_a_rotation_while_job_types_are_imported_ends_nothing(tmp_path: Path) -> None:
    """With a log file, SIGHUP is about that."""
    log = tmp_path / "log"
    with importing(tmp_path, "--log-file", str(log)) as process:
        await appears(tmp_path / "importing")
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go on").touch()
        await appears(log)
        with trio.fail_after(START_SECONDS):
            while "service_started" not in log.read_text():
                await trio.sleep(POLL_SECONDS)
        process.terminate()
        assert process.wait(timeout=20) == 0


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell says and ends with that runs `$JOB_SERVICE`."""
    environment = os.environ | {"JOB_SERVICE": f"{sys.executable} -m job_service"}
    command = ["sh", "-c", script.replace("job-service", "exec $JOB_SERVICE")]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2>/dev/full"])
def test_what_is_wrong_has_its_exit_status_though_nobody_can_read_it(
    tmp_path: Path, streams: str
) -> None:
    """With stderr closed or full."""
    ended = run(f"job-service --port 99999 {streams}", tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "")


@pytest.mark.slow
def test_what_cant_be_printed_is_one_line(tmp_path: Path) -> None:
    """Such as the help, where the disk is full."""
    ended = run("job-service --help >/dev/full", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "job-service: can't write to stdout: No space left on device\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_closed_streams_are_nobody_elses(start: Start, tmp_path: Path) -> None:
    """Else a socket of the service would be the stdin of what its handlers start."""
    log = tmp_path / "log"
    service = await start(
        *("--log-file", str(log)),
        before="import os; [os.close(number) for number in range(3)]",
        log_path=log,
    )
    for number in range(3):
        assert Path(f"/proc/{service.process.pid}/fd/{number}").readlink() == Path(os.devnull)
    service.signal()
    assert await service.exit_status() == 0


@pytest.mark.slow
async def test_a_working_directory_that_was_deleted_is_no_obstacle(
    start: Start, tmp_path: Path
) -> None:
    """As long as nothing was to be found there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    service = await start(before=f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})")
    service.signal()
    assert await service.exit_status() == 0


NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture
def as_pid_1() -> list[str]:
    """What runs a command as PID 1; it takes root, on Linux."""
    try:
        subprocess.run([*NAMESPACE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no namespace of processes can be had")
    return NAMESPACE


@pytest.mark.slow
async def test_as_pid_1_it_reaps_what_others_leave_behind(
    as_pid_1: list[str], start: Start, tmp_path: Path
) -> None:
    """But not what somebody in the service waits for; and it passes signals on."""
    (tmp_path / "orphaning.py").write_text(ORPHANING_JOBS)
    service = await start("--jobs", "orphaning:registry", within=as_pid_1)
    async with service.client() as client:
        for job_type in ("orphan", "wait"):
            assert (await client.post("/jobs", json={"type": job_type})).status_code == 201
        await service.line("job_completed", 2)
        jobs = (await client.get("/jobs?type=wait")).json()
        story = (await client.get(f"/jobs/{jobs[0]['id']}")).json()
    assert story["result"] == 5
    (init,) = children_of(service.process.pid)
    (child,) = children_of(init)
    assert state_of(child) != "Z"  # it is the service
    os.kill(init, signal.SIGTERM)
    assert await service.exit_status() == 0
    assert service.of("service_draining")[0]["reason"] == "SIGTERM"


def children_of(pid: int) -> list[int]:
    """The processes that it has to wait for."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def state_of(pid: int) -> str:
    """Whether it sleeps (S), runs (R), or is a zombie (Z)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
