"""A real process among hostile clients and short of descriptors: it serves and stops."""

import ssl
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from itertools import product
from pathlib import Path

import httpx
import pytest
import trio

from tests.certificates import Certificate
from tests.process.conftest import ServiceProcess, Start
from tests.web.hostile import ALL

WORD = "s3cret-w0rd"

NOISY_JOBS = """
import logging
import warnings
from job_service import Registry

registry = Registry()

class Unprintable:
    def __str__(self):
        raise RuntimeError("it has no text")

def log_unprintable():
    logging.getLogger("some.library").warning(Unprintable())

def log_bad_arguments():
    logging.getLogger("some.library").warning("%d jobs", "many")

def log_error():
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("some.library").exception("it fell over")

def log_below():
    logging.getLogger("some.library").info("nobody cares")

def log_own_level():
    logging.getLogger("some.library").log(45, "louder than an error")

def log_no_unicode():
    logging.getLogger("some.library").warning("\\ud800")

def log_lines():
    logging.getLogger("some.library").warning("one\\ntwo")

def warn():
    warnings.warn("old ways", UserWarning)

@registry.job("noise")
async def noise(how: str) -> str:
    globals()[how]()
    return "still here"

@registry.job("noise_in_a_thread")
def noise_in_a_thread(how: str) -> str:
    globals()[how]()
    return "still here"
"""


async def converse(service: ServiceProcess, data: bytes, tls: ssl.SSLContext | None) -> None:
    """Say something hostile, listen for a moment, and go."""
    stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", service.port)
    if tls:
        stream = trio.SSLStream(stream, tls, server_hostname="localhost", https_compatible=True)
    with suppress(trio.BrokenResourceError), trio.move_on_after(0.3):
        await stream.send_all(data)
        await stream.receive_some()
    await trio.aclose_forcefully(stream)


async def status_for(client: httpx.AsyncClient) -> int | None:
    """How the service answers; None if it just closes the connection, as it may when it refuses."""
    try:
        return (await client.get("/health")).status_code
    except httpx.TransportError:
        return None


@pytest.mark.slow
async def test_it_outlives_everything_hostile(start: Start, certificate: Certificate) -> None:
    """All hostile connections there are, side by side; then it is well and stops in time."""
    files = "--certfile", str(certificate.certfile), "--keyfile", str(certificate.keyfile)
    trust = certificate.trust()

    async def outlive(options: Sequence[str], tls: ssl.SSLContext | None) -> None:
        service = await start(*options)
        async with trio.open_nursery() as side_by_side:
            for data in ALL.values():
                side_by_side.start_soon(converse, service, data, tls)
        async with service.client(verify=trust) as client:
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/metrics")).json()["jobs_created"] == 0
            service.signal()
            assert await service.exit_status(within=5) == 0
        worse = {line["event"] for line in service.lines() if line["level"] != "info"}
        assert worse <= {"connection_failed", "loop_stalled"}

    async with trio.open_nursery() as services:
        services.start_soon(outlive, [], None)
        services.start_soon(outlive, files, None)
        services.start_soon(outlive, files, trust)


@pytest.mark.slow
async def test_it_keeps_some_descriptors_to_itself(start: Start) -> None:
    """It goes on serving whom it has, says so once a second at most, and takes the next later."""
    service = await start(
        before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    )
    async with service.client() as kept:
        assert (await kept.get("/health")).status_code == 200
        async with AsyncExitStack() as clients:
            for _ in range(100):
                stream = await trio.open_tcp_stream("127.0.0.1", service.port)
                await clients.enter_async_context(stream)
            failed = await service.line("connection_failed")
            assert "jobs need those" in failed["error"]
            created = await kept.post(
                "/jobs", json={"type": "count_words", "payload": {"text": ""}}
            )
            assert created.status_code == 201
            await service.line("job_completed")
        async with service.client() as late:
            with trio.fail_after(20):  # it has yet to see that the others have gone
                while await status_for(late) != 200:
                    await trio.sleep(0.02)
    service.signal()
    assert await service.exit_status(within=5) == 0
    assert service.count()["connection_failed"] <= 5


