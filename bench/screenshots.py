"""`python -m bench.screenshots` takes the picture of the dashboard that the README shows."""

import sys
import tempfile
import time
from pathlib import Path

from bench.browser import chromium, opened
from bench.loopback import free_port, running, url

PICTURE = Path(__file__).parents[1] / "service" / "docs" / "images" / "dashboard.png"
VIEWPORT = {"width": 1240, "height": 975}
SECONDS = 58  # they fill the charts, with the demo's first burst in them


def main() -> None:
    """The demo, after almost a minute."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "job_service", "demo", "--port", str(port), "--grace", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, port, Path(folder) / "log"),
        chromium() as browser,
    ):
        page = opened(browser, url(port, "/"), viewport=VIEWPORT, color_scheme="dark")
        time.sleep(SECONDS)
        page.screenshot(path=PICTURE)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
