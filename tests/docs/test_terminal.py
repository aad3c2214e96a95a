"""A page that says something else than what happens is noticed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.console import Mismatch
from tests.docs.pages import Block
from tests.docs.terminal import Terminal

JOB = "01a213c0-a60b-714f-82d5-aee99f485e6d"
OTHER = "01a22262-a666-72dd-97c9-470fdec1a6cb"

Follow = Callable[[str], None]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    """Follows a `console` block."""
    with Terminal(tmp_path / "page") as terminal:
        yield lambda text: terminal.follow(Block("console", None, text, 1))


@pytest.mark.parametrize(
    "block",
    [
        '$ echo \'{"status": "failed"}\'\n{"status":"completed"}\n',
        "$ echo one; echo two\none\n",
        "$ echo one\none\ntwo\n",
        "$ echo 17 jobs\n18 jobs\n",
        f"$ echo {JOB} {JOB}\n{JOB} {OTHER}\n",
        "$ true\nsomething\n",
        "something\n$ true\n",
        "^C\n",
        "$ false\n",
        "$ echo one\ntwo\n^C\n",
        "$ echo 'Bad option: --port'; false\nBad option: --host\n$ echo $?\n1\n",
    ],
)
def test_what_a_page_has_wrong_is_told(follow: Follow, block: str) -> None:
    """Other words, counts and ids, lines too many or too few, and failures are all noticed."""
    with pytest.raises(Mismatch):
        follow(block)


def test_what_differs_each_time_may_differ(follow: Follow) -> None:
    """Ids, times, durations, whitespace and what `…` stands for are not those of the page."""
    follow(
        f"""\
$ id={OTHER}
$ echo $id $id 2026-11-28T13:40:20.198700Z 0.5 12ms worker-2 of many
{JOB}   {JOB}
    2025-01-01T00:00:00Z 0.000075 1.25s worker-1 …
$ test {JOB} = $id
"""
    )


def test_a_shell_stays_the_same(follow: Follow) -> None:
    """A later command has the folder and the variables of an earlier one; lines may go on."""
    follow("$ mkdir jobs && cd jobs\n$ name=email\n")
    follow("$ echo $(basename $PWD) \\\n  $name\njobs email\n$ echo 'two\n> lines'\ntwo\nlines\n")


def test_what_runs_on_can_be_interrupted(follow: Follow) -> None:
    """Ctrl-C ends what runs on, and what it shows then counts, too."""
    follow(
        """\
$ python3 -c 'import time
> try:
>     print("waiting", flush=True), time.sleep(60)
> except KeyboardInterrupt: print("over")'
waiting
^C
over
"""
    )
