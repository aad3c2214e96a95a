"""The client that openapi-python-client makes of the document."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.service import Service
from tests.generated_clients.conftest import TOKEN

SECONDS = 120
HERE = Path(__file__).parent
COMMAND = ["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "job_client"]
IMPORT_ALL = """
import pkgutil, job_client
for module in pkgutil.walk_packages(job_client.__path__, "job_client."):
    __import__(module.name)
"""


@pytest.mark.slow
def test_a_python_client_can_be_generated_and_used(service: Service, folder: Path) -> None:
    """Each call becomes a function, each of its modules can be imported, and it does its work.

    Of the document the generator leaves out only the lines of a batch, which it can send as an
    array, and the files of the dashboard.
    """
    generator = Path(sys.executable).with_name("openapi-python-client")
    said = _run(folder, str(generator), *COMMAND)
    warnings = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert warnings == [
        "WARNING parsing POST /jobs/batch within jobs.",
        "WARNING parsing GET /dashboard/{name} within dashboard.",
    ]
    assert "Unable to parse" not in said
    _run(folder, sys.executable, "-W", "error", "-c", IMPORT_ALL)
    program = (HERE / "use_client.py").read_text()
    _run(folder, sys.executable, "-W", "error", "-c", program, service.url, TOKEN)


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