@pytest.mark.slow
async def test_it_stops_in_time_while_it_is_out_of_descriptors(start: Start) -> None:
    """A signal needs none."""
    service = await start(
        before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    )
    async with AsyncExitStack() as clients:
        for _ in range(60):
            stream = await trio.open_tcp_stream("127.0.0.1", service.port)
            await clients.enter_async_context(stream)
        await service.line("connection_failed")
        service.signal()
        assert await service.exit_status(within=5) == 0
    assert service.lines()[-1]["event"] == "service_stopped"


@pytest.mark.slow
async def test_more_connections_than_may_be_are_counted(start: Start) -> None:
    """The metric says how many were turned away."""
    service = await start("--max-connections", "1")
    async with service.client() as kept:
        assert (await kept.get("/health")).status_code == 200
        for _ in range(3):
            async with service.client() as late:
                assert await status_for(late) in (503, None)
        assert (await kept.get("/metrics")).json()["connections_refused"] == 3
    service.signal()
    assert await service.exit_status() == 0
    assert service.lines()[-1]["connections_refused"] == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_token_on_the_command_line_is_hidden(start: Start) -> None:
    """Nobody sees it in `ps`, nor in the log; it lets in all the same."""

    async def hide(*options: str) -> None:
        service = await start(*options, program=True)
        shown = Path(f"/proc/{service.process.pid}/cmdline").read_bytes()
        assert WORD.encode() not in shown
        assert b"--token" in shown
        async with service.client() as client:
            assert (await client.get("/jobs")).status_code == 401
            headers = {"Authorization": f"Bearer {WORD}"}
            assert (await client.get("/jobs", headers=headers)).status_code == 200
        service.signal()
        assert await service.exit_status() == 0
        assert WORD not in str(service.lines())

    async with trio.open_nursery() as services:
        services.start_soon(hide, "--token", WORD)
        services.start_soon(hide, f"--token={WORD}", "--workers", "1")
        services.start_soon(hide, "--token", f"other,{WORD}", "--grace", "1")


@pytest.mark.slow
async def test_what_libraries_say_is_in_the_log(start: Start, tmp_path: Path) -> None:
    """Messages and warnings become `library_message` lines, and nothing is beside the log."""
    (tmp_path / "noisy.py").write_text(NOISY_JOBS)
    service = await start("--jobs", "noisy:registry")
    said = {
        "log_bad_arguments": ("some.library", "warning", "%d jobs"),
        "log_error": ("some.library", "error", "it fell over"),
        "log_own_level": ("some.library", "warning", "louder than an error"),
        "log_no_unicode": ("some.library", "warning", "\\ud800"),
        "log_lines": ("some.library", "warning", "one\ntwo"),
        "warn": ("py.warnings", "warning", "UserWarning: old ways"),
    }
    async with service.client() as client:
        noises = product(["noise", "noise_in_a_thread"], ["log_below", *said])
        for number, (job_type, how) in enumerate(noises, 1):
            body = {"type": job_type, "payload": how}
            assert (await client.post("/jobs", json=body)).status_code == 201
            await service.line("job_completed", number)
    lines = service.of("library_message")
    expected = [*said.values(), *list(said.values())[:-1]]  # a warning is given once at a place
    for line, (library, level, message) in zip(lines, expected, strict=True):
        assert line["library"] == library
        assert line["level"] == level
        assert message in line["message"]
        assert ("traceback" in line) == (message == "it fell over")
    service.signal()
    assert await service.exit_status() == 0


@pytest.mark.slow
async def test_a_message_without_a_text_harms_nobody(start: Start, tmp_path: Path) -> None:
    """As with any handler of `logging`, its errors are not those of who logs."""
    (tmp_path / "noisy.py").write_text(NOISY_JOBS)
    service = await start("--jobs", "noisy:registry")
    async with service.client() as client:
        body = {"type": "noise", "payload": "log_unprintable", "max_retries": 0}
        created = await client.post("/jobs", json=body)
        with trio.fail_after(10):
            story = created.json()
            while story["status"] in ("pending", "processing"):
                story = (await client.get(created.headers["Location"])).json()
    assert story["status"] == "completed"
