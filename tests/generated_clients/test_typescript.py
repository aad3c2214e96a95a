"""The client that openapi-typescript and openapi-fetch make of the document."""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from tests.browser.service import Service
from tests.docs.pages import DOCS, Page
from tests.generated_clients.conftest import TOKEN

HERE = Path(__file__).parent
PACKAGES = HERE / "package.json", HERE / "package-lock.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trio-job-service"
INSTALL_SECONDS = 300
SECONDS = 120
PAGE = Page(DOCS / "http-api.md")


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """The packages that the lock file names, in a folder that is kept for later runs."""
    if not shutil.which("node") or not shutil.which("npm"):
        assert not os.environ.get("CI"), "node must be there, or nothing is said of TypeScript"
        pytest.skip("node and npm are not installed (apt-get install nodejs npm)")
    digest = sha256(b"".join(path.read_bytes() for path in PACKAGES)).hexdigest()
    kept = CACHE / f"node-{digest[:16]}"
    if not kept.is_dir():
        _install(kept)
    return kept / "node_modules"


def _install(kept: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        new = Path(folder, "new")
        new.mkdir()
        for path in PACKAGES:
            shutil.copy(path, new)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=new, timeout=INSTALL_SECONDS, capture_output=True)
        if done.returncode != 0:
            assert not os.environ.get("CI"), done.stderr.decode()
            pytest.skip("npm could not install the packages; is the network there?")
        with suppress(OSError):  # another run of the tests was faster
            new.rename(kept)


@pytest.mark.slow
def test_a_typescript_client_can_be_generated_and_used(
    service: Service, folder: Path, node_modules: Path
) -> None:
    """What the page says makes types; programs with them compile strictly, and do their work."""
    (folder / "node_modules").symlink_to(node_modules)
    for path in (PACKAGES[0], HERE / "tsconfig.json", HERE / "use_client.ts"):
        shutil.copy(path, folder)
    [sample] = [block.text for block in PAGE.blocks if block.language == "ts"]
    (folder / "sample.ts").write_text(sample)
    [commands] = [block.text for block in PAGE.blocks if "npx openapi-typescript" in block.text]
    npx, generator, *arguments = commands.splitlines()[-1].split()
    assert npx == "npx"  # which would only look for it where it is
    _run(folder, f"node_modules/.bin/{generator}", *arguments)
    _run(folder, "node_modules/.bin/tsc")
    _run(folder, "node", "compiled/use_client.js", service.url, TOKEN)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
