"""The HTTP of one service: its app, who may ask, its certificate, and where it listens."""

import trio

from job_service.access.token_file import TokenFile
from job_service.access.tokens import Tokens
from job_service.jobs.registration.registry import Registry
from job_service.jobs.running.engine import Engine
from job_service.service_events import ServiceEvents
from job_service.settings import Settings
from job_service.stores.contract import Store
from job_service.telemetry.assembly import Telemetry
from job_service.web.app import create_app
from job_service.web.edge.listeners import Listener, listen_on_path, listen_on_port
from job_service.web.edge.server import Server
from job_service.web.edge.tls import Keys
from job_service.web.guards import LOCAL_HOSTS, Access


class ServiceHTTP:
    """The app on its server, from `listen` to `close`.

    Raises CannotListen if the certificate or its key can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        telemetry: Telemetry,
        engine: Engine,
        store: Store,
        events: ServiceEvents,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        access = access_of(settings)
        app = create_app(
            engine.queue,
            registry=registry,
            read_metrics=events.read_metrics,
            history=telemetry.history,
            list_workers=engine.workers,
            feed=telemetry.feed,
            is_ready=lambda: engine.accepting,
            store_trouble=lambda: store.trouble,
            why_idle=lambda: store.why_idle,
            emit=telemetry.emit,
            access=access,
            root_path=settings.root_path,
        )
        self._token_file: TokenFile | None = None
        if settings.token_file is not None:
            self._token_file = TokenFile(
                access.tokens, settings.tokens, settings.token_file, settings.token_reading.seen
            )
        self._keys: Keys | None = None
        if settings.certfile is not None and settings.keyfile is not None:
            self._keys = Keys(settings.certfile, settings.keyfile)
        self._server = Server(
            app, telemetry.emit, max_connections=settings.max_connections, keys=self._keys
        )
        self._listeners: list[Listener] = []

    async def listen(self) -> None:
        """Take the address. Raises CannotListen."""
        if self._settings.unix is not None:
            self._listeners = await listen_on_path(self._settings.unix)
        else:
            self._listeners = await listen_on_port(self._settings.host, self._settings.port)

    @property
    def url(self) -> str:
        """Where clients find it, once it listens."""
        return self._listeners[0].url("http" if self._keys is None else "https")

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer, and follow the file of tokens, until `close` is called."""
        async with trio.open_nursery() as beside:
            if self._token_file is not None:
                beside.start_soon(self._token_file.watch, self._telemetry.emit)
            await self._server.serve(self._listeners, task_status)
            beside.cancel_scope.cancel()

    async def close(self) -> None:
        """Stop serving. Returns when the last connection is closed, within CLOSE_SECONDS."""
        self._telemetry.feed.close()  # so that the streams of clients end, and are not cut off
        await self._server.close()

    async def stop_listening(self) -> None:
        """Give the address up, as `serve` does when it ends."""
        for listener in self._listeners:
            await listener.aclose()

    def remove_sockets(self) -> None:
        """Remove the files of its sockets. Any thread may call it when the process ends."""
        for listener in self._listeners:
            listener.remove()

    def descriptors(self) -> list[int]:
        """The descriptors of its sockets: those that listen, and those of its connections."""
        listening = [listener.socket.fileno() for listener in self._listeners]
        return [*listening, *self._server.descriptors()]

    def reload_files(self) -> None:
        """Read the certificate and the tokens anew, soon. Signal handlers may call it."""
        if self._keys is not None:
            self._keys.reload_soon()
        if self._token_file is not None:
            self._token_file.reload_soon()


def access_of(settings: Settings) -> Access:
    """Who may ask: with which token, under which names of the host, from which pages."""
    hosts = None
    tokens = Tokens(settings.accepted_tokens)
    is_open_to_browsers = settings.is_local and not (tokens or settings.unix)
    if settings.allow_host or is_open_to_browsers:
        hosts = LOCAL_HOSTS | {settings.host, *settings.allow_host}
    return Access(tokens, hosts, frozenset(settings.allow_origin))
