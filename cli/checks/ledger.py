"""The ledger: whether its database can be reached and holds what this version expects."""

import asyncio
import os

from sqlalchemy import inspect
from sqlalchemy.engine import URL as Address
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cli.checks.finding import Finding, missing, ok, unknown
from shared.cluster import Cluster
from shared.errors import Refused, RetryLater
from shared.metering.ledger import URL
from shared.metering.migrate import check_known
from shared.metering.sql import engine_for, transaction
from shared.metering.tables import metadata

SUBJECT = "ledger"
PATIENCE = 8.0
FIX = f"check {URL}, and that the database is up"


async def look(_: Cluster) -> list[Finding]:
    said = os.environ.get(URL)
    if not said:
        fix = f"to try it from here, set {URL}"
        return [unknown(SUBJECT, f"{URL} is not set: which database the functions use is not known here", fix)]
    return [await tried(said)]


async def tried(said: str) -> Finding:
    try:
        url = make_url(said)
        engine = engine_for(url.render_as_string(hide_password=False))
    except (ArgumentError, ImportError, ValueError):
        return missing(
            SUBJECT, f"{URL} can't be understood", "sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER@HOST/NAME"
        )
    try:
        async with asyncio.timeout(PATIENCE), transaction(engine, reading=True) as connection:
            there = set(await connection.run_sync(lambda found: inspect(found).get_table_names()))
            await connection.run_sync(check_known)
    except Refused as refusal:
        return missing(SUBJECT, *str(refusal).rsplit("; ", 1))
    except (RetryLater, SQLAlchemyError, OSError, TimeoutError) as error:
        return missing(SUBJECT, f"{shown(url)} can't be reached: {why(error, url)}", FIX)
    finally:
        await engine.dispose()
    return judged(shown(url), there, set(metadata.tables))


def judged(where: str, there: set[str], wanted: set[str]) -> Finding:
    if lacking := sorted(wanted - there):
        fix = "its tables are made by the functions that write it: are they up?"
        return missing(SUBJECT, f"{where} has no table {', '.join(lacking)}", fix)
    return ok(SUBJECT, f"{where} can be read")


def shown(url: Address) -> str:
    """Where it is, and nothing that may be secret."""
    host = f"{url.host}:{url.port}" if url.port else url.host or ""
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def why(error: BaseException, url: Address) -> str:
    text = str(error.__cause__ or error) or type(error).__name__
    return text.replace(str(url.password), "***").splitlines()[0] if url.password else text.splitlines()[0]
