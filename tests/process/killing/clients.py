"""Clients that do all that clients may do, and repeat what got no answer."""

import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any, Final

import httpx
import msgspec
import trio

from tests.process.killing.asking import ask, client
from tests.process.killing.books import Clients, Json, Receipt

TERMINAL: Final = frozenset({"completed", "failed", "cancelled", "abandoned"})
TYPES: Final = ["loop"] * 6 + ["thread"] * 3 + ["limited"] * 2 + ["process"]
Act = tuple[Callable[[], Awaitable[None]], int]  # and how often it is chosen
MOST_KNOWN: Final = 200  # ids that a client chooses from


class WrongAnswer(Exception):
    """An answer that no client should ever get, about a job if the path has its id."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(what)
        self.job_id = path.removeprefix("/jobs").strip("/").partition("/")[0].partition("?")[0]


class Client:
    """One client, which makes one request after the other until it is to stop."""

    def __init__(
        self,
        name: str,
        sockets: Sequence[str],
        book: Clients,
        *,
        seed: int,
        only_good: bool = False,
        pause_seconds: float = 0.02,
    ) -> None:
        self._name = name
        self._book = book
        self._random = random.Random(f"{seed}/{name}")
        self._only_good = only_good
        self._pause_seconds = pause_seconds
        self._keys = count()
        self._known = list[str]()
        self._replayable = list[tuple[str, str, bytes, Receipt]]()
        self._http = client(*sockets)
        self._receipt = trio.Event()  # the next one

    async def run(self, stop: trio.Event) -> None:
        """Work until it is to stop; all that was begun is answered on return."""
        acts: list[Act] = [
            (self.submit, 45),
            (self.submit_batch, 6),
            (self.replay, 6),
            (self.read, 12),
            (self.wait, 12),
        ]
        if not self._only_good:
            acts += [(self.cancel, 8), (self.run_again, 6)]
        choices, weights = zip(*acts, strict=True)
        async with self._http:
            while not stop.is_set():
                [act] = self._random.choices(choices, weights)
                try:
                    await act()
                except WrongAnswer as error:
                    self._book.wrong.append((error.job_id, str(error)))
                await trio.sleep(self._random.expovariate(1 / self._pause_seconds))

    async def next_receipt(self) -> None:
        """Return when it has got its next receipt."""
        await self._receipt.wait()

    async def submit(self) -> None:
        """One job, with a key."""
        key = self._key()
        asked = self._job(key, 0)
        body = msgspec.json.encode(asked)
        answer = await self._ask("POST", "/jobs", body, key)
        self._book.tell("receipt", answer.json())
        self._note(Receipt(key, [asked], [answer.json()["id"]]), "/jobs", body)

    async def submit_batch(self) -> None:
        """Some jobs, with a key for all."""
        key = self._key()
        asked = [self._job(key, index) for index in range(self._random.randint(2, 12))]
        body = b"\n".join(map(msgspec.json.encode, asked))
        answer = await self._ask("POST", "/jobs/batch", body, key)
        self._note(Receipt(key, asked, answer.json()["ids"]), "/jobs/batch", body)

    async def replay(self) -> None:
        """The same request again, perhaps of another life."""
        if not self._replayable:
            return
        path, key, body, first = self._random.choice(self._replayable)
        answer = await self._ask("POST", path, body, key)
        told = answer.json()
        ids = told["ids"] if "ids" in told else [told["id"]]
        if "id" in told:
            self._book.tell("replay", told)
        if ids != first.ids or answer.headers.get("Idempotent-Replayed") != "true":
            self._book.wrong.append((ids[0], f"the key {key} gave {first.ids} and then {ids}"))

    async def read(self) -> None:
        """The story of a job, or a page of jobs."""
        if self._known and self._random.random() < 0.9:
            answer = await self._ask("GET", f"/jobs/{self._random.choice(self._known)}")
            self._book.tell("story", answer.json())
        else:
            for job in (await self._ask("GET", "/jobs?order=newest&limit=50")).json():
                self._book.tell("page", job)

    async def wait(self) -> None:
        """The end of a job, if it comes soon."""
        if self._known:
            answer = await self._ask("GET", f"/jobs/{self._random.choice(self._known)}?wait=0.5")
            self._book.tell("wait", answer.json())

    async def cancel(self) -> None:
        """Call a job off."""
        if not self._known:
            return
        job_id = self._random.choice(self._known[-30:])
        self._book.cancelled.add(job_id)
        answer = await self._ask("POST", f"/jobs/{job_id}/cancel", may_conflict=True)
        told = answer.json()
        if answer.status_code == 409:
            told = {"id": job_id, "status": told["job_status"]}
        self._book.tell("cancel", told)

    async def run_again(self) -> None:
        """Make a new job of one that has ended."""
        if not self._known:
            return
        job_id, key = self._random.choice(self._known), self._key()
        path = f"/jobs/{job_id}/retry"
        answer = await self._ask("POST", path, b"", key, may_conflict=True)
        if answer.status_code != 409:
            self._book.tell("receipt", answer.json())
            self._note(Receipt(key, [], [answer.json()["id"]], retry_of=job_id), path, b"")

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        key: str | None = None,
        *,
        may_conflict: bool = False,
    ) -> httpx.Response:
        """The answer, which is no error."""
        answer = await ask(self._http, method, path, body, key, self._book)
        if not (answer.is_success or (may_conflict and answer.status_code == 409)):
            raise WrongAnswer(path, f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def _key(self) -> str:
        return f"{self._name}-{next(self._keys)}"

    def _note(self, receipt: Receipt, path: str, body: bytes) -> None:
        self._book.receipts.append(receipt)
        self._replayable = [*self._replayable[-50:], (path, receipt.key, body, receipt)]
        self._known = [*self._known, *receipt.ids][-MOST_KNOWN:]
        self._receipt.set()
        self._receipt = trio.Event()

    def _job(self, key: str, index: int) -> Json:
        """What to submit: any job with any options."""
        chance = self._random.random
        work: dict[str, Any] = {"key": key, "index": index}
        work["seconds"] = self._random.choice([0, 0, 0.005, 0.02, 0.1])
        if chance() < 0.1:
            work["snoozes"] = self._random.randint(1, 3)
        if chance() < 0.15:
            work["failures"] = self._random.randint(1, 3)
        if chance() < 0.03 and not self._only_good:
            work["is_hopeless"] = True
        job: Json = {"type": self._random.choice(TYPES), "payload": work}
        if chance() < 0.2:
            job["priority"] = self._random.randint(0, 9)
        if chance() < 0.1:
            job["delay_seconds"] = round(self._random.uniform(0, 1.5), 3)
        if chance() < 0.15:
            job["unique_key"] = f"unique-{self._random.randint(1, 5)}"
        if chance() < 0.2 and self._known:
            job["after"] = sorted(set(self._random.choices(self._known[-30:], k=2)))
        return job
