"""What HTTP needs of a connection."""

from typing import Protocol


class Transport(Protocol):
    """Carries what HTTP says to one client, and keeps the deadlines of that client."""

    async def send(self, head: bytes, body: bytes, *, is_last: bool) -> None:
        """Send both; `is_last` if nothing of the same answer follows."""

    def has_room(self, size: int) -> bool:
        """Whether this many bytes may wait to be read by the client."""

    def set_idle(self, is_idle: bool) -> None:
        """Note whether no answer is owed."""

    def expect_body(self, is_expected: bool) -> None:
        """Note whether the client is to send more of a body."""

    def go_on(self) -> None:
        """Note that there is room for more, or that what has come can be answered now."""

    def close(self, farewell: bytes = b"") -> None:
        """Read no more, send this, and then end the connection."""
