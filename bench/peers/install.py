"""`python -m bench.peers.install [PEER ...]` makes the environments of these peers, or of all."""

import argparse

from bench.peers.environments import install, peers


def main() -> None:
    """Make one after the other."""
    parser = argparse.ArgumentParser("python -m bench.peers.install", description=__doc__)
    names = peers()
    wanted = f"all, or any of: {', '.join(names)}"
    parser.add_argument("peers", nargs="*", choices=names, metavar="PEER", help=wanted)
    for peer in parser.parse_args().peers or names:
        print(f"installing {peer}", flush=True)
        install(peer)


if __name__ == "__main__":
    main()
