"""The TLS port: what is no handshake, what stalls in one, and clients that end without goodbye."""

import os
import socket
import ssl
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives import serialization as pem

from job_service.errors import CannotListen
from job_service.telemetry.events import ConnectionFailed
from job_service.web.edge import connection, sending, server
from job_service.web.edge.tls import Keys, load_tls
from job_service.web.submissions import MAX_JOB_BYTES
from tests.certificates import Certificate
from tests.web.api import Api, check_problem
from tests.web.conftest import Serve
from tests.web.wire import PATIENCE_SECONDS, Served, Stage, Wire, open_tls, request

SHORT_SECONDS = 0.1

NO_HANDSHAKE = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 100,
    "HTTP": request("/hello"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "too long a record": b"\x16\x03\x01\xff\xff" + bytes(70_000),
}


@pytest.fixture
def keys(certificate: Certificate) -> Keys:
    """The server's side."""
    return Keys(str(certificate.certfile), str(certificate.keyfile))


@pytest.fixture
async def stage() -> Stage:
    """An app that acts out its paths."""
    return Stage()


@pytest.fixture
async def served(serve: Serve, keys: Keys, stage: Stage) -> Served:
    """The stage, served over TLS."""
    return await serve(stage, keys=keys)


async def check_next_client(served: Served, certificate: Certificate) -> None:
    """Check that the server is as well as ever."""
    async with await open_tls(served.port, certificate.trust()) as stream:
        assert (await Wire(stream).ask("/hello")).status == 200


@pytest.mark.parametrize("offered", [[], ["http/1.1"], ["spdy/3", "http/1.1"], ["h2"]])
async def test_http_1_1_is_always_spoken(
    served: Served, certificate: Certificate, offered: list[str]
) -> None:
    """To clients that offer it, offer nothing, or offer what we do not know."""
    async with await open_tls(served.port, certificate.trust(*offered)) as stream:
        wire = Wire(stream)
        assert (await wire.ask("/hello")).body == b"hello"
        assert (await wire.ask("/hello", "Connection: close")).body == b"hello"
        assert await wire.until_closed() == b""


@pytest.mark.parametrize("data", NO_HANDSHAKE.values(), ids=NO_HANDSHAKE.keys())
@pytest.mark.parametrize("goodbye", ["waits", "closes", "resets"])
async def test_what_is_no_handshake_harms_nobody(
    served: Served,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    goodbye: str,
) -> None:
    """Garbage, plain HTTP and silence end their own connection, in HANDSHAKE_SECONDS at most.

    What was wrong is told; a client that says nothing at all does nothing wrong.
    """
    monkeypatch.setattr(connection, "HANDSHAKE_SECONDS", SHORT_SECONDS)
    async with served.connect() as wire:
        await wire.send(data)
        if goodbye == "waits":
            await wire.until_closed()
        elif goodbye == "resets":
            wire.reset_when_closed()
    monkeypatch.undo()
    await check_next_client(served, certificate)
    for event in served.record.events:
        assert isinstance(event, ConnectionFailed)
        assert event.client.startswith("127.0.0.1:")
        assert event.error.startswith("TLS handshake failed: ")
    if not data:
        assert served.record.events == []
    elif goodbye == "waits" and data != NO_HANDSHAKE["half a hello"]:
        assert len(served.record.events) == 1


async def test_plain_http_on_the_tls_port_is_told(served: Served) -> None:
    """The operator sees which client it is, and what it does wrong."""
    async with served.connect() as wire:
        await wire.send(request("/hello"))
        await wire.until_closed()
    (event,) = served.record.of(ConnectionFailed)
    assert event.error == "TLS handshake failed: http request"


