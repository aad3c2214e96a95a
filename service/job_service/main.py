"""Reads the command line, and serves if that is what was asked for."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from job_service.cli.parser import UsageError, read_command_line
from job_service.process.ending import end_process
from job_service.process.standard_streams import print_error


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `job-service` and exit.

    The status is that of the command, or of `job_service.serving.serve`; or 2 if what was asked for
    can't be done.
    """
    try:
        command = read_command_line(arguments)
    except UsageError as error:
        print_error(str(error))
        sys.exit(2)
    from job_service.serving import serve  # which commands that serve nothing can spare

    end_process(serve(command))
