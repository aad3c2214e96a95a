"""Finds out where the service is, and with which token to ask it."""

import os
import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from job_service.access.tokens import BadToken, parse_token, strongest
from job_service.environment import PREFIX, URL_VARIABLE
from job_service.errors import SettingsError

TOKEN_VARIABLE: Final = f"{PREFIX}TOKEN"
DEFAULT_URL: Final = "http://127.0.0.1:8080"

_UNIX: Final = "unix:"


class Address(NamedTuple):
    """`url` as people may see it; `base_url` for HTTP; and the Unix socket, if it is one."""

    url: str
    base_url: str
    socket: str | None
    headers: dict[bytes, bytes]


def find_service(url: str | None, token: str | None) -> Address:
    """The address at `url`, or at that of JOB_SERVICE_URL, or else the usual one of this machine.

    Without a `token`, it is the first with the highest role of JOB_SERVICE_TOKEN, if there is one.
    Raises SettingsError, of the setting `url` or `token`.
    """
    _require_text("url", url)
    _require_text("token", token)
    url = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    token = token or _token_of_environment()
    if not token.isprintable() or len(token.split()) > 1:
        raise SettingsError("token", "must not have spaces or control characters in it")
    headers = {b"Authorization": f"Bearer {token}".encode()} if token else {}
    if url.startswith(_UNIX):
        path = url.removeprefix(_UNIX)
        if not path:
            raise SettingsError("url", "must have the path of a socket after unix:")
        return Address(url, "http://localhost", path, headers)
    _check(url)
    return Address(_without_password(url.rstrip("/")), url.rstrip("/"), None, headers)


def _require_text(setting: str, value: object) -> None:
    if not isinstance(value, str | None):
        raise SettingsError(setting, f"must be a text, not {type(value).__name__}")


def _token_of_environment() -> str:
    """That of JOB_SERVICE_TOKEN, as the service itself and its commands read it; else nothing."""
    said = os.environ.get(TOKEN_VARIABLE, "").split(",")
    try:
        return strongest([parse_token(text) for text in said if text.strip()]) or ""
    except BadToken as error:
        raise SettingsError("token", str(error)) from error


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
        _ = parts.port  # which may be no number
        (parts.hostname or "").encode("idna")  # as the system does who looks it up
    except ValueError:
        is_one = False
    if not is_one:
        raise SettingsError(
            "url",
            "must be such as http://127.0.0.1:8080 or unix:/run/jobs.socket, "
            f"not {_without_password(url)}",
        )


def _without_password(url: str) -> str:
    """The URL without the name and the password that a proxy may want to see."""
    return re.sub(r"//[^/]*@", "//", url)