async def test_a_client_that_does_not_trust_the_certificate_is_told(served: Served) -> None:
    """It says so itself, in an alert."""
    distrustful = ssl.create_default_context()

    def shake_hands() -> None:
        with (
            socket.create_connection(("127.0.0.1", served.port), PATIENCE_SECONDS) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            distrustful.wrap_socket(plain, server_hostname="localhost")

    await trio.to_thread.run_sync(shake_hands)
    with trio.fail_after(PATIENCE_SECONDS):
        while not served.record.events:
            await trio.lowlevel.checkpoint()
    (event,) = served.record.of(ConnectionFailed)
    assert event.error == "TLS handshake failed: tlsv1 alert unknown ca"


@pytest.mark.parametrize("data", ["nothing", "half a hello"])
async def test_a_handshake_that_stalls_holds_up_nobody_else(
    served: Served, certificate: Certificate, data: str
) -> None:
    """Others shake hands and ask meanwhile."""
    async with served.connect() as stalled:
        await stalled.send(NO_HANDSHAKE[data])
        await check_next_client(served, certificate)
        assert not await stalled.closes_within(0.01)


@pytest.mark.parametrize("data", ["nothing", "half a hello"])
async def test_a_handshake_that_stalls_holds_up_no_end(served: Served, data: str) -> None:
    """Nothing has been asked, so the connection is idle, and closes at once with the server."""
    async with served.connect() as stalled:
        await stalled.send(NO_HANDSHAKE[data])
        await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.fail_after(server.CLOSE_SECONDS / 2):
            await served.server.close()


@pytest.mark.parametrize("asked", ["", "/hello", "/slow"])
async def test_a_client_may_go_without_saying_so(
    served: Served, certificate: Certificate, stage: Stage, asked: str
) -> None:
    """No close_notify is needed, idle or in the middle of a request."""
    stream = await open_tls(served.port, certificate.trust())
    if asked:
        await stream.send_all(request(asked))
    await stream.transport_stream.aclose()
    await check_next_client(served, certificate)
    stage.release.set()  # until then, the client may still be listening
    with trio.fail_after(PATIENCE_SECONDS):
        while served.server._connections:
            await trio.lowlevel.checkpoint()
    assert served.record.events == []


async def test_garbage_after_the_handshake_harms_nobody(
    served: Served, certificate: Certificate
) -> None:
    """Bytes below TLS that are no records break their own connection."""
    async with await open_tls(served.port, certificate.trust()) as stream:
        await stream.transport_stream.send_all(bytes(range(256)) * 10)
        await Wire(stream).until_closed()
    await check_next_client(served, certificate)
    assert served.record.events == []


async def test_a_client_that_stops_reading_is_cut_off(
    served: Served, certificate: Certificate, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEND_SECONDS hold for TLS as well."""
    monkeypatch.setattr(sending, "SEND_SECONDS", SHORT_SECONDS)
    async with await open_tls(served.port, certificate.trust()) as stream:
        await stream.send_all(request("/flood"))
        with trio.fail_after(PATIENCE_SECONDS):
            await stage.left.wait()
    assert stage.sent_bytes < 50 * 2**20
    await check_next_client(served, certificate)
    assert served.record.events == []


async def test_a_client_that_uploads_too_much_reads_why(
    api: Api, serve: Serve, certificate: Certificate, keys: Keys
) -> None:
    """The 413 comes while the client is still sending, and is not lost in a reset connection."""
    served = await serve(api.app, keys=keys)
    size = 10 * MAX_JOB_BYTES
    head = request(
        "/jobs", "Content-Type: application/json", f"Content-Length: {size}", method="POST"
    )
    async with await open_tls(served.port, certificate.trust()) as stream:
        wire = Wire(stream)
        await wire.send(head + bytes(size))
        check_problem(await wire.answer(), 413)
    assert served.record.events == []


@pytest.mark.parametrize("broken", ["certfile", "keyfile"])
@pytest.mark.parametrize("how", ["missing", "garbage", "swapped"])
def test_keys_of_no_use_are_told(
    certificate: Certificate, tmp_path: Path, broken: str, how: str
) -> None:
    """Which files, and why, in one line."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(bytes(100))
    other = {"missing": tmp_path / "missing.pem", "garbage": garbage}
    other["swapped"] = certificate.keyfile if broken == "certfile" else certificate.certfile
    files = {"certfile": certificate.certfile, "keyfile": certificate.keyfile, broken: other[how]}
    with pytest.raises(CannotListen, match=str(other[how])) as caught:
        load_tls(str(files["certfile"]), str(files["keyfile"]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("broken", ["certfile", "keyfile"])
def test_keys_that_are_no_files_are_told(
    certificate: Certificate, tmp_path: Path, broken: str
) -> None:
    """The start would wait without a word for somebody to write into a named pipe."""
    pipe = tmp_path / "pipe.pem"
    os.mkfifo(pipe)
    files = {"certfile": certificate.certfile, "keyfile": certificate.keyfile, broken: pipe}
    with pytest.raises(CannotListen, match=r"pipe\.pem is not a regular file$"):
        load_tls(str(files["certfile"]), str(files["keyfile"]))


def test_a_swap_of_certificate_and_key_is_guessed(certificate: Certificate) -> None:
    """The likeliest mistake, for which OpenSSL has no word."""
    with pytest.raises(CannotListen, match=r": are they swapped\?$"):
        load_tls(str(certificate.keyfile), str(certificate.certfile))
    with pytest.raises(CannotListen) as caught:
        load_tls(str(certificate.certfile), str(certificate.certfile))
    assert "swapped" not in str(caught.value)


def test_a_key_with_a_password_is_refused_without_a_question(
    certificate: Certificate, tmp_path: Path
) -> None:
    """OpenSSL would ask on the terminal, where nobody is."""
    key = pem.load_pem_private_key(certificate.keyfile.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret")
        )
    )
    with pytest.raises(CannotListen, match=r"locked\.pem"):
        load_tls(str(certificate.certfile), str(locked))


async def test_old_versions_of_tls_are_refused(
    served: Served, certificate: Certificate, keys: Keys
) -> None:
    """TLS 1.2 is the oldest (RFC 8996)."""
    assert keys.context.minimum_version >= ssl.TLSVersion.TLSv1_2
    context = certificate.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with await open_tls(served.port, context) as stream:
        assert (await Wire(stream).ask("/hello")).status == 200


@pytest.mark.parametrize("turns", range(8))
async def test_a_body_that_comes_with_the_word_to_send_it_is_read(
    api: Api, serve: Serve, keys: Keys, certificate: Certificate, turns: int
) -> None:
    """Expect: 100-continue: the client may send its body in the moment in which it is told to."""
    served = await serve(api.app, keys=keys)
    body = b'{"type": "echo"}'
    fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    head = request("/jobs", *fields, "Expect: 100-continue", method="POST")
    async with await open_tls(served.port, certificate.trust()) as stream:
        wire = Wire(stream)
        with trio.fail_after(PATIENCE_SECONDS):
            for _ in range(5):
                await wire.send(head)
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                await wire.send(body)
                assert (await wire.answer()).status == 100
                assert (await wire.answer()).status == 201
