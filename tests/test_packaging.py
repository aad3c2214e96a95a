"""What somebody who installs the package is offered: the extras for users, and no tool of ours."""

from importlib.metadata import metadata, requires

TOOLS = "matplotlib", "mypy", "ruff", "import-linter", "pre-commit", "saq"


def test_only_the_extras_for_users_are_published() -> None:
    """Benches, the libraries they compare with and linters are dependency groups of a checkout."""
    assert metadata("trio-job-service").get_all("Provides-Extra") == ["postgres", "process", "test"]


def test_no_tool_of_a_checkout_is_asked_for() -> None:
    """Nor is it hidden in an extra."""
    wanted = requires("trio-job-service") or []
    assert [name for name in wanted if name.startswith(TOOLS)] == []
