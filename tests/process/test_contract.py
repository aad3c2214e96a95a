"""The service keeps what its own document promises, whatever schemathesis thinks of asking."""

import os
import re
import sys
from pathlib import Path
from subprocess import STDOUT

import pytest
import trio

from tests.process import contract_hooks
from tests.process.conftest import Start

# All of them end in no time, so that no request which waits for one takes long.
JOBS = """
from typing import Any, Literal
import msgspec
import trio
from job_service import Registry, Retry

registry = Registry()

class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: float
    y: float

class Shape(msgspec.Struct):
    kind: Literal["line", "ring"]
    points: list[Point]
    label: str | None = None

@registry.job("echo")
async def echo(payload: Any) -> Any:
    return payload

@registry.job("draw")
async def draw(payload: Shape) -> int:
    return len(payload.points)

@registry.job("add")
def add(payload: dict[str, int]) -> int:
    return sum(payload.values())

@registry.job("nap")
async def nap() -> None:
    await trio.sleep(0.05)

@registry.job("fail", retry=Retry(base_seconds=0, max_seconds=0))
async def fail(payload: Any) -> None:
    raise RuntimeError("this job type always fails")
"""

CONFIG = """
# What is wrong in more than one way may be refused for any of them: 412, 413 are refusals, too.
[checks.negative_data_rejection]
expected-statuses = [
    "400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "429",
]

# It goes on for ever: what comes in this time is checked. A busy machine takes some of it.
[[operations]]
include-operation-id = "stream_events"
request-timeout = 0.8
generation.max-examples = 3

# Any string may be an If-Match, and hardly any is the ETag of the job; so with all that is read.
[[operations]]
include-operation-id = ["cancel_job", "edit_job", "run_job_now"]
checks.positive_data_acceptance.expected-statuses = [
    "2xx", "400", "401", "403", "404", "409", "412", "429",
]

# Any key may be used, and some have been, for something else.
[[operations]]
include-operation-id = "submit_job"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "409", "422", "429"]

[[operations]]
include-operation-id = "retry_job"
checks.positive_data_acceptance.expected-statuses = [
    "2xx", "401", "403", "404", "409", "412", "422", "429",
]

# Any string may be the name of a job type, and hardly any is.
[[operations]]
include-operation-id = [
    "cancel_jobs", "run_jobs_now", "retry_jobs", "pause_queue", "resume_queue",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403"]

[[operations]]
include-operation-id = "list_jobs"
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "412"]

[[operations]]
include-operation-id = ["get_job", "get_group", "open_dashboard", "get_dashboard_file", "read_docs"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "401", "403", "404", "412"]

# Some options go only with others.
[[operations]]
include-operation-id = "submit_group"
checks.positive_data_acceptance.expected-statuses = [
    "2xx", "400", "401", "403", "409", "422", "429",
]

[[operations]]
include-operation-id = "submit_batch"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "409", "422", "429"]
"""

SECONDS = 480.0  # a bound, not a goal: a busy machine takes several minutes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "phases", "examples"),
    [
        (None, "examples,coverage,fuzzing,stateful", 6),
        ("s3cret-t0ken", "examples,fuzzing", 3),  # a few, since all that differs is who may call
    ],
    ids=["without a token", "with a token"],
)
async def test_the_service_keeps_its_contract(
    start: Start, tmp_path: Path, token: str | None, phases: str, examples: int
) -> None:
    """No 500, no status, header or body that is not documented; what fits is taken, the rest not.

    All checks of schemathesis (it makes all where none is named), on every call of the document
    that the service itself answers.
    """
    (tmp_path / "contract_jobs.py").write_text(JOBS)
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    guard = [] if token is None else ["--token", token]
    service = await start("--jobs", "contract_jobs:registry", *guard)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with service.client() as client:
        document = (await client.get("/openapi.json", headers=headers)).json()
    del document["paths"]["/openapi.json"]  # which schemathesis has read already
    operations = sum(len(methods) for methods in document["paths"].values())

    with trio.fail_after(SECONDS):
        run = await trio.run_process(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file"),
                *("schemathesis.toml", "run", f"{client.base_url}/openapi.json"),
                *("--phases", phases, "--max-examples", str(examples)),
                *("--seed", "1", "--workers", "1"),
                *("--request-timeout", "10", "--generation-database", "none", "--no-color"),
                *(f"-H{name}: {value}" for name, value in headers.items()),
            ],
            capture_stdout=True,
            stderr=STDOUT,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": contract_hooks.__file__},
        )
    report = run.stdout.decode()
    assert run.returncode == 0, report
    assert re.findall(r"Tested: (\d+)", report) == [str(operations)], report
    assert service.of("request_failed") == []
