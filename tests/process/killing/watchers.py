"""Those who look on while services are killed: at metrics, schedules, events and a pause."""

import random
from typing import Final

import httpx
import msgspec
import trio

from tests.process.killing.asking import ask, client
from tests.process.killing.books import Clients, Json

LOOK_SECONDS: Final = 0.05
ENDS: Final = {
    "job_completed": "completed",
    "job_failed": "failed",
    "job_cancelled": "cancelled",
    "job_abandoned": "abandoned",
}
PAUSED: Final = "limited"


async def watch_metrics(socket: str, book: Clients) -> None:
    """See that the books are balanced in each answer."""
    async with client(socket) as http:
        while True:
            metrics = (await ask(http, "GET", "/metrics")).json()
            book.metrics += 1
            came = metrics["jobs_created"] + metrics["jobs_claimed"]
            went = ("completed", "failed", "cancelled", "abandoned", "released")
            are = sum(metrics[f"jobs_{name}"] for name in (*went, "in_progress", "pending"))
            if came != are:
                book.wrong.append(("", f"not balanced: {came} came, {are} are: {metrics}"))
            await trio.sleep(LOOK_SECONDS)


async def watch_schedules(socket: str, book: Clients) -> None:
    """See that no schedule forgets a tick that it has told."""
    told = dict[str, str]()
    async with client(socket) as http:
        while True:
            for view in (await ask(http, "GET", "/schedules")).json():
                last, now = told.get(view["schedule"], ""), view.get("last_run_at", "")
                if "next_run_at" in view and now < last:
                    book.wrong.append(("", f"the last tick was {last}, and then {view}"))
                told[view["schedule"]] = max(last, now)
            await trio.sleep(LOOK_SECONDS)


async def watch_events(socket: str, book: Clients) -> None:
    """Follow the stream of events, and note the ends of jobs that it tells."""
    async with client(socket) as http:
        while True:
            try:
                async with http.stream(
                    "GET", f"/events?event={','.join(ENDS)}", timeout=None
                ) as stream:
                    async for line in stream.aiter_lines():
                        if line.startswith("data: {"):
                            _note(msgspec.json.decode(line.removeprefix("data: ")), book)
            except httpx.TransportError:
                pass
            await trio.sleep(LOOK_SECONDS)


async def watch_a_pause(socket: str, book: Clients, seed: int, stop: trio.Event) -> None:
    """Pause a type of jobs and resume it, and see that what was said last still holds."""
    chance = random.Random(f"{seed}/pause")
    is_paused = False
    async with client(socket) as http:
        while not stop.is_set() or is_paused:
            queue = (await ask(http, "GET", "/queue")).json()
            if queue["paused_types"] != [PAUSED] * is_paused:
                book.wrong.append(("", f"is {PAUSED} paused? {is_paused}, but {queue}"))
            if chance.random() < 0.1 or stop.is_set():
                is_paused = not is_paused
                verb = "pause" if is_paused else "resume"
                await ask(http, "POST", f"/queue/{verb}?type={PAUSED}")
            await trio.sleep(LOOK_SECONDS)


def _note(event: Json, book: Clients) -> None:
    job = {"id": event["job_id"], "status": ENDS[event["event"]], "finished_at": event["timestamp"]}
    book.tell("event", job)
