"""What somebody at a terminal types, what is printed, and what a script learns from the status."""

import io
import re
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from job_service import Registry
from job_service.client import JobClient, Submission
from tests.terminal.conftest import Give, served

WORD = "word"
WHOLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_a_job_is_submitted_and_its_id_printed(give: Give, client: JobClient) -> None:
    """And nothing else, so that a script can go on with it."""
    status, out, err = give("submit", "echo", '{"a": [1]}', "--priority", "2", "--max-retries", "0")
    job = client.get(out.strip())
    assert (status, err) == (0, "")
    assert (bytes(job.payload), job.priority, job.max_retries) == (b'{"a": [1]}', 2, 0)
    _, out, _ = give("submit", "echo", "--delay", "600", "--unique-key", "k", "--after", job.id)
    later = client.get(out.strip())
    assert (bytes(later.payload), later.unique_key, later.after) == (b"null", "k", (job.id,))
    client.cancel(later.id)


def test_a_payload_comes_from_a_file_or_from_stdin(
    give: Give, client: JobClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl takes it."""
    (tmp_path / "payload.json").write_text("[1, 2]")
    assert give("submit", "echo", f"@{tmp_path}/payload.json", "--wait").out == "[1,2]\n"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'"piped"')))
    assert give("submit", "echo", "-", "--wait").out == '"piped"\n'
    monkeypatch.setattr(sys, "stdin", None)  # it was closed
    assert give("submit", "echo", "-").status == 2


def test_json_does_not_deceive_who_reads_it_on_a_terminal(give: Give) -> None:
    """A terminal takes U+009B for the start of a command, and U+202E turns what follows around."""
    deceives = "\x9b31m\u202e"
    given = ["submit", "echo", msgspec.json.encode(deceives).decode(), "--wait"]
    plain, whole = give(*given).out, give(*given, "--json").out
    assert plain == '"\\u009b31m\\u202e"\n'
    assert whole.isascii()
    assert msgspec.json.decode(whole)["result"] == deceives


def test_who_waits_learns_from_the_status_whether_it_has_completed(give: Give) -> None:
    """Its result is on stdout, and why it failed on stderr."""
    assert give("submit", "echo", "7", "--wait") == (0, "7\n", "")
    status, out, err = give("submit", "fail", "--wait")
    assert (status, out) == (1, "")
    assert err.startswith("job-service: job ")
    assert err.endswith(" failed: ValueError: no \\x1b[31mluck\n")
    status, out, _ = give("submit", "fail", "--wait", "--json")
    assert (status, msgspec.json.decode(out)["status"]) == (1, "failed")


def test_who_waits_outlasts_a_restart_of_the_service(
    give: Give, free_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it keeps its jobs, and however soon a command gives up that finds no service at first."""
    monkeypatch.setattr("job_service.terminal.session._PATIENCE_SECONDS", 0)
    settings = {"port": free_port, "log_file": str(tmp_path / "log")}
    settings["store"] = f"sqlite:{tmp_path / 'jobs.db'}"
    url = f"http://127.0.0.1:{free_port}"
    paused = threading.Event()

    def restart() -> None:
        with JobClient(url) as client:
            with served(**settings):
                client.pause("echo")
                paused.set()
                while not client.list():
                    time.sleep(0.01)
            with served(**settings):
                client.resume("echo")
                answered.wait(30)

    answered = threading.Event()
    thread = threading.Thread(target=restart)
    thread.start()
    assert paused.wait(30)
    said = give("submit", "echo", "7", "--wait", "--url", url)
    answered.set()
    thread.join()
    assert said == (0, "7\n", "")


def test_a_submission_with_a_key_is_made_once(give: Give) -> None:
    """However often a script tries."""
    first = give("submit", "echo", "1", "--idempotency-key", "key")
    assert give("submit", "echo", "1", "--idempotency-key", "key") == first
    status, _, err = give("submit", "echo", "2", "--idempotency-key", "key")
    assert (status, err) == (1, "job-service: this idempotency key was used for another request\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["submit", "telegram"], "there is no job type 'telegram'; known are echo"),
        (["submit", "echo", "{"], "the payload is not JSON: "),
        (
            ["submit", "echo", "[" * 10_000],
            "the payload can't be taken: it is nested more than 500 deep",
        ),
        (["submit", "echo", "@"], "@: Is a directory"),
        (["submit", "\udcff"], "an option can't be written as JSON: "),
        (["submit", "echo", "--delay", "inf"], "delay_seconds must be a number, not inf"),
        (["submit", "echo", "--run-at", "0001-01-01"], "--run-at must be such as 2026-12-24T"),
        (["submit", "echo", "--idempotency-key", "a\nb"], "an idempotency key must be visible"),
        (["submit", "echo", "@/nowhere"], "/nowhere: No such file or directory"),
        (["submit", "echo", "--priority", "10"], "not a job: Expected `int` <= 9"),
        (["submit", "echo", "--run-at", "soon"], "--run-at must be such as 2026-12-24T18:00:00Z"),
        (["submit", "echo", "--after", "x", "--delay", "-1"], "delay_seconds"),
        (["jobs", "--limit", "0"], "limit must be a number from 1 to 1000"),
        (["jobs", "--status", "lost"], "'lost' is not one of 'pending'"),
        (["jobs", "--type", "telegram"], "there is no job type 'telegram'"),
        (["jobs", "--url", "localhost"], "--url must be such as http://127.0.0.1:8080"),
        (["jobs", "--url", "http://a..b"], "--url must be such as http://127.0.0.1:8080"),
        (["jobs", "--url", "http://a/\x00"], "--url can't be http://a/\\x00: "),
        (["jobs", "--url", "ftp://ada:s3cret@b"], "or unix:/run/jobs.socket, not ftp://b"),
        (["jobs", "--watch", "--json"], "--watch and --json can't be used together"),
        (["jobs", "--token", "two words"], "--token must not have spaces"),
        (["cancel"], "give ids, or say which"),
        (["cancel", "id", "--type", "echo"], "give ids, or say which"),
        (["cancel", "id", "--error", "no luck"], "give ids, or say which"),
        (["run-now"], "give ids, or say which"),
        (["cancel", "--status", "failed"], "status must be one of pending, processing"),
        (["edit", WHOLE_ID], "nothing is to be changed"),
        (["edit", WHOLE_ID, "--delay", "-1"], "delay_seconds must be a number of seconds"),
        (["edit", WHOLE_ID, "--delay", "1", "--run-at", "2030-01-01"], "can't be used together"),
        (["edit", WHOLE_ID, "--payload", "{"], "the payload is not JSON"),
        (["retry"], "give ids, or say which"),
        (["tail", "--event", "nothing"], "event must be some of"),
        (["tail", "--type", "telegram"], "there is no job type 'telegram'; known are"),
        (["pause", "telegram"], "there is no job type 'telegram'"),
    ],
)
def test_what_was_typed_wrong_is_told_in_one_line(
    give: Give, arguments: list[str], words: str
) -> None:
    """With exit status 2."""
    status, out, err = give(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("job-service: ")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("unclosed_sockets")
@pytest.mark.filterwarnings("ignore:.*unclosed <socket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_service_that_does_not_answer_is_told_by_the_status(
    give: Give, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script can tell it from a job that has failed."""
    monkeypatch.setattr("job_service.terminal.session._PATIENCE_SECONDS", 0)
    status, out, err = give("jobs", "--url", "unix:/nowhere")
    assert (status, out) == (3, "")
    assert err == (
        "job-service: no service answers at unix:/nowhere: [Errno 2] No such file or directory\n"
    )


def test_any_part_of_an_id_will_do_that_no_other_has(give: Give, client: JobClient) -> None:
    """Its last characters, most of the time: the first ones are the time."""
    jobs = [client.submit_and_wait("echo", number) for number in range(2)]
    status, out, _ = give("show", jobs[0].id[-6:].upper())
    assert status == 0
    assert jobs[0].id in out
    shared = jobs[0].id[:4]
    status, _, err = give("show", shared)
    assert status == 2
    assert f"several jobs have '{shared}' in their ids: " in err
    assert f"{jobs[1].id} (echo, completed)" in err
    assert give("show", "no-such-id").status == 1
    assert give("show", "00000000-0000-7000-8000-000000000000").status == 1


def test_all_of_a_job_is_shown(give: Give, client: JobClient) -> None:
    """What went in and came out, each attempt, and why it failed; nothing is a command."""
    done = client.submit_and_wait("echo", {"to": "ada"}, priority=2)
    out = give("show", done.id).out
    for words in ("completed", "priority", 'payload\n  {\n    "to": "ada"\n  }', "result", "#1"):
        assert words in out
    failed = client.submit_and_wait("fail")
    out = give("show", failed.id).out
    assert "error         ValueError: no \\x1b[31mluck\n" in out
    assert "  Traceback (most recent call last):" in out
    assert "\x1b" not in out
    told = msgspec.json.decode(give("show", failed.id, "--json").out)
    assert told["attempts"][0]["outcome"] == "failed"


def test_what_a_handler_has_logged_is_shown(give: Give, client: JobClient) -> None:
    """With its fields, and how many lines are not kept; nothing is a command."""
    out = give("show", client.submit_and_wait("verbose", 200).id).out
    assert "log of #1\n" in out
    assert ' info step {"number":0,"text":"\\u001b[2J"}\n' in out
    assert ' info step {"number":199,' in out
    assert re.search(r"^  … [0-9]+ more, which are not kept …$", out, re.MULTILINE)
    assert "\x1b" not in out


def test_jobs_are_listed(give: Give, client: JobClient) -> None:
    """The newest first, each in a line, with what there is to say of it."""
    failed, done = client.submit_and_wait("fail"), client.submit_and_wait("echo", 1)
    running = client.submit("endless")
    with client.stream(job_ids=[running.id], events=["job_progressed"]) as stream:
        if client.get(running.id).progress is None:
            next(stream)
    head, *lines = give("jobs", "--limit", "3").out.splitlines()
    assert head.split() == ["job", "type", "status", "age", "attempt"]
    assert [line.split()[:3] for line in lines] == [
        [running.id, "endless", "processing"],
        [done.id, "echo", "completed"],
        [failed.id, "fail", "failed"],
    ]
    assert lines[0].endswith("3 of 10 [bold]copying")
    assert lines[2].endswith("ValueError: no \\x1b[31mluck")
    out = give("jobs", "--status", "failed", "--type", "fail", "--json").out
    listed = [msgspec.json.decode(line) for line in out.splitlines()]
    assert {job["status"] for job in listed} == {"failed"}
    assert give("jobs", "--oldest", "--limit", "1").out.splitlines()[1:] != lines[:1]
    client.cancel(running.id)


def test_jobs_are_found_by_what_is_known_of_them(give: Give, client: JobClient) -> None:
    """By each option alone, and by several at once."""
    marked = give("submit", "echo", "--tag", "found", "--tag", "b c", "--wait", "--json").out
    failed = client.submit_and_wait("fail", tags=["found"], unique_key="found here").id
    job_id = msgspec.json.decode(marked)["id"]
    assert msgspec.json.decode(marked)["tags"] == ["found", "b c"]
    assert "found, b c" in give("show", job_id).out
    for options, expected in (
        (["--tag", "found"], [failed, job_id]),
        (["--tag", "found", "--status", "failed", "--status", "cancelled"], [failed]),
        (["--tag", "found", "--type", "echo", "--type", "fail"], [failed, job_id]),
        (["--tag", "found", "--error", "LUCK"], [failed]),
        (["--unique-key", "found here"], [failed]),
        (["--id", job_id[-12:]], [job_id]),
        (["--tag", "found", "--since", "2026-01-01"], [failed, job_id]),
        (["--tag", "found", "--until", "2026-01-01T00:00:00Z"], []),
    ):
        lines = give("jobs", *options, "--json").out.splitlines()
        assert [msgspec.json.decode(line)["id"] for line in lines] == expected, options
    status, _, error = give("jobs", "--since", "yesterday")
    assert (status, "--since must be such as" in error) == (2, True)


def test_jobs_are_cancelled_and_run_again(give: Give, client: JobClient) -> None:
    """By their ids, or all of a type."""
    jobs = [client.submit("echo", number, delay_seconds=600) for number in range(3)]
    out = give("cancel", jobs[0].id[-8:], jobs[1].id).out
    assert out == "".join(f"{job.id} is cancelled\n" for job in jobs[:2])
    status, _, err = give("cancel", jobs[0].id)
    assert (status, err) == (1, f"job-service: job {jobs[0].id} is already cancelled\n")
    assert give("cancel", "--type", "echo", "--status", "pending").out == (
        "1 cancelled, 0 being interrupted\n"
    )
    again = give("retry", jobs[0].id).out.strip()
    assert client.wait(again).retry_of == jobs[0].id
    assert msgspec.json.decode(give("retry", again, "--json").out)["retry_of"] == again
    waiting = client.submit("echo", delay_seconds=600)
    status, _, err = give("retry", waiting.id)
    assert (status, err) == (1, f"job-service: job {waiting.id} is still pending\n")
    assert msgspec.json.decode(give("cancel", waiting.id, "--json").out)["status"] == "cancelled"
    assert give("cancel", "--type", "echo", "--json").out == '{"cancelled":0,"interrupted":0}\n'


def test_many_jobs_are_run_now_cancelled_and_run_again(give: Give, client: JobClient) -> None:
    """All that the filters mean, which are those of `jobs`; how many is printed."""
    for number in range(3):
        client.submit("echo", number, delay_seconds=600, tags=["mend"])
    assert give("run-now", "--tag", "mend", "--type", "echo").out == "3 wait no longer\n"
    assert give("run-now", "--tag", "mend", "--json").out == '{"made_ready":0}\n'
    client.submit("echo", delay_seconds=600, tags=["mend"])
    assert give("cancel", "--tag", "mend").out == "1 cancelled, 0 being interrupted\n"
    assert give("retry", "--tag", "mend", "--status", "cancelled").out == "1 run again\n"
    assert give("retry", "--tag", "mend", "--status", "cancelled", "--json").out == (
        '{"retried":0}\n'
    )


def test_a_group_is_seen_waited_for_cancelled_and_run_again(give: Give, client: JobClient) -> None:
    """By its id; its jobs are found by it, too."""
    jobs: list[Submission] = [{"type": "echo"}, {"type": "fail"}, {"type": "endless"}]
    group = client.submit_group(jobs, on_failure={"type": "echo"}).id
    (endless,) = client.list(group=group, job_type="endless")
    while client.get_group(group).failed == 0 or client.get(endless.id).status == "pending":
        client.wait_for_group(group, 0.01)
    out = give("group", "show", group).out
    assert re.search(r"^status      running$", out, re.MULTILINE)
    assert re.search(r"^jobs        3: 1 processing, 1 completed, 1 failed$", out, re.MULTILINE)
    assert "] 67%\n" in out
    assert give("group", "cancel", group).out == "0 cancelled, 1 being interrupted\n"
    status, out, err = give("group", "wait", group)
    assert (status, out) == (1, "1 completed, 1 failed, 1 cancelled\n")
    assert err == f"job-service: group {group} has failed\n"
    told = msgspec.json.decode(give("group", "show", group, "--json").out)
    assert (told["status"], told["progress"]) == ("failed", 1.0)
    lines = give("jobs", "--group", group, "--status", "failed", "--json").out.splitlines()
    assert [msgspec.json.decode(line)["group"] for line in lines] == [group]
    out = give("show", told["callback_id"]).out
    assert f"ends group    {group}\n" in out
    again = give("group", "retry", group).out.strip()
    assert client.get_group(again).retry_of == group
    assert msgspec.json.decode(give("group", "cancel", again, "--json").out)["cancelled"] >= 0
    status, _, err = give("group", "cancel", group)
    assert (status, err.count("\n")) == (1, 1)
    done = client.submit_group([{"type": "echo"}])
    assert give("group", "wait", done.id) == (0, "1 completed\n", "")
    assert give("group", "wait", "nothing").status == 1
    status, _, err = give("group")
    assert (status, err.count("\n")) == (2, 1)


def test_the_tick_of_a_scheduled_job_is_shown(give: Give, tmp_path: Path) -> None:
    """In the zone of the terminal, as all times."""
    registry = Registry()

    @registry.every(seconds=0.05)
    async def often() -> None:
        pass

    with served(registry, port=0, log_file=str(tmp_path / "log")) as url, JobClient(url) as client:
        while not (jobs := client.list(job_type="often", limit=1)):
            time.sleep(0.01)
        out = give("show", jobs[0].id, "--url", url).out
    tick = jobs[0].scheduled_for
    assert tick is not None
    assert f"schedule      often\ntick          {tick.astimezone():%Y-%m-%d %H:%M:%S}\n" in out


def test_who_has_submitted_changed_and_cancelled_a_job_is_told(give: Give, tmp_path: Path) -> None:
    """By the name of the token; in the list, who has cancelled it."""
    settings = {"log_file": str(tmp_path / "log"), "tokens": (f"ada operate {WORD}",)}
    with served(port=0, **settings) as url, JobClient(url, token=WORD) as client:
        job = client.submit("echo", delay_seconds=600)
        there = ("--url", url, "--token", WORD)
        give("edit", job.id, "--priority", "2", *there)
        give("cancel", job.id, *there)
        assert give("jobs", "--id", job.id, *there).out.endswith("by ada\n")
        told = give("show", job.id, *there).out
        for what in ("submitted", "edited", "cancelled"):
            assert f"{what + ' by':12}  ada\n" in told
        moment = client.get(job.id).edited_at
        assert moment is not None
        assert f"edited        {moment.astimezone():%Y-%m-%d %H:%M:%S}\n" in told


def test_a_command_about_many_jobs_that_fails_tells_what_it_has_done(
    give: Give, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be given again: nothing is done twice."""
    monkeypatch.setattr("job_service.terminal.session._RESTART_SECONDS", 0)
    settings = {"log_file": str(tmp_path / "log"), "queue_capacity": 2}
    with served(port=0, **settings) as url, JobClient(url) as client:
        client.pause()
        for number in range(4):
            client.cancel(client.submit("echo", number).id)
        retry = ("retry", "--type", "echo", "--status", "cancelled", "--url", url)
        status, out, err = give(*retry)
        assert (status, out) == (1, "")
        assert err.splitlines() == [
            "job-service: 2 run again so far; give the same command again to go on",
            "job-service: the queue is full: 2 jobs run again so far",
        ]
        client.resume()
        while client.view().pending:
            time.sleep(0.01)
        assert give(*retry).out == "2 run again\n"


def test_jobs_that_wait_are_changed_and_run_now(give: Give, client: JobClient) -> None:
    """By any part of their ids."""
    jobs = [client.submit("echo", number, delay_seconds=600) for number in range(2)]
    out = give("edit", jobs[0].id[-8:], "--priority", "2", "--payload", '"another"').out
    assert out.startswith(f"{jobs[0].id} is pending, ")
    assert out.endswith(", priority 2\n")
    out = give("edit", jobs[0].id, "--run-at", "2030-01-01T12:00:00Z", "--json").out
    edited = msgspec.json.decode(out)
    assert (edited["run_at"], edited["payload"]) == ("2030-01-01T12:00:00Z", "another")
    assert give("edit", jobs[1].id, "--delay", "60").out.endswith(", priority 5\n")
    out = give("run-now", *(job.id for job in jobs)).out
    assert out == f"{jobs[0].id} is pending, priority 2\n{jobs[1].id} is pending, priority 5\n"
    assert client.wait(jobs[0].id).status == "completed"
    status, _, err = give("run-now", jobs[0].id)
    assert (status, err) == (1, f"job-service: job {jobs[0].id} is already completed\n")


def test_the_queue_is_paused_and_resumed(give: Give) -> None:
    """As a whole, or a type."""
    assert give("pause", "echo").out == "paused: echo\n"
    assert give("pause").out == "paused: the queue, echo\n"
    assert msgspec.json.decode(give("resume", "--json").out)["paused_types"] == ["echo"]
    assert give("resume", "echo").out == "paused: nothing\n"


def test_schedules_are_listed(give: Give) -> None:
    """With when they come next."""
    head, line = give("schedules").out.splitlines()
    assert head.split()[:4] == ["schedule", "type", "when", "zone"]
    assert "0 3 * * *  Europe/Berlin" in line
    told = msgspec.json.decode(give("schedules", "--json").out)
    assert told["type"] == "nightly"
    assert line.split("  ")[-1].count(", ") == 3
    assert len(told["next_ticks"]) == 5


def test_a_schedule_is_run_paused_and_resumed(give: Give, client: JobClient) -> None:
    """It is paused until somebody says that it is not; who runs it now gets the job's id."""
    assert give("schedules", "pause", "nightly").out == "nightly is paused\n"
    assert "  paused for " in give("schedules").out
    job = client.get(give("schedules", "run-now", "nightly").out.strip())
    assert job.schedule == "nightly"
    told = msgspec.json.decode(give("schedules", "run-now", "nightly", "--json").out)
    assert told["schedule"] == "nightly"
    assert give("schedules", "resume", "nightly").out.startswith("nightly runs next at 2")
    assert not msgspec.json.decode(give("schedules", "resume", "nightly", "--json").out)["paused"]


def test_a_schedule_that_there_is_not_is_told_so(give: Give) -> None:
    """And so is one that is not named, or a word that means nothing."""
    status, _, err = give("schedules", "pause", "weekly")
    known = "job-service: there is no schedule 'weekly'; known are nightly\n"
    assert (status, err) == (2, known)
    for wrong in (("pause",), ("stop", "nightly")):
        assert give("schedules", *wrong).status == 2


def test_the_service_is_seen_at_a_glance(give: Give, client: JobClient) -> None:
    """What runs, what waits and why, and what goes wrong."""
    client.submit("fail")
    running = client.submit("endless")
    waiting = client.submit("echo", 1, after=[running.id])
    while client.view().processing < 1:
        client.wait(running.id, 0.01)
    out = give("top", "--once").out
    assert "2 workers" in out.splitlines()[0]
    assert "/s created" in out.splitlines()[0]
    assert "1 blocked" in out.splitlines()[1]
    assert any(line.split()[-1:] == [running.id] for line in out.splitlines())
    assert f"waits for job {running.id}" in out
    told = msgspec.json.decode(give("top", "--json").out)
    assert [job["id"] for job in told["waiting"]] == [waiting.id]
    client.cancel(running.id)
