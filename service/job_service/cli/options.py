"""The options of the command line: one for each setting, made from what `Settings` says of it."""

from collections.abc import Iterator
from dataclasses import Field, fields
from typing import Any, Literal, get_args, get_origin

import click

from job_service.cli.byte_sizes import in_mib, read_bytes
from job_service.environment import is_address_by_kubernetes
from job_service.settings import Settings


def options() -> Iterator[click.Option]:
    """The options of a service, in the order of the settings."""
    for setting in fields(Settings):
        if setting.name == "tokens":
            meaning = "Bearer token of clients, or NAME ROLE TOKEN; several with commas between."
            yield click.Option(["--token"], help=meaning)
        else:
            kind, meaning, *_ = get_args(setting.type)
            yield click.Option(
                [f"--{setting.name.replace('_', '-')}"], help=meaning, **_reading(setting, kind)
            )


class _Port(click.types.IntParamType):
    """A number; for what Kubernetes puts in its place, an error with a hint."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Called by click."""
        if is_address_by_kubernetes(value):
            self.fail(
                f"{value!r} comes from Kubernetes, for a Service that is called job-service: "
                "give that another name, or set enableServiceLinks to false in the pod"
            )
        return super().convert(value, param, ctx)


def _reading(setting: Field[Any], kind: Any) -> dict[str, Any]:
    """How click is to read a setting of this kind, and what it shows of it."""
    default: Any = setting.default
    if setting.name == "port":
        return {"type": _Port(), "default": default}
    if setting.name == "store":
        return {"default": default, "metavar": "memory|sqlite:PATH|postgresql://…"}
    if setting.name == "root_path":
        return {"default": default, "show_default": False, "metavar": "PATH"}
    if setting.name.endswith("_bytes"):
        return {"callback": read_bytes, "default": in_mib(default), "metavar": "BYTES"}
    if kind is bool:
        return {"is_flag": True}
    if kind == str | None:
        return {"metavar": "PATH"}
    if kind == float | None:
        return {"type": float}
    if get_origin(kind) is Literal:
        return {"type": click.Choice(get_args(kind)), "default": default}
    if get_origin(kind) is tuple:
        metavar = f"{setting.name.removeprefix('allow_').upper()},…"
        return {"callback": _read_names, "default": "", "show_default": False, "metavar": metavar}
    return {"type": kind, "default": default}


def _read_names(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in text.split(",") if name.strip())
