"""What a log line says is what it shows, whoever wrote it and whatever shows it."""

import json
import os
from pathlib import Path

import pytest

from job_service.telemetry.events import JobFailed
from job_service.telemetry.feed import Feed
from job_service.telemetry.log import Log, LogFormat
from job_service.telemetry.sink import LineSink
from job_service.telemetry.text import escaped
from job_service.web.frames import Frames
from tests.telemetry.sample import sample

# What a terminal obeys, and what shows text in another order than it stands in.
UNSAFE = "".join(
    map(chr, [0x7F, *range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F)])
) + "".join(map(chr, [*range(0x2066, 0x206A), 0xFEFF]))
# Their neighbours, and others.
HARMLESS = "\xa0äß€\u061b\u061d\u200b\u2027\u202f\u2065\u206a\ufefe😀"


def written(path: Path, log_format: LogFormat) -> list[str]:
    """Lines of an event and of a handler, in which all of these stand wherever a text may."""
    with LineSink(os.open(path, os.O_WRONLY | os.O_CREAT)) as sink:
        log = Log(sink.write, log_format)
        text = UNSAFE + HARMLESS
        log.observe(sample(JobFailed, job_type=UNSAFE, error=text, traceback=f"a\n{text}"))
        log.logger.info("said", **{UNSAFE: [text]})
        log.logger.info(UNSAFE, broken="\ud800" + text)
        log.logger.info("harmless", text=HARMLESS)
    return path.read_text("utf-8").splitlines()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_that_deceives_comes_out(tmp_path: Path, log_format: LogFormat) -> None:
    """Neither control characters nor marks of direction, in events and in a handler's lines."""
    written(tmp_path / "log", log_format)
    assert not set(UNSAFE) & set((tmp_path / "log").read_text("utf-8"))


def test_json_still_says_it(tmp_path: Path) -> None:
    """A program that reads the line gets the text as it was; what is harmless people can read."""
    failed, said, broken, harmless = written(tmp_path / "log", "json")
    assert json.loads(failed)["error"] == UNSAFE + HARMLESS
    assert json.loads(said)[UNSAFE] == [UNSAFE + HARMLESS]
    assert json.loads(broken)["broken"].endswith(UNSAFE + HARMLESS)
    assert f'"text":"{HARMLESS}"' in harmless


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    """In such a line, too, what deceives is escaped."""
    assert escaped(b"\xff\x9b a\x7f\xe2\x80\xae\xc3") == b"\xff\x9b a\\u007f\\u202e\xc3"


@pytest.mark.parametrize("text", [UNSAFE, f"{UNSAFE}\ud800"], ids=["as a rule", "half a character"])
def test_the_live_stream_has_the_lines_of_the_log(tmp_path: Path, text: str) -> None:
    """To the byte, escapes included: people look at both."""
    event = sample(JobFailed, job_type=UNSAFE, error=text, traceback=f"a\n{text}{HARMLESS}")
    with LineSink(os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)) as sink:
        Log(sink.write, "json").observe(event)
    feed = Feed()
    feed.observe(event)
    data = Frames(feed).of(1).split(b"data: ", 1)[1]
    assert data == (tmp_path / "log").read_bytes() + b"\n"
    assert not set(UNSAFE) & set(data.decode())
