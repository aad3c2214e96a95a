"""A renewed certificate is used from the next handshake on, and a broken one is not."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from job_service.process import watched_files
from job_service.process.watched_files import LOOK_SECONDS
from job_service.telemetry.events import CertificateReloaded, CertificateReloadFailed
from job_service.web.edge import tls as tls_module
from job_service.web.edge.tls import Keys, load_tls
from tests.certificates import Certificate, issue
from tests.conftest import Record
from tests.web.conftest import Serve
from tests.web.wire import Stage, Wire, open_tls


class Folder:
    """A certificate and its key, which can be renewed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._renewals = 0
        self.current = issue(self._new())
        self.certfile, self.keyfile = path / "cert.pem", path / "privkey.pem"
        self.write(self.current)

    def renew(self) -> Certificate:
        """Issue another one, of another CA, and put its files into place."""
        self.current = issue(self._new())
        self.write(self.current)
        return self.current

    def write(self, certificate: Certificate) -> None:
        """Put the files of this one into place, as those do that write anew and rename."""
        for source, target in (
            (certificate.certfile, self.certfile),
            (certificate.keyfile, self.keyfile),
        ):
            new = target.with_suffix(".new")
            new.write_bytes(source.read_bytes())
            new.rename(target)

    def keys(self) -> Keys:
        """What a server loads."""
        return Keys(str(self.certfile), str(self.keyfile))

    def _new(self) -> Path:
        self._renewals += 1
        folder = self._path / str(self._renewals)
        folder.mkdir()
        return folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """With a certificate in it."""
    return Folder(tmp_path)


@pytest.fixture
def record() -> Record:
    """What is said about it."""
    return Record()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads files without a thread: a clock that jumps would not wait for one."""

    async def call(function: Callable[..., object], *args: object) -> object:
        await trio.lowlevel.checkpoint()
        return function(*args)

    monkeypatch.setattr(tls_module, "in_thread", call)
    monkeypatch.setattr(watched_files, "in_thread", call)


async def test_a_disk_that_hangs_holds_nothing_up(
    folder: Folder, record: Record, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are looked at in a thread, which shares its place with nobody."""
    monkeypatch.setattr(watched_files, "LOOK_SECONDS", 0.01)
    keys = folder.keys()
    looked, answers, looks_in_thread = trio.Event(), threading.Event(), []

    def hang(_: str) -> tuple[int, int, int]:
        looks_in_thread.append(threading.current_thread() is not threading.main_thread())
        if looks_in_thread[-1]:
            trio.from_thread.run_sync(looked.set)
            answers.wait(5)
        return 1, 1, 1

    monkeypatch.setattr(watched_files, "_signature", hang)
    with full_of_threads():
        nursery.start_soon(keys.watch, record.observe)
        with trio.fail_after(5):
            await looked.wait()
        assert looks_in_thread == [True]
        answers.set()


@contextmanager
def full_of_threads() -> Iterator[None]:
    """Take all places of the default thread limiter."""
    limiter = trio.to_thread.current_default_thread_limiter()
    holders = [object() for _ in range(int(limiter.available_tokens))]
    for holder in holders:
        limiter.acquire_on_behalf_of_nowait(holder)
    try:
        yield
    finally:
        for holder in holders:
            limiter.release_on_behalf_of(holder)


