"""`python -m bench` runs every benchmark and prints its ratio."""

from bench.engine import engine_against_channel
from bench.http import post_against_bare_route


def main() -> None:
    """Run them one after the other; takes about a minute."""
    print(engine_against_channel(), flush=True)
    comparison = post_against_bare_route()
    print(comparison or "POST /jobs: skipped, for it needs wrk (apt-get install wrk)")


if __name__ == "__main__":
    main()
