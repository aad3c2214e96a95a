"""A service with job types that a generator must get right, and the document that describes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.service import Service, running
from tests.forking import Ancestor

TOKEN = "w0rd"  # noqa: S105  # of a service that lives for one test


@pytest.fixture(scope="package")
def service(ancestor: Ancestor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """It wants a token, so that clients have to send one."""
    log_path = tmp_path_factory.mktemp("service") / "log"
    jobs = "tests.generated_clients.job_types:registry"
    with running(ancestor, log_path, "--token", TOKEN, jobs=("--jobs", jobs)) as service:
        yield service


@pytest.fixture
def folder(service: Service, tmp_path: Path) -> Path:
    """Where a client is made; the document of the service lies there."""
    document = service.ask("/openapi.json")
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    return tmp_path
