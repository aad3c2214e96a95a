"""For what is measured while it runs jobs that wait: it begins when it is told to."""

import sys


def until_told() -> None:
    """Say that all is ready, and return at the word to begin."""
    print("ready", flush=True)
    sys.stdin.readline()
