"""Asks a running service over HTTP, as the commands of its operator do."""

import json
import socket
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from job_service.errors import SettingsError
from job_service.settings import Settings

CONNECT_SECONDS: Final = 10.0

_TO_ITSELF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (the service listens there)


class Unreachable(Exception):
    """No service answers; the message says where, and why not."""


class Refused(Exception):
    """The service does not do what it was asked for; the message is its own."""


class ServiceClient:
    """Asks the service that has these settings, or the one at `url`.

    Raises SettingsError if `url` is none.
    """

    def __init__(self, settings: Settings, url: str | None = None) -> None:
        self._prefix = ""
        self._headers = dict[str, str]()
        if settings.tokens:
            self._headers["Authorization"] = f"Bearer {settings.tokens[0]}"
        if url is not None:
            self._connection, self._prefix = _connection_to(url)
        elif settings.unix is not None:
            url, self._connection = f"unix:{settings.unix}", _UnixConnection(settings.unix)
        else:
            scheme = "http" if settings.certfile is None else "https"
            host = _TO_ITSELF.get(settings.host, settings.host)
            shown = f"[{host}]" if ":" in host else host
            url = f"{scheme}://{shown}:{settings.port}"
            self._connection, _ = _connection_to(url)
        self.url = url

    def ask(self, method: str, path: str) -> Any:
        """The JSON of its answer, however long that takes. Raises Unreachable or Refused."""
        connection = self._connection
        try:
            connection.connect()
            connection.sock.settimeout(None)
            connection.request(method, self._prefix + path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreachable(f"no service answers at {self.url}: {why}") from error
        finally:
            connection.close()
        try:
            said = json.loads(body)
            if answer.status == 200:
                return said
            why = said["detail"]
        except (ValueError, TypeError, KeyError):
            why = f"it answers {answer.status} {answer.reason}, which no job service does"
        raise Refused(f"{self.url}: {why}")


class _UnixConnection(HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Called by http.client, and above."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CONNECT_SECONDS)
        self.sock.connect(self._path)


def _connection_to(url: str) -> tuple[HTTPConnection, str]:
    """A connection that is still to be opened, and the path of the URL."""
    try:
        parts = urlsplit(url)
        kind = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
        connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_SECONDS)
    except (ValueError, KeyError, HTTPException):
        raise SettingsError("url", f"must be such as http://127.0.0.1:8080, not {url}") from None
    return connection, parts.path.rstrip("/")
