"""Say what is wrong with the queue of a job service, and nothing if all is well.

cron mails what a command says, so this is an alert: queue_alert.py URL MINUTES
"""

import json
import os
import sys
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

LONGEST_WAIT_SECONDS = 60.0
LONGEST_QUEUE_SECONDS = 600.0
MOST_FAILING = 0.2
FEW = 10  # attempts, of which no share says anything


def troubles(queue: Any, past: Any) -> Iterator[str]:
    """What is wrong: the queue as it is now, and what happened lately."""
    for each in queue["types"]:
        waits = each.get("oldest_ready_seconds", 0.0)
        if waits > LONGEST_WAIT_SECONDS:
            yield f"{each['type']}: {each['ready']} ready, the oldest for {waits:.0f} seconds"
        left = each.get("seconds_to_empty")
        if left is None:
            yield f"{each['type']}: {each['ready']} ready, and none has begun for a minute"
        elif left > LONGEST_QUEUE_SECONDS:
            yield f"{each['type']}: {each['ready']} ready, which takes {left / 60:.0f} minutes"
    if turned_away := sum(past["jobs_rejected"]):
        yield f"{turned_away} submissions were turned away"
    failed = sum(past["jobs_failed"]) + sum(past["jobs_retried"])
    attempts = failed + sum(past["jobs_completed"])
    if attempts >= FEW and failed / attempts > MOST_FAILING:
        yield f"{failed} of {attempts} attempts failed"
    if stalls := sum(past["loop_stalls"]):
        yield f"the event loop stalled {stalls} times"


def read(url: str) -> Any:
    """The JSON that the service answers.

    Raises OSError if it does not, HTTPException or ValueError if what answers is something else.
    """
    token = os.environ.get("JOB_SERVICE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(url, headers=headers)  # noqa: S310  # the url is your own
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def main(url: str, minutes: str) -> int:
    """Print a line for each trouble of the last minutes; 1 if there is any."""
    seconds = 60 * int(minutes)
    try:
        found = list(
            troubles(read(f"{url}/queue"), read(f"{url}/history?seconds={seconds}&step=1"))
        )
    except HTTPError as refusal:
        with refusal:
            found = [f"no answer from {url}: {refusal}"]
    except (OSError, HTTPException, ValueError) as error:  # or another service answers
        found = [f"no answer from {url}: {error}"]
    for trouble in found:
        print(trouble)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
