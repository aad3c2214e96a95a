"""Submissions at random (Poisson) intervals, as independent clients send them."""

import random
import re
import selectors
import socket
import time
from collections import defaultdict, deque
from typing import NamedTuple

from bench.http import JOB

CONNECTIONS = 64
RECEIVED_AT_ONCE = 65_536

REQUEST = (
    "POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(JOB)}\r\n\r\n{JOB}"
).encode()


class Answered(NamedTuple):
    """When a submission was due and when it was answered, by the system's clock, and the answer."""

    due: float
    answered: float
    body: bytes


def submit(port: int, jobs: int, rate: float, chance: random.Random) -> list[Answered]:
    """Submit `jobs` jobs, at `rate` per second on average.

    If no connection is free, a submission is late, and still counts from when it was due: whoever
    sends it waits, too.
    """
    answers: list[Answered] = []
    free = deque[socket.socket]()
    asked: dict[socket.socket, float] = {}
    received = defaultdict[socket.socket, bytes](bytes)
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            free.append(connection)
        due, submitted = time.time(), 0
        while len(answers) < jobs:
            if submitted < jobs and free and time.time() >= due:
                connection = free.popleft()
                connection.sendall(REQUEST)
                asked[connection] = due
                submitted += 1
                due += chance.expovariate(rate)
            # Poll without a pause, because after a sleep the times would be late.
            for key, _ in selector.select(timeout=0):
                connection = key.fileobj  # type: ignore[assignment]  # only sockets are registered
                received[connection] += connection.recv(RECEIVED_AT_ONCE)
                body = _body(received[connection])
                if body is not None:
                    answers.append(Answered(asked.pop(connection), time.time(), body))
                    del received[connection]
                    free.append(connection)
        for connection in free:
            connection.close()
    return answers


def _body(answer: bytes) -> bytes | None:
    """The body of a response; None until all of it has come."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201"), answer
    length = re.search(rb"(?i)content-length: (\d+)", head)
    assert length is not None, answer
    return body if len(body) == int(length[1]) else None


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
