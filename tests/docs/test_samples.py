"""Each sample of the pages works at the first try."""

import ast
import json
import tomllib
from importlib import import_module
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from tests.docs.pages import README, Block, Page, pages
from tests.docs.terminal import Terminal

yaml: Any = import_module("yaml")  # which comes with schemathesis, and has no types

PAGES = pages()
AS_PAGES = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=() if page.path == README else pytest.mark.slow) for page in PAGES],
    ids=[page.name for page in PAGES],
)
def test_who_follows_a_page_sees_what_it_says(page: Page, tmp_path: Path) -> None:
    """Files are written, and commands given, in the order of the page; each does as it says."""
    samples = [block for block in page.blocks if block.title or block.language == "console"]
    with Terminal(tmp_path / page.name) as terminal:
        if page.is_example:
            for file in page.path.parent.glob("*.py"):
                copy(file, tmp_path / page.name)
        for block in samples:
            try:
                terminal.follow(block)
            except AssertionError as error:
                pytest.fail(f"{page.path.name}, line {block.line}:\n{error}", pytrace=False)


@AS_PAGES
def test_what_is_shown_and_not_run_can_be_read(page: Page) -> None:
    """Python, JSON, YAML and TOML is well-formed, in files and out of them."""
    for block in page.blocks:
        try:
            _read(block)
        except (SyntaxError, ValueError, yaml.YAMLError) as error:
            pytest.fail(f"{page.path.name}, line {block.line}: {error}", pytrace=False)


def _read(block: Block) -> None:
    match block.language:
        case "python":
            compile(block.text, "sample", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        case "json":
            try:
                json.loads(block.text)
            except ValueError:  # lines of the log
                for line in block.text.splitlines():
                    json.loads(line)
        case "yaml":
            list(yaml.safe_load_all(block.text))
        case "toml":
            tomllib.loads(block.text)


@AS_PAGES
def test_links_lead_somewhere(page: Page) -> None:
    """A link within the project leads to a file that is there, and to a heading in it."""
    for link in page.links:
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{page.path.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in Page(target).anchors, f"{page.path.name}: {link}"


def test_the_readme_is_among_the_pages() -> None:
    """What the first reader sees is tried, too."""
    assert README in [page.path for page in PAGES]
