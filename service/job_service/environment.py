"""Finds environment variables that look like settings of the service but are none."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

PREFIX: Final = "JOB_SERVICE_"
URL_VARIABLE: Final = f"{PREFIX}URL"  # of those who ask a service

# Kubernetes sets these in each container for a Service named job-service or job-service-….
_NAME_BY_KUBERNETES: Final = re.compile(
    PREFIX + r"(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_VALUE_BY_KUBERNETES: Final = re.compile(r"(tcp|udp|sctp)://.*")


def unknown_settings(environment: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """A warning for each variable with the prefix of the settings that is not in `known`.

    Without it, a misspelt variable would be ignored in silence. Those that Kubernetes sets are left
    out, because nobody has misspelt them.
    """
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in known and not _is_by_kubernetes(name, value):
            names = [other.removeprefix(PREFIX) for other in known]
            meant = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
            hint = f"did you mean {PREFIX}{meant[0]}?" if meant else "--help lists all options"
            yield f"{name} is not a setting, and is ignored: {hint}"


def is_address_by_kubernetes(value: object) -> bool:
    """Whether it is an address that Kubernetes sets in a variable, such as tcp://10.0.0.1:80."""
    return isinstance(value, str) and _VALUE_BY_KUBERNETES.fullmatch(value) is not None


def _is_by_kubernetes(name: str, value: str) -> bool:
    return _NAME_BY_KUBERNETES.fullmatch(name) is not None or is_address_by_kubernetes(value)
