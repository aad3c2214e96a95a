"""`python -m bench` runs every benchmark and prints its ratio."""

from bench.dashboard import open_against_closed, page_under_load
from bench.engine import engine_against_channel
from bench.http import batches_against_single_posts, post_against_bare_route
from bench.stuck_reader import stuck_against_reading
from bench.watchdog import watched_against_unwatched


def main() -> None:
    """Run them one after the other; takes about a minute."""
    print(engine_against_channel(), flush=True)
    print(watched_against_unwatched(), flush=True)
    for compare in (
        post_against_bare_route,
        batches_against_single_posts,
        stuck_against_reading,
        open_against_closed,
    ):
        print(
            compare()
            or "skipped, for it needs wrk, or wrk and Chromium (apt-get install wrk chromium)",
            flush=True,
        )
    print(page_under_load() or "skipped, for it needs Chromium (apt-get install chromium)")


if __name__ == "__main__":
    main()
