"""Tokens: who has one, what its role allows, and how people write them."""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Role = Literal["read", "submit", "operate"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)  # each may do what those before it may

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_FORMAT: Final = "must be a token, or NAME ROLE TOKEN with spaces between"


class BadToken(Exception):
    """What was written is no token. The message says why, and never quotes it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, the role of who has it, and their name, if one was given."""

    secret: str = field(repr=False)
    role: Role = "operate"
    name: str | None = None

    def allows(self, needed: Role) -> bool:
        """Whether its role is this one, or may do more."""
        return ROLES.index(self.role) >= ROLES.index(needed)


EVERYBODY: Final = Token("")  # who calls a service that has no tokens


class Tokens:
    """The tokens that a service takes now. There are none if everybody may come in."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self.replace(tokens)

    def __bool__(self) -> bool:
        return bool(self._tokens)

    def replace(self, tokens: Iterable[Token]) -> None:
        """Take these from now on, and no others."""
        self._tokens = [(token.secret.encode(), token) for token in tokens]

    def find(self, given: bytes) -> Token | None:
        """The token that a client has sent, if it is one of these.

        Each is compared, so that the time says nothing, not even which of them is right.
        """
        found = None
        for secret, token in self._tokens:
            if hmac.compare_digest(given, secret):
                found = token
        return found


def parse_token(text: str) -> Token:
    """The token in `TOKEN` or `NAME ROLE TOKEN`. Raises BadToken."""
    words = text.split()
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadToken("must be text in UTF-8")
    if len(words) == 1:
        return Token(words[0])
    if len(words) != 3:
        raise BadToken(_FORMAT)
    name, role, secret = words
    if not _NAME.fullmatch(name):
        raise BadToken("must have a name of 1 to 64 letters, digits and . _ @ -")
    for known in ROLES:
        if role == known:
            return Token(secret, known, name)
    raise BadToken(f"must have a role that is one of {', '.join(ROLES)}")


def parse_tokens(text: str) -> list[Token]:
    """The tokens of a file, one a line. Raises BadToken, which names the line."""
    lines: list[int] = []
    tokens: list[Token] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            tokens.append(parse_token(line))
        except BadToken as error:
            raise BadToken(f"line {number} {error}") from None
        lines.append(number)
        if (repeated := find_repetition(tokens)) is not None:
            earlier, what = repeated
            raise BadToken(f"line {number} has the same {what} as line {lines[earlier]}")
    if not tokens:
        raise BadToken("there is no token in it")
    return tokens


def find_repetition(tokens: Sequence[Token]) -> tuple[int, Literal["name", "token"]] | None:
    """Whether the last of these repeats an earlier one: the place of that, and what is the same."""
    *earlier, last = tokens
    for place, token in enumerate(earlier):
        if token.secret == last.secret:
            return place, "token"
        if token.name is not None and token.name == last.name:
            return place, "name"
    return None


def strongest(tokens: Sequence[Token]) -> str | None:
    """The first of those that may do most; None if there are none."""
    best = max(tokens, key=lambda token: ROLES.index(token.role), default=None)
    return None if best is None else best.secret
