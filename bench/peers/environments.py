"""One virtual environment per peer, made of the dependency group that pyproject.toml has for it."""

import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"
ENVIRONMENTS = ROOT / ".bench-environments"
INSTALL = "python -m bench.peers.install"
GROUP = "peer-"
NAMES = {
    "awa-pg": "awa",
    "fastapi": "FastAPI",
    "oban": "Oban",
    "pgqueuer": "PgQueuer",
    "procrastinate": "Procrastinate",
    "saq": "SAQ",
    "streaq": "streaQ",
}
OLDEST_PYTHON = {"oban": (3, 12)}


def peers() -> list[str]:
    """The names that can be installed: those of the groups, without their prefix."""
    groups = tomllib.loads(PYPROJECT.read_text())["dependency-groups"]
    return [group.removeprefix(GROUP) for group in groups if group.startswith(GROUP)]


def too_old(peer: str, python: str) -> str | None:
    """Why this interpreter can't run the peer, and what helps; None if it can."""
    oldest = OLDEST_PYTHON.get(peer, (3, 11))
    code = f"import sys; sys.exit(sys.version_info < {oldest})"
    if subprocess.run([python, "-c", code], check=False).returncode == 0:
        return None
    return f"needs Python {oldest[0]}.{oldest[1]} or later ({INSTALL} --python PYTHON {peer})"


def install(peer: str, python: str) -> None:
    """Make the peer's environment anew; raise CalledProcessError if that fails."""
    subprocess.run([python, "-m", "venv", "--clear", str(ENVIRONMENTS / peer)], check=True)
    pip = [python_of(peer), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "pip>=25.1"], check=True)  # older ones know no groups
    subprocess.run([*pip, "--group", f"{PYPROJECT}:{GROUP}{peer}"], check=True)


def python_of(peer: str) -> str:
    """The interpreter of the peer's environment."""
    return str(ENVIRONMENTS / peer / "bin" / "python")


def missing(peer: str, *, on_redis: bool = False) -> str | None:
    """Why the peer can't run, and what helps; None if it can."""
    if version_of(peer) is None:
        return too_old(peer, sys.executable) or f"not installed ({INSTALL} {peer})"
    if on_redis and shutil.which("redis-server") is None:
        return "needs redis-server (apt-get install redis-server)"
    return None


def title(peer: str) -> str:
    """The peer's name as its authors write it, and its version if it is installed."""
    return f"{NAMES.get(peer, peer)} {version_of(peer) or ''}".rstrip()


def version_of(peer: str) -> str | None:
    """The installed version of the peer; None if there is none."""
    folders = (ENVIRONMENTS / peer).glob("lib/python*/site-packages")
    for distribution in Distribution.discover(name=peer, path=list(map(str, folders))):
        return distribution.version
    return None
