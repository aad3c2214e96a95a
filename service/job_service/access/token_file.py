"""The file of tokens: it is read at the start, and again when it has changed."""

import os
import stat
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from job_service.access.tokens import (
    BadToken,
    Token,
    Tokens,
    find_bare,
    find_repetition,
    parse_token,
    parse_tokens,
)
from job_service.errors import SettingsError
from job_service.process.watched_files import Signature, WatchedFiles, in_thread, look
from job_service.telemetry.events import Event, TokenReloadFailed, TokensReloaded, utc_now

MAX_BYTES: Final = 1024**2


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
    if find_bare(tokens) is not None:
        raise SettingsError("token", "must give each token a name and a role, or none")
    _require_new(tokens, "token")
    if file is not None:
        tokens += _parse_file(file)
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


def _parse_file(path: str) -> list[Token]:
    try:
        return parse_tokens(_read_file(path).decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError("token_file", f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingsError("token_file", f"{path}: must be text in UTF-8") from None
    except BadToken as error:
        raise SettingsError("token_file", f"{path}: {error}") from None


def _read_file(path: str) -> bytes:
    """All that a file or a pipe has, which is read to its end. Raises BadToken or OSError.

    A named pipe without a writer is empty, and is not waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise BadToken("must be a file or a pipe")
        os.set_blocking(descriptor, True)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise BadToken("must have at most 1 MiB")
    return content


def _require_new(tokens: Sequence[Token], setting: str) -> None:
    if (repeated := find_repetition(tokens)) is not None:
        raise SettingsError(setting, f"must not give the same {repeated[-1]} twice")
