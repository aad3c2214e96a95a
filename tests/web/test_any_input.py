"""Bytes and values that nobody thought of: the service takes them or refuses them, and no more."""

import json
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Rig
from tests.web.api import Api, job_types

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=8,
)
SUBMISSIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(job_types().names) | VALUES},
    optional={"payload": VALUES, "max_retries": st.integers(-2, 1_002) | VALUES, "more": VALUES},
)
FRAMES = st.sampled_from(job_types().names).map(lambda name: f'{{"type":"{name}","payload":')

in_reason = settings(max_examples=40)


def check_post(body: bytes) -> None:
    """Check that the body is either taken and told of, or refused without a trace."""

    async def check() -> None:
        async with trio.open_nursery() as nursery:
            api = Api(Rig(nursery, job_types()))
            answer = await api.post(body)
            if answer.status == 201:
                told = await api.ask(answer.headers["Location"])
                assert told.status == 200
                assert told.json["payload"] == json.loads(body).get("payload")
                assert api.counters()["jobs_created"] == 1
            else:
                assert answer.status == 400, answer
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert api.rig.record.events == []
                assert api.counters()["jobs_created"] == 0

    trio.run(check)


@in_reason
@given(body=st.binary())
def test_no_bytes_make_the_service_err(body: bytes) -> None:
    """Any bytes as a body are the client's mistake, and never a 5xx."""
    check_post(body)


@pytest.mark.slow
@in_reason
@given(frame=FRAMES, payload=st.binary())
def test_no_bytes_inside_a_payload_make_the_service_err(frame: str, payload: bytes) -> None:
    """Any bytes where the payload belongs are taken as JSON or refused."""
    check_post(frame.encode() + payload + b"}")


@pytest.mark.slow
@in_reason
@given(body=VALUES | SUBMISSIONS)
def test_no_json_value_makes_the_service_err(body: Any) -> None:
    """Any JSON value, submission or not, is taken and told back as it was, or refused."""
    check_post(json.dumps(body).encode())


@pytest.mark.slow
@in_reason
@given(submission=SUBMISSIONS, places=st.lists(st.integers(0, 60), max_size=3), data=st.binary())
def test_no_damage_to_a_submission_makes_the_service_err(
    submission: Any, places: list[int], data: bytes
) -> None:
    """A submission with some bytes replaced by others is taken as it is then, or refused."""
    body = bytearray(json.dumps(submission, ensure_ascii=False).encode("utf-8", "replace"))
    for place in places:
        body[place : place + len(data)] = data
    check_post(bytes(body))
