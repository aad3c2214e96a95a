"""The example `thumbnails`: whole pictures or none, from processes."""

from pathlib import Path

import pytest
from PIL import Image

from job_service.testing import assert_completed, assert_failed, run_sync
from tests.docs.pages import EXAMPLES
from tests.examples.conftest import Load


@pytest.fixture(autouse=True)
def _importable_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES / "thumbnails"))


def test_a_process_makes_a_thumbnail(load: Load, tmp_path: Path) -> None:
    """In its proportions, and nothing else is left behind. What is no picture fails at once."""
    registry = load("thumbnails").registry
    source, target = tmp_path / "teal.png", tmp_path / "teal.jpg"
    Image.new("RGBA", (1200, 800), "teal").save(source)
    payload = {"source": str(source), "target": str(target), "pixels": 120}
    assert_completed(run_sync(registry, "thumbnail", payload), [120, 80])
    with Image.open(target) as made:
        assert (made.format, made.size) == ("JPEG", (120, 80))
    source.write_bytes(b"no picture")
    job = run_sync(registry, "thumbnail", payload)
    assert_failed(job, "it is no picture")
    assert job.attempt == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teal.jpg", "teal.png"]
