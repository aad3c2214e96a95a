"""What each of these commands has: its service, how it is to print, and what its errors mean."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any, Final

import click
from msgspec import json

from job_service.access.tokens import strongest
from job_service.client import JobClient
from job_service.environment import URL_VARIABLE
from job_service.errors import (
    InvalidOption,
    InvalidPayload,
    JobServiceError,
    SettingsError,
    UnknownJobType,
    UnknownSchedule,
    Unreachable,
)
from job_service.process.standard_streams import print_error
from job_service.service_url import service_url
from job_service.settings import Settings
from job_service.telemetry.text import escaped
from job_service.terminal.signals import ended_by_signals

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

_TYPED_WRONG: Final = (InvalidOption, InvalidPayload, UnknownJobType, UnknownSchedule)
_PATIENCE_SECONDS: Final = 2.0  # for who sits at a terminal
_RESTART_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """A client of the service, and whether programs are to read what is printed.

    `lasting` is a client that has patience enough for a restart of the service.
    """

    client: JobClient
    lasting: JobClient
    as_json: bool

    def reached(self) -> JobClient:
        """The lasting client, if the service answers now. Raises Unreachable soon if not."""
        self.client.metrics()
        return self.lasting

    def tell(self, answer: object, words: str) -> None:
        """Print what the service has answered, or for people these words."""
        if self.as_json:
            self.print_json(answer)
        else:
            click.echo(words)

    def print_json(self, value: object) -> None:
        """Print one line of JSON, which may come from anybody and go to a terminal all the same."""
        click.echo(escaped(json.encode(value)))


def status_of(error: JobServiceError) -> int:
    """The exit status that tells of this error.

    1: the service refuses. 2: what was typed can't be. 3: no service answers.
    """
    if isinstance(error, Unreachable):
        return UNREACHABLE
    return USAGE if isinstance(error, _TYPED_WRONG) else FAILED


def asks_service(command: Callable[..., int]) -> Callable[..., int]:
    """Let a command ask the service that its options name. It takes a Session and gives a status.

    1: a job has failed, or the service refuses. 2: what was typed can't be. 3: no service answers.
    """

    @click.option("--url", envvar=URL_VARIABLE, help="Where the service is, or unix:PATH.")
    @click.option("--token", help="Bearer token to send.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")
    @click.pass_obj
    def run(
        settings: Settings, /, url: str | None, token: str | None, as_json: bool, **given: Any
    ) -> int:
        with ended_by_signals():
            try:
                client_with = partial(
                    JobClient,
                    url or service_url(settings),
                    token=token or strongest(settings.accepted_tokens),
                )
                with (
                    client_with(patience_seconds=_PATIENCE_SECONDS) as client,
                    client_with(patience_seconds=_RESTART_SECONDS) as lasting,
                ):
                    return command(Session(client, lasting, as_json), **given)
            except SettingsError:
                raise  # the command line knows the name of the option
            except JobServiceError as error:
                print_error(str(error))
                return status_of(error)

    return update_wrapper(run, command)
