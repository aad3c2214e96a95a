"""What a `console` block says: commands, and what comes of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SERVE_NOTHING = frozenset(
    {
        *("--help", "--version", "vocabulary", "backup", "check", "submit", "jobs", "show"),
        *(
            "run-now",
            "edit",
            "cancel",
            "retry",
            "group",
            "pause",
            "resume",
            "schedules",
            "tail",
            "top",
        ),
    }
)
_SETTINGS = re.compile(r"(\w+=\S*\s+)*")

_IDS = {
    "job": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "etag": r"[0-9a-f]{32}",
    "event": r"[0-9a-f]{8}-[0-9]+",
}
_ANY_ID = re.compile("|".join(rf"\b(?P<{kind}>{seen})\b" for kind, seen in _IDS.items()))
_MAY_DIFFER = {  # what stands in the page, and what may stand for it, without whitespace
    "timestamp": (r"\b\d{4}-\d\d-\d\dT[\d:]{8}(?:\.\d+)?Z", r"\d{4}-\d\d-\d\dT[\d:.]+Z"),
    "clock": (r"\b\d\d:\d\d:\d\d\.\d+", r"\d\d:\d\d:\d\d\.\d+"),
    "date": (r"\b\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", r"\w{3},\d\d\w{3}\d{4}[\d:]{8}GMT"),
    "duration": (r"\b\d+(?:\.\d+)?m?s\b", r"\d+(?:\.\d+)?m?s"),
    "fraction": (r"(?<![\d.])\d+\.\d+(?:e-\d+)?(?![\d.])", r"\d+(?:\.\d+)?(?:e-\d+)?"),
    "number": (r'(?:(?<=pid=)|(?<="pid":)|(?<=worker-)|(?<=content-length: ))\d+', r"\d+"),
    "anything": (r"…", r".*?"),
}
_TOKEN = re.compile(
    "|".join([_ANY_ID.pattern, *(f"(?P<{kind}>{seen})" for kind, (seen, _) in _MAY_DIFFER.items())])
)


class Mismatch(AssertionError):
    """Something else came than the page says."""


@dataclass
class Command:
    """What the reader types, and what the page says that comes of it."""

    text: str
    output: str = ""

    @property
    def is_interrupted(self) -> bool:
        """Whether the reader presses Ctrl-C meanwhile."""
        return "^C\n" in self.output

    @property
    def starts_service(self) -> bool:
        """Whether it runs a service, which does not end by itself."""
        program, *arguments = _SETTINGS.sub("", self.text.split("&&")[-1].strip(), count=1).split()
        return Path(program).name == "job-service" and _SERVE_NOTHING.isdisjoint(arguments)

    @property
    def only_reads(self) -> bool:
        """Whether it can be given again."""
        changes = re.search(r"\s(-d|-X|-T|--data\S*|--json)\b", self.text)
        return re.match(r"(\w+=\$\()?(curl|grep|cat|tail) ", self.text) is not None and not changes


def commands(text: str) -> Iterator[Command]:
    """The commands of a `console` block; one without text for output that comes before them."""
    command = Command("")
    is_typing = False
    for line in text.splitlines():
        if line.startswith("$ "):
            yield command
            command = Command(line.removeprefix("$ "))
            is_typing = True
        elif is_typing and (line.startswith("> ") or command.text.endswith("\\")):
            command.text += "\n" + line.removeprefix("> ")
        else:
            command.output += line + "\n"
            is_typing = False
    yield command


class Expectations:
    """Compares what a page shows with what is shown, and learns which id stands for which."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def with_real_ids(self, text: str) -> str:
        """A command, with the ids that came for those of the page."""
        return _ANY_ID.sub(lambda match: self._ids.get(match[0], match[0]), text)

    def compare(self, expected: str, shown: str, *, whole: bool) -> None:
        """See that this was expected, wholly or as its beginning, and learn its ids.

        Raises Mismatch.
        """
        pattern, ids = self._pattern(expected)
        compare = re.fullmatch if whole else re.match
        match = compare(pattern, "".join(shown.split()), re.DOTALL)
        if match is None:
            raise Mismatch(f"should show\n{expected}\nbut shows\n{shown}")
        self._ids.update(zip(ids, match.groups(), strict=True))
        if len({*self._ids.values()}) < len(self._ids):
            raise Mismatch(f"should show ids that differ\n{expected}\nbut shows\n{shown}")

    def _pattern(self, expected: str) -> tuple[str, list[str]]:
        """What the output must match, and the ids of the page that its groups stand for."""
        pattern, end = "", 0
        ids: list[str] = []
        for token in _TOKEN.finditer(expected):
            pattern += re.escape("".join(expected[end : token.start()].split()))
            end = token.end()
            kind, text = str(token.lastgroup), token[0]
            if kind in _MAY_DIFFER:
                pattern += _MAY_DIFFER[kind][1]
            elif text in self._ids:
                pattern += re.escape(self._ids[text])
            elif text in ids:
                pattern += rf"(?:\{ids.index(text) + 1})"
            else:
                ids.append(text)
                pattern += f"({_IDS[kind]})"
        return pattern + re.escape("".join(expected[end:].split())), ids
