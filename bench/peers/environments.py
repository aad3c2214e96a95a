"""One virtual environment per peer, made of the extra that pyproject.toml has for it."""

import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".bench-environments"
INSTALL = "python -m bench.peers.install"
EXTRA = "peer-"
NAMES = {"fastapi": "FastAPI", "saq": "SAQ", "streaq": "streaQ"}


def peers() -> list[str]:
    """The names that can be installed: those of the extras, without their prefix."""
    return [extra.removeprefix(EXTRA) for extra in _extras() if extra.startswith(EXTRA)]


def packages(peer: str) -> Iterator[str]:
    """What the peer's extra asks for, and what the extras ask for that it includes."""
    for requirement in _extras()[EXTRA + peer]:
        if requirement.startswith("trio-job-service["):
            yield from packages(requirement.partition("[" + EXTRA)[2].rstrip("]"))
        else:
            yield requirement


def install(peer: str) -> None:
    """Make the peer's environment anew; raise CalledProcessError if that fails."""
    folder = ENVIRONMENTS / peer
    venv.create(folder, clear=True, with_pip=True)
    command = [python_of(peer), "-m", "pip", "install", "--quiet", *packages(peer)]
    subprocess.run(command, check=True)


def python_of(peer: str) -> str:
    """The interpreter of the peer's environment."""
    return str(ENVIRONMENTS / peer / "bin" / "python")


def missing(peer: str, *, on_redis: bool = False) -> str | None:
    """Why the peer can't run, and what helps; None if it can."""
    if version_of(peer) is None:
        return f"not installed ({INSTALL} {peer})"
    if on_redis and shutil.which("redis-server") is None:
        return "needs redis-server (apt-get install redis-server)"
    return None


def title(peer: str) -> str:
    """The peer's name as its authors write it, and its version if it is installed."""
    return f"{NAMES.get(peer, peer)} {version_of(peer) or ''}".rstrip()


def version_of(peer: str) -> str | None:
    """The installed version of the peer; None if there is none."""
    release = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = ENVIRONMENTS / peer / "lib" / release / "site-packages"
    for distribution in Distribution.discover(name=peer, path=[str(folder)]):
        return distribution.version
    return None


def _extras() -> dict[str, list[str]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
        return extras
