"""`python -m bench.peers.install [PEER ...]` makes the environments of some peers, or of all."""

import argparse
import sys

from bench.peers.environments import install, peers, too_old


def main() -> None:
    """Make one environment after the other."""
    parser = argparse.ArgumentParser("python -m bench.peers.install", description=__doc__)
    names = peers()
    wanted = f"all, or any of: {', '.join(names)}"
    parser.add_argument("peers", nargs="*", metavar="PEER", help=wanted)
    parser.add_argument(
        "--python", default=sys.executable, help="of these environments; by default, that of this"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.peers) - set(names):
        parser.error(f"there is no peer {', '.join(sorted(unknown))}; see --help")
    for peer in arguments.peers or names:
        if (why := too_old(peer, arguments.python)) is not None:
            print(f"{peer}: skipped, because it {why}", flush=True)
            continue
        print(f"installing {peer}", flush=True)
        install(peer, arguments.python)


if __name__ == "__main__":
    main()
