"""The names of schemas, of which generated clients make the names of their classes."""

import re
from itertools import chain, count
from typing import Any


def take_name(wanted: str, taken: set[str]) -> str:
    """A name made of the words of `wanted`, such as `CountWords` of `count_words`.

    It gets a number if another has it, because a generator makes one class of each. `taken` has the
    names that there are, in small letters, and then this one too.
    """
    words = re.findall(r"[A-Za-z0-9]+", wanted)
    name = "".join(word[0].upper() + word[1:] for word in words) or "Payload"
    numbered = (f"{name}{number}" for number in count(2))
    free = next(each for each in chain([name], numbered) if each.lower() not in taken)
    taken.add(free.lower())
    return free


def rename(value: Any, names: dict[str, str]) -> Any:
    """A schema, or a part of one, with its references as `names` has them."""
    if isinstance(value, dict):
        return {key: rename(member, names) for key, member in value.items()}
    if isinstance(value, list):
        return [rename(member, names) for member in value]
    return names.get(value, value) if isinstance(value, str) else value
