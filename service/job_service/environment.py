"""Tells which variables of the environment look like settings of the service and are none."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

PREFIX: Final = "JOB_SERVICE_"

# Kubernetes sets such in each container for a Service that is called job-service, or job-service-….
_NAME_BY_KUBERNETES: Final = re.compile(
    PREFIX + r"(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_VALUE_BY_KUBERNETES: Final = re.compile(r"(tcp|udp|sctp)://.*")


def unknown_settings(environment: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """A line for each variable that has the prefix of the known ones, and is none of them.

    A misspelt one would otherwise be ignored in silence. What Kubernetes sets is nobody's mistake.
    """
    for name, value in environment.items():
        if name.startswith(PREFIX) and name not in known and not _is_by_kubernetes(name, value):
            names = [other.removeprefix(PREFIX) for other in known]
            meant = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
            hint = f"did you mean {PREFIX}{meant[0]}?" if meant else "--help names all options"
            yield f"{name} is no setting, and is ignored: {hint}"


def is_address_by_kubernetes(value: object) -> bool:
    """Whether a variable has this value, such as tcp://10.0.0.1:80, from Kubernetes."""
    return isinstance(value, str) and _VALUE_BY_KUBERNETES.fullmatch(value) is not None


def _is_by_kubernetes(name: str, value: str) -> bool:
    return _NAME_BY_KUBERNETES.fullmatch(name) is not None or is_address_by_kubernetes(value)
