"""The other baseline of `bench.http_peers`: constant JSON without a framework, under Hypercorn."""

import sys
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

BODY = b'{"status":"pending"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """Read the request's body, and answer."""
    if scope["type"] == "lifespan":
        await _start_and_stop(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def _start_and_stop(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def main(port: int) -> None:
    """Serve until killed."""
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    trio.run(serve, constant, config)


if __name__ == "__main__":
    main(int(sys.argv[1]))
