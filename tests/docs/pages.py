"""What a page of the documentation consists of: blocks, code spans, tables, links and anchors."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "service" / "docs"
EXAMPLES = DOCS / "examples"
README = ROOT / "README.md"

_BLOCK = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is the content of, if any, and its text."""

    language: str
    title: str | None
    text: str
    line: int


class Page:
    """One page, taken apart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text("utf-8")

    @property
    def name(self) -> str:
        """How tests call it: as its folder, if it is about one."""
        is_of_folder = self.path.stem == README.stem and self.path != README
        return self.path.parent.name if is_of_folder else self.path.stem

    @property
    def is_example(self) -> bool:
        """Whether it tells of the files in its folder."""
        return self.path.parent.parent == EXAMPLES

    @cached_property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in their order."""
        found = []
        for match in _BLOCK.finditer(self.text):
            language, attributes, text = match.groups()
            title = _TITLE.search(attributes)
            line = self.text.count("\n", 0, match.start()) + 1
            found.append(Block(language or "", title and title[1], text, line))
        return found

    @cached_property
    def prose(self) -> str:
        """The page without its blocks."""
        return _BLOCK.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        """All that is set as code within the prose."""
        return [" ".join(match[2].split()) for match in _SPAN.finditer(self.prose)]

    @cached_property
    def links(self) -> list[str]:
        """The targets of its links and pictures."""
        return _LINK.findall(_SPAN.sub("", self.prose))

    @cached_property
    def anchors(self) -> set[str]:
        """The names of its headings in links, as hosting sites make them."""
        seen: Counter[str] = Counter()
        anchors = set()
        for heading in _HEADING.findall(self.prose):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return anchors

    def table(self, first_header: str) -> list[list[str]]:
        """The rows of all tables whose first column has this header, cell by cell."""
        rows: list[list[str]] = []
        within = False
        for line in self.prose.splitlines():
            if not line.startswith("|"):
                within = False
                continue
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if cells[0] == first_header:
                within = True
            elif within and not set(cells[0]) <= set(":- "):
                rows.append(cells)
        return rows


def pages() -> list[Page]:
    """The README, all pages of the documentation, and those of its examples."""
    of_examples = sorted(EXAMPLES.rglob("README.md"))
    return [Page(path) for path in [README, *sorted(DOCS.glob("*.md")), *of_examples]]


def code_in(cell: str) -> list[str]:
    """What is set as code in a cell of a table, word by word."""
    return [word for _, text in _SPAN.findall(cell) for word in text.split()]
