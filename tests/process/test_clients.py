"""The clients that people really use, against a real process, with TLS and without."""

import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tests.certificates import Certificate
from tests.process.conftest import ServiceProcess, Start

StartTLS = Callable[..., Awaitable[ServiceProcess]]
BODY = {"type": "count_words", "payload": {"text": "one two three"}}


@pytest.fixture
def start_tls(start: Start, certificate: Certificate) -> StartTLS:
    """Starts services with a certificate."""
    files = "--certfile", str(certificate.certfile), "--keyfile", str(certificate.keyfile)
    return lambda *options: start(*files, *options)


async def check_a_quiet_end(service: ServiceProcess) -> None:
    """Check that it stops when it is told to, and that nothing went wrong before."""
    service.signal()
    assert await service.exit_status() == 0
    lines = [line for line in service.lines() if line["event"] != "loop_stalled"]
    assert {line["level"] for line in lines} == {"info"}, "those of a busy machine are not meant"


@pytest.mark.slow
async def test_httpx_over_tls(start_tls: StartTLS, certificate: Certificate) -> None:
    """Submits many jobs at once, reads them, and reads the metrics."""
    service = await start_tls()
    assert service.url.startswith("https://127.0.0.1:")
    async with service.client(verify=certificate.trust()) as client:
        stories = []

        async def submit() -> None:
            created = await client.post("/jobs", json=BODY)
            assert created.status_code == 201
            stories.append(created.headers["Location"])

        async with trio.open_nursery() as side_by_side:
            for _ in range(50):
                side_by_side.start_soon(submit)
        await service.line("job_completed", 50)
        for location in stories:
            assert (await client.get(location)).json()["result"] == 3
        assert (await client.get("/metrics")).json()["jobs_completed"] == 50
    await check_a_quiet_end(service)


async def test_curl_over_tls(start_tls: StartTLS, certificate: Certificate, curl: str) -> None:
    """Submits a job, reads it and the metrics, on one connection, in HTTP/1.1."""
    service = await start_tls()
    curl_it = Curl(curl, "--cacert", str(certificate.cafile), "--http2")
    created = await curl_it(
        *("-H", "Content-Type: application/json", "--data", json.dumps(BODY)),
        f"{service.url}/jobs",
    )
    await service.line("job_completed")
    told = await curl_it(f"{service.url}/jobs/{json.loads(created)['id']}")
    assert json.loads(told)["result"] == 3
    told = await curl_it("-w", "%{http_version}", *[f"{service.url}/metrics"] * 3)
    assert told.count('"jobs_completed":1') == 3
    assert told.endswith("1.1")
    await check_a_quiet_end(service)


async def test_a_hangup_brings_the_renewed_certificate(
    start: Start, certificate: Certificate, tmp_path: Path
) -> None:
    """SIGHUP reloads it, and does not drain."""
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for source, target in zip((certificate.certfile, certificate.keyfile), files, strict=True):
        target.write_bytes(source.read_bytes())
    service = await start("--certfile", str(files[0]), "--keyfile", str(files[1]))
    service.signal(signal.SIGHUP)
    assert (await service.line("certificate_reloaded"))["certfile"] == str(files[0])
    async with service.client(verify=certificate.trust()) as client:
        assert (await client.get("/health")).status_code == 200
    await check_a_quiet_end(service)


@pytest.mark.slow
async def test_curl_without_tls_stays_with_http_1_1(start: Start, curl: str) -> None:
    """An offer to upgrade to cleartext HTTP/2 is not taken."""
    service = await start()
    told = await Curl(curl, "--http2")("-w", " %{http_version}", f"{service.url}/health")
    assert told == '{"status":"ok"} 1.1'
    with pytest.raises(AssertionError):
        await Curl(curl, "--http2-prior-knowledge")(f"{service.url}/health")
    assert await Curl(curl)(f"{service.url}/health") == '{"status":"ok"}'
    await check_a_quiet_end(service)


@pytest.mark.slow
async def test_curl_reads_why_its_upload_is_refused(
    start_tls: StartTLS, curl: str, tmp_path: Path
) -> None:
    """The 413 reaches it, though it is still sending."""
    service = await start_tls()
    large = tmp_path / "large"
    large.write_bytes(bytes(50 * 2**20))
    told = await Curl(curl, "-k")(
        *("-H", "Content-Type: application/json", "--data-binary", f"@{large}"),
        *("-H", "Expect:", "-w", " %{http_code}", f"{service.url}/jobs"),
    )
    assert told.endswith(" 413")
    await check_a_quiet_end(service)


async def test_a_stream_over_tls_ends_with_the_service(
    start_tls: StartTLS, certificate: Certificate
) -> None:
    """GET /events tells the drain, comes to its own end, and does not delay the exit."""
    service = await start_tls()
    async with (
        service.client(verify=certificate.trust()) as client,
        client.stream("GET", "/events") as stream,
    ):
        lines = stream.aiter_lines()
        with trio.fail_after(10):
            assert (await anext(lines)).startswith("retry:")
        service.signal()
        with trio.fail_after(10):
            told = [line async for line in lines]
    assert "event: service_draining" in told
    assert await service.exit_status(within=5) == 0


class Curl:
    """Runs curl, which is to succeed."""

    def __init__(self, *command: str) -> None:
        self._command = [*command, "-sS", "--max-time", "10"]

    async def __call__(self, *arguments: str) -> str:
        """What it prints."""
        done = await trio.run_process(
            [*self._command, *arguments], capture_stdout=True, capture_stderr=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()
