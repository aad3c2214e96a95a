"""The command `migrate`: makes the tables of a database, or brings them up to date."""

import sys

import psycopg
import trio

from job_service.errors import StoreRefused
from job_service.failures.report import describe
from job_service.process.standard_streams import print_error
from job_service.settings import Settings
from job_service.stores.location import PostgresLocation, parse_store
from job_service.stores.postgres.connection import connect
from job_service.stores.postgres.schema import VERSION, migrate, plan


def bring_up_to_date(settings: Settings, *, only_plan: bool) -> int:
    """Do it, or print the SQL that does it. Gives the exit status.

    The status is 0 if it is done, or nothing is to be done, and 2 if it is refused.
    """
    location = parse_store(settings.store)
    if not isinstance(location, PostgresLocation):
        print_error(f"--store {location}: only a PostgreSQL database is migrated by a command")
        return 2
    try:
        print(trio.run(_plan if only_plan else _migrate, location))  # noqa: T201 (it was asked for)
    except StoreRefused as error:
        print_error(str(error))
        return 2
    except psycopg.Error as error:
        print_error(f"can't use {location}: {describe(error)}")
        return 2
    sys.stdout.flush()
    return 0


async def _plan(location: PostgresLocation) -> str:
    async with await connect(location.url) as connection:
        steps = await plan(connection)
    if not steps:
        return f"-- {location} is up to date (version {VERSION})"
    return "\n".join(["BEGIN;", *steps, "COMMIT;"])


async def _migrate(location: PostgresLocation) -> str:
    async with await connect(location.url) as connection:
        before = await migrate(connection)
    if before == VERSION:
        return f"{location} is up to date (version {VERSION})"
    return f"{location}: from version {before} to {VERSION}"
