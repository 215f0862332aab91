"""Which ledger the reports read: $CHANDLERY_LEDGER_URL, or the local stack's. Passwords never stand in what is said."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from os import environ
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from shared.errors import Refused, RetryLater
from shared.metering import ledger as metering
from shared.metering.ledger import Ledger

T = TypeVar("T")

Where = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help=f"The ledger's URL: postgresql://USER@HOST/NAME or sqlite:///PATH. Default: ${metering.URL} (better for"
        " one with a password), or the local stack's.",
        show_default=False,
    ),
]

DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
FIX = f"say it with --ledger or ${metering.URL}: postgresql://USER@HOST/NAME or sqlite:///PATH"


def url_of(said: str | None, environment: Mapping[str, str]) -> URL:
    """Raises Refused without what was said: it may hold a password."""
    local = Path(environment.get("LOCAL") or ".local") / "ledger.db"
    try:
        found = make_url(said or environment.get(metering.URL) or f"sqlite:///{local}")
    except (ArgumentError, ValueError):
        raise Refused("NoLedger", f"the ledger's URL can't be understood; {FIX}") from None
    found = found.set(drivername=DRIVERS.get(found.drivername, found.drivername))
    if found.drivername not in DRIVERS.values():
        raise Refused("NoLedger", f"the ledger's URL: there is no ledger on {found.drivername[:40]}; {FIX}")
    if found.drivername == DRIVERS["sqlite"] and not Path(found.database or "").is_file():
        raise Refused("NoLedger", f"there is no ledger in {found.database}: is the stack up (`make up`)? If not, {FIX}")
    return found


def shown(url: URL) -> str:
    """Without anything that may be secret."""
    host = f"{url.host}:{url.port}" if url.port else url.host or ""
    return f"{url.drivername.partition('+')[0]}://{host}/{url.database or ''}"


def secrets_of(url: URL) -> list[str]:
    given = [str(each) for values in url.normalized_query.values() for each in values]
    return sorted((each for each in (str(url.password or ""), *given) if each), key=len, reverse=True)


def scrubbed(text: str, url: URL) -> str:
    for secret in secrets_of(url):
        text = text.replace(secret, "***")
    return text


def read(said: str | None, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """It is read as it is: its tables are made by whoever writes it."""
    url = url_of(said, environ)

    async def session() -> T:
        ledger = Ledger.at(url.render_as_string(hide_password=False))
        try:
            return await work(ledger)
        finally:
            await ledger.close()

    try:
        return asyncio.run(session())
    except (RetryLater, SQLAlchemyError, OSError) as error:
        why = scrubbed(str(error.__cause__ or error), url).splitlines()[0]
        raise Refused("NoLedger", f"the ledger at {shown(url)} can't be read: {why}; {FIX}") from None
