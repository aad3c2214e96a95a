"""The file of tokens: it is read at the start, and again when it has changed."""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from job_service.errors import SettingsError
from job_service.telemetry.events import Event, TokenReloadFailed, TokensReloaded, utc_now
from job_service.tokens import (
    BadToken,
    Token,
    Tokens,
    find_repetition,
    parse_token,
    parse_tokens,
)
from job_service.watched_files import Signature, WatchedFiles, in_thread, look


class TokenReading(NamedTuple):
    """The tokens that were read, and how their file looked just before, if there is one."""

    tokens: tuple[Token, ...]
    seen: Signature


def read_tokens(texts: Sequence[str], file: str | None) -> TokenReading:
    """Read the tokens that these texts are, and those of the file. Raises SettingsError."""
    seen = () if file is None else look(file)
    tokens: list[Token] = []
    for text in texts:
        try:
            tokens.append(parse_token(text))
        except BadToken as error:
            raise SettingsError("token", str(error)) from None
        _require_new(tokens, "token")
    for token in () if file is None else _read_file(file):
        tokens.append(token)
        _require_new(tokens, "token_file")
    return TokenReading(tuple(tokens), seen)


class TokenFile:
    """Keeps `tokens` as the texts and the file have them.

    They are read already, when the file looked as `seen`. It may have changed since: a service
    imports its job types in between.
    """

    def __init__(self, tokens: Tokens, texts: Sequence[str], file: str, seen: Signature) -> None:
        self._tokens = tokens
        self._texts = texts
        self._file = file
        self._watched = WatchedFiles(file, seen=seen)

    def reload_soon(self) -> None:
        """Read the file anew. May be called by a signal handler."""
        self._watched.reload_soon()

    async def watch(self, emit: Callable[[Event], None]) -> None:
        """Read the file whenever it has changed. If it can't be used, the tokens stay as they were.

        Never returns.
        """

        async def reload() -> None:
            try:
                tokens, _ = await in_thread(read_tokens, self._texts, self._file)
            except SettingsError as error:
                emit(TokenReloadFailed(timestamp=utc_now(), error=str(error)))
            else:
                self._tokens.replace(tokens)
                emit(TokensReloaded(timestamp=utc_now(), token_file=self._file, tokens=len(tokens)))

        await self._watched.watch(reload)


def _read_file(path: str) -> list[Token]:
    try:
        with os.fdopen(_open_at_once(path), encoding="utf-8") as file:
            return parse_tokens(file.read())
    except OSError as error:
        raise SettingsError("token_file", f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingsError("token_file", f"{path}: must be text in UTF-8") from None
    except BadToken as error:
        raise SettingsError("token_file", f"{path}: {error}") from None


def _open_at_once(path: str) -> int:
    """Open a file to read. A named pipe without a writer is empty, and is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    return descriptor


def _require_new(tokens: Sequence[Token], setting: str) -> None:
    if (repeated := find_repetition(tokens)) is not None:
        raise SettingsError(setting, f"must not give the same {repeated[1]} twice")