@pytest.mark.usefixtures("at_once")
async def test_files_that_have_changed_are_loaded(
    folder: Folder, record: Record, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """Once for each change, in a line; until then nothing happens."""
    keys = folder.keys()
    nursery.start_soon(keys.watch, record.observe)
    before = keys.context
    await trio.sleep(10 * LOOK_SECONDS)
    assert keys.context is before
    for number in range(1, 3):
        folder.renew()
        await trio.sleep(10 * LOOK_SECONDS)
        assert keys.context is not before
        assert record.names() == ["certificate_reloaded"] * number
        before = keys.context
    (event, _) = record.of(CertificateReloaded)
    assert event.certfile == str(folder.certfile)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", ["half written", "of another key", "gone", "garbage"])
async def test_files_of_no_use_change_nothing(
    folder: Folder,
    record: Record,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    how: str,
) -> None:
    """The keys before stay in use, one line says why, and the next good pair is taken."""
    keys = folder.keys()
    nursery.start_soon(keys.watch, record.observe)
    before, whole = keys.context, folder.keyfile.read_bytes()
    if how == "gone":
        folder.keyfile.unlink()
    elif how == "garbage":
        folder.certfile.write_bytes(b"x")
    else:
        folder.renew()
        folder.keyfile.write_bytes(whole[:100] if how == "half written" else whole)
    await trio.sleep(100 * LOOK_SECONDS)
    assert keys.context is before
    assert record.names() == ["certificate_reload_failed"]
    (event,) = record.of(CertificateReloadFailed)
    assert event.level == "warning"
    assert str(folder.keyfile) in event.error
    folder.renew()
    await trio.sleep(10 * LOOK_SECONDS)
    assert keys.context is not before
    assert record.names() == ["certificate_reload_failed", "certificate_reloaded"]


@pytest.mark.usefixtures("at_once")
async def test_a_pair_that_is_being_written_is_waited_for(
    folder: Folder, record: Record, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """What changes from look to look is no pair yet; nothing is said of it."""
    keys = folder.keys()
    nursery.start_soon(keys.watch, record.observe)
    new = issue(folder._new())
    for size in range(200, 1_000, 200):
        folder.certfile.write_bytes(new.certfile.read_bytes()[:size])
        await trio.sleep(0.6 * LOOK_SECONDS)
    folder.write(new)
    await trio.sleep(10 * LOOK_SECONDS)
    assert record.names() == ["certificate_reloaded"]


@pytest.mark.usefixtures("at_once")
async def test_they_are_loaded_when_that_is_asked_for(
    folder: Folder, record: Record, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """Whether or not they look any different."""
    keys = folder.keys()
    nursery.start_soon(keys.watch, record.observe)
    keys.reload_soon()
    await trio.sleep(10 * LOOK_SECONDS)
    assert record.names() == ["certificate_reloaded"]


async def test_new_clients_see_the_new_certificate_and_old_ones_go_on(
    folder: Folder, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal ends no connection."""
    monkeypatch.setattr(watched_files, "LOOK_SECONDS", 0.01)
    served = await serve(Stage(), keys=folder.keys())
    async with await open_tls(served.port, folder.current.trust()) as old:
        assert (await Wire(old).ask("/hello")).status == 200
        old_ca = folder.current
        new = folder.renew()
        with trio.fail_after(5):
            while not served.record.of(CertificateReloaded):
                await trio.sleep(0.01)
        async with await open_tls(served.port, new.trust()) as fresh:
            assert (await Wire(fresh).ask("/hello")).status == 200
        with pytest.raises(trio.BrokenResourceError):
            await open_tls(served.port, old_ca.trust())
        assert (await Wire(old).ask("/hello")).status == 200


def test_only_ciphers_that_keep_secrets_are_offered(certificate: Certificate) -> None:
    """With TLS 1.2, too: forward secrecy, and no CBC."""
    context = load_tls(str(certificate.certfile), str(certificate.keyfile))
    ciphers = context.get_ciphers()
    assert {"TLSv1.2", "TLSv1.3"} <= {cipher["protocol"] for cipher in ciphers}
    for cipher in ciphers:
        assert cipher["aead"]
        assert cipher["kea"] in ("kx-ecdhe", "kx-any")  # any: of TLS 1.3, which has no other


async def test_a_client_with_nothing_but_cbc_is_refused(
    serve: Serve, certificate: Certificate
) -> None:
    """In the handshake."""
    served = await serve(Stage(), keys=Keys(str(certificate.certfile), str(certificate.keyfile)))
    old = certificate.trust()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM")
    with pytest.raises(trio.BrokenResourceError):
        await open_tls(served.port, old)


@pytest.mark.parametrize("offered", [[], ["http/1.1"], ["h2"], ["h2", "http/1.1"]])
async def test_no_other_protocol_is_agreed_upon(
    serve: Serve, certificate: Certificate, offered: list[str]
) -> None:
    """HTTP/1.1, or none: then it is spoken all the same."""
    served = await serve(Stage(), keys=Keys(str(certificate.certfile), str(certificate.keyfile)))
    async with await open_tls(served.port, certificate.trust(*offered)) as stream:
        agreed = stream.selected_alpn_protocol()
        assert agreed == ("http/1.1" if "http/1.1" in offered else None)
        assert (await Wire(stream).ask("/hello")).body == b"hello"
