"""Reads signatures whose annotations may name what does not exist, or only type checkers import.

From Python 3.14 on, annotations are evaluated when they are first read, and not before.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

if sys.version_info >= (3, 14):
    from annotationlib import Format, get_annotations

    def signature_of(function: Callable[..., Any]) -> inspect.Signature:
        """Its signature, with a forward reference for each annotation that can't be evaluated."""
        return inspect.signature(function, annotation_format=Format.FORWARDREF)

    def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
        """Its annotations, with a forward reference for each that can't be evaluated."""
        return get_annotations(function, format=Format.FORWARDREF)

else:

    def signature_of(function: Callable[..., Any]) -> inspect.Signature:
        """Its signature, with its annotations as they were written or evaluated."""
        return inspect.signature(function)

    def annotations_of(function: Callable[..., Any]) -> Mapping[str, Any]:
        """Its annotations, as they were written or evaluated."""
        return getattr(function, "__annotations__", {})
