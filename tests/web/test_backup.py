"""`POST /store/backup`: where to, and what is refused."""

import pytest

from tests.web.api import Api, check_problem


async def test_jobs_in_memory_can_not_be_backed_up(running_api: Api) -> None:
    """The problem says why."""
    answer = await running_api.ask("/store/backup?to=/tmp/jobs.db", "POST")
    said = check_problem(answer, 409, "backup-refused")
    assert said == "jobs are kept in memory here, so there is no file to copy"


@pytest.mark.parametrize("to", ["", "jobs.db", "/", "/backup/", "/a%00b", "./jobs.db"])
async def test_the_path_must_be_that_of_a_file(running_api: Api, to: str) -> None:
    """A relative one would depend on where the service was started."""
    answer = await running_api.ask(f"/store/backup?to={to}", "POST")
    said = check_problem(answer, 400, "malformed")
    assert said.startswith("to must be the absolute path of a new file")
