"""Errors that are broken, lie or loop; here, because processes must be able to import them."""

from collections.abc import Callable
from typing import Any

from job_service import JobContext


class AnyName(Exception):
    """Raises KeyError for each missing attribute."""

    def __getattr__(self, name: str) -> Any:
        data: dict[str, Any] = {}
        return data[name]


class NoNotes(Exception):
    """Its notes raise."""

    @property
    def __notes__(self) -> Any:  # type: ignore[override]  # as it should not be
        raise SystemExit("no notes")


class NoTruth(Exception):
    """Is neither true nor false."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


class Lies(Exception):
    """Claims to be a KeyboardInterrupt."""

    @property  # type: ignore[misc]  # as it should not be
    def __class__(self) -> type:
        """What it claims to be."""
        return KeyboardInterrupt


class Denies(Exception):
    """Raises when it is asked for its class."""

    @property  # type: ignore[misc]  # as it should not be
    def __class__(self) -> type:
        """What it claims to be."""
        raise LookupError("who knows")


class AlwaysAnother(Exception):
    """Always has another cause."""

    @property
    def __context__(self) -> Any:  # type: ignore[override]  # as it should not be
        return AlwaysAnother()

    @property
    def __cause__(self) -> Any:  # type: ignore[override]  # as it should not be
        return AlwaysAnother()


class Tricky(type):
    """A metaclass that plays tricks."""

    def __getattribute__(cls, name: str) -> Any:
        raise MemoryError(name)

    def __instancecheck__(cls, other: object) -> bool:
        raise MemoryError

    def __eq__(cls, other: object) -> bool:
        raise MemoryError

    __hash__ = type.__hash__


class OfTricky(Exception, metaclass=Tricky):
    """An error of such a class."""


class OddText(str):
    """A text that can't be used."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        raise OverflowError

    def __getitem__(self, _: Any) -> str:
        raise OverflowError

    def __len__(self) -> int:
        raise OverflowError


class OddlySaid(Exception):
    """Says something that can't be used."""

    def __str__(self) -> str:
        return OddText("odd")


class HidesAll(ExceptionGroup[Exception]):
    """A group that does not tell what it holds."""

    def __getattribute__(self, name: str) -> Any:
        if name == "exceptions":
            raise KeyError(name)
        return super().__getattribute__(name)


class HoldsOthers(ExceptionGroup[Exception]):
    """A group that says it holds something else."""

    exceptions: Any = property(lambda _: [5, KeyboardInterrupt()])


def of_module(module: Any) -> Exception:
    """An error of a class from nowhere."""

    class Nowhere(Exception):
        """Its module is no text."""

    Nowhere.__module__ = module
    return Nowhere("odd")


def in_a_circle() -> Exception:
    """Each of two has led to the other."""
    one, other = ValueError("one"), TypeError("other")
    one.__cause__, other.__cause__ = other, one
    one.__context__, other.__context__ = other, one
    return one


def doubled() -> Exception:
    """A group that is in the next twice, and so on."""
    error: Exception = ValueError("in the middle")
    for _ in range(60):
        error = ExceptionGroup("g", [error, error])
    return error


def oddly_noted() -> Exception:
    """Its notes are no list of texts."""
    error = ValueError("noted")
    error.__notes__ = OddText("note")  # type: ignore[assignment]  # as it should not be
    return error


ODD: dict[str, Callable[[], Exception]] = {
    "any_name": AnyName,
    "no_notes": NoNotes,
    "no_truth": NoTruth,
    "lies": Lies,
    "denies": Denies,
    "always_another": AlwaysAnother,
    "tricky": OfTricky,
    "oddly_said": OddlySaid,
    "odd_argument": lambda: ValueError(OddText("odd")),
    "odd_arguments": lambda: KeyError(OddText("odd"), [OddText("odd")]),
    "oddly_noted": oddly_noted,
    "hides": lambda: HidesAll("g", [ValueError("inside")]),
    "holds_others": lambda: HoldsOthers("g", [ValueError("inside")]),
    "no_module": lambda: of_module(None),
    "module_5": lambda: of_module(5),
    "odd_module": lambda: of_module(OddText("odd")),
    "circle": in_a_circle,
    "doubled": doubled,
}


def make_odd(which: str) -> Exception:
    """One of them."""
    return ODD[which]()


async def raises_on_the_loop(which: str) -> None:
    """Just there."""
    raise make_odd(which)


def raises(which: str) -> None:
    """In a thread or a process."""
    raise make_odd(which)


def logs(which: str, job: JobContext) -> None:
    """Does not fail, but says what went wrong."""
    try:
        raise make_odd(which)
    except Exception:
        job.log.exception("odd")
