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
_NAME_FORMAT: Final = (
    "must have a name of 1 to 64 letters, digits and . _ @ -, beginning with a letter or digit"
)


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
        self._secrets = frozenset(token.secret for _, token in self._tokens)

    def still_take(self, token: Token) -> bool:
        """Whether who came in with this one could come in again."""
        return not self._secrets or token.secret in self._secrets

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
    if not all(map(str.isprintable, words)):
        raise BadToken("must be text in UTF-8, without control characters")
    if len(words) == 1:
        return Token(words[0])
    if len(words) != 3:
        raise BadToken(_FORMAT)
    name, role, secret = words
    if not _NAME.fullmatch(name):
        raise BadToken(_NAME_FORMAT)
    for known in ROLES:
        if role == known:
            return Token(secret, known, name)
    raise BadToken(f"must have a role that is one of {', '.join(ROLES)}")


def parse_tokens(text: str) -> list[Token]:
    """The tokens of a file, one a line. Raises BadToken, which names the line.

    Empty lines, and lines that begin with `#`, say nothing.
    """
    lines: list[int] = []
    tokens: list[Token] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not (said := line.strip()) or said.startswith("#"):
            continue
        try:
            tokens.append(parse_token(line))
        except BadToken as error:
            raise BadToken(f"line {number} {error}") from None
        lines.append(number)
    if not tokens:
        raise BadToken("there is no token in it")
    if (bare := find_bare(tokens)) is not None:
        raise BadToken(f"line {lines[bare]} must be NAME ROLE TOKEN, because other lines are")
    if (repeated := find_repetition(tokens)) is not None:
        earlier, later, what = repeated
        raise BadToken(f"line {lines[later]} has the same {what} as line {lines[earlier]}")
    return tokens


def find_bare(tokens: Sequence[Token]) -> int | None:
    """The place of the first token without a name and a role, if others have them.

    It may be a forgotten word, and would be a token with the highest role.
    """
    are_bare = [token.name is None for token in tokens]
    return are_bare.index(True) if any(are_bare) and not all(are_bare) else None


def find_repetition(tokens: Sequence[Token]) -> tuple[int, int, Literal["name", "token"]] | None:
    """The places of the first two tokens that have the same name or token, and which it is."""
    secrets: dict[str, int] = {}
    names: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if (earlier := secrets.setdefault(token.secret, place)) != place:
            return earlier, place, "token"
        if token.name is None:
            continue
        if (earlier := names.setdefault(token.name, place)) != place:
            return earlier, place, "name"
    return None


def strongest(tokens: Sequence[Token]) -> str | None:
    """The first of those that may do most; None if there are none."""
    best = max(tokens, key=lambda token: ROLES.index(token.role), default=None)
    return None if best is None else best.secret
