"""What trouble costs a client in Python: a service that comes back, connections that break."""

from pathlib import Path

import pytest
import trio

from job_service import UnknownJob, Unreachable
from job_service.client import AsyncJobClient
from tests.client.conftest import Call, Result, Serve


async def test_a_submission_waits_for_a_service_that_is_away(
    serve: Serve, call: Call, free_port: int, nursery: trio.Nursery
) -> None:
    """Nobody has to start the two in an order."""
    url = f"http://127.0.0.1:{free_port}"
    job = Result(nursery, call, url, "submit", "double", 4)
    await trio.sleep(0.05)  # it may have tried by then, or not
    async with serve(port=free_port) as running:
        assert (await running.queue.get((await job.value()).id)).type == "double"
        assert running.metrics().jobs_created == 1


async def test_a_service_that_stays_away_is_unreachable(call: Call, free_port: int) -> None:
    """After the time that the caller has set, and the error says where it was looked for."""
    url = f"http://127.0.0.1:{free_port}"
    with pytest.raises(Unreachable, match=f"no service answers at {url}: .*[Cc]onnect"):
        await call(url, "submit", "double", 4, client={"patience_seconds": 0.2})


async def lose_first_answer(service_port: int, listener: trio.SocketListener) -> None:
    """Pass requests on to the service, and the answers back, but for the first one."""
    is_first = True

    async def pass_on(stream: trio.SocketStream) -> None:
        nonlocal is_first
        loses, is_first = is_first, False
        async with stream, await trio.open_tcp_stream("127.0.0.1", service_port) as service:
            request = b""
            while not request.endswith(b"}"):  # of the job
                request += await stream.receive_some()
            await service.send_all(request)
            answer = await service.receive_some()
            if not loses:
                await stream.send_all(answer)

    await trio.serve_listeners(pass_on, [listener])


async def test_a_submission_whose_answer_is_lost_is_made_once(
    serve: Serve, call: Call, nursery: trio.Nursery
) -> None:
    """It arrived, and the client repeats it: the service knows its key."""
    async with serve() as running:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = int(running.url.rpartition(":")[2])
        nursery.start_soon(lose_first_answer, port, listener)
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        job = await call(url, "submit", "double", 4)
        assert job.replayed
        assert [listed.id for listed in await running.queue.list()] == [job.id]
        nursery.cancel_scope.cancel()


async def test_a_wait_outlasts_a_restart_of_a_service_that_keeps_its_jobs(
    serve: Serve, call: Call, free_port: int, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """The caller sees nothing of it, but that it takes longer."""
    settings = {"port": free_port, "store": f"sqlite:{tmp_path / 'jobs.db'}", "grace": 0}
    async with serve(**settings) as first:
        await first.queue.pause("double")
        job = await first.queue.submit("double", 4)
        waiting = Result(nursery, call, first.url, "wait", job.id)
        together = Result(nursery, call, first.url, "submit_and_wait", "double", 5)
        while len(await first.queue.list()) < 2:
            await trio.sleep(0.01)
    async with serve(**settings) as second:
        await second.queue.resume("double")
        assert bytes((await waiting.value()).result) == b"8"
        assert bytes((await together.value()).result) == b"10"
        assert len(await second.queue.list()) == 2


async def test_a_wait_for_a_job_that_is_gone_with_its_service_says_so(
    serve: Serve, free_port: int, nursery: trio.Nursery
) -> None:
    """Jobs in memory do not outlast a restart, and nobody waits for them for ever."""
    async with serve(port=free_port) as first:
        job = await first.queue.submit("double", 4)
    async with serve(port=free_port) as second, AsyncJobClient(second.url) as client:
        with pytest.raises(UnknownJob):
            await client.wait(job.id)
