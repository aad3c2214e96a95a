"""`python -m bench.peers.install [PEER ...]` makes the environments of these peers, or of all."""

import argparse

from bench.peers.environments import install, peers


def main() -> None:
    """Make one after the other."""
    parser = argparse.ArgumentParser("python -m bench.peers.install", description=__doc__)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"any of: {', '.join(peers())}")
    for peer in parser.parse_args().peers or peers():
        print(f"installing {peer}", flush=True)
        install(peer)


if __name__ == "__main__":
    main()
