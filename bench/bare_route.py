"""The baseline of `bench.http`: a Quart-Trio route with constant JSON, under Hypercorn."""

import sys

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response
from quart_trio import QuartTrio


def main(port: int) -> None:
    """Serve until killed."""
    app = QuartTrio(__name__)

    @app.post("/jobs")
    async def constant() -> Response:
        return Response(b'{"status":"pending"}', 201, content_type="application/json")

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    trio.run(serve, app, config)


if __name__ == "__main__":
    main(int(sys.argv[1]))
