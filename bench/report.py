"""Results as a JSON file, with the machine they were taken on, because speed depends on it."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from bench.measure import Result

PACKAGES = ("trio-job-service", "trio", "hypercorn", "quart", "quart-trio", "msgspec", "structlog")


def write_report(results: Sequence[Result], path: Path) -> None:
    """Write all results, each with its kind, and the machine, the versions and the date."""
    report: dict[str, Any] = {
        "taken_at": datetime.now(UTC),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
        },
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "results": [
            {"kind": type(result).__name__.lower(), **msgspec.to_builtins(result)}
            for result in results
        ],
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
