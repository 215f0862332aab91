"""A ledger that the release before this one left behind: tests/golden/previous/make.py says how it was made."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from cli.checks.finding import Finding
from cli.checks.ledger import tried
from events.readings import CPU, Reading
from knative.local.layout import REPOSITORY
from shared.errors import Refused
from shared.metering.ledger import Ledger
from shared.metering.migrate import config
from shared.metering.sql import engine_for, transaction
from shared.metering.tables import metadata

PREVIOUS = REPOSITORY / "tests/golden/previous"
START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(hours=6)
REVISION = (
    (PREVIOUS / "ledger.sql").read_text().partition('INSERT INTO "alembic_version" VALUES(\'')[2].partition("'")[0]
)


def rows() -> list[str]:
    """What was in it, after the tables that it refers to."""
    order = ("subjects", "tenures", "metrics", "series")
    found = [each for each in (PREVIOUS / "ledger.sql").read_text().splitlines() if each.startswith("INSERT")]
    rank = {f'"{name}"': place for place, name in enumerate(order)}
    return sorted(found, key=lambda each: rank.get(each.split()[2], len(order)))


def restored(connection: Connection) -> None:
    """On PostgreSQL: the tables by their migration, which no release changes."""
    command.upgrade(config(connection), REVISION)
    for each in rows():
        connection.execute(text(each.rstrip(";") + " ON CONFLICT DO NOTHING"))


@pytest.fixture
async def old(url: str) -> str:
    """Of the previous release; on SQLite as it was, to the letter."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.partition("///")[2])) as database:
            database.executescript((PREVIOUS / "ledger.sql").read_text())
        return url
    engine = engine_for(url)
    async with transaction(engine) as connection:
        await connection.run_sync(restored)
    await engine.dispose()
    return url


async def test_an_old_ledger_has_the_tables_of_now_and_the_same_invoice(old: str) -> None:
    ledger = await Ledger.open(old)
    engine = engine_for(old)
    async with transaction(engine, reading=True) as connection:
        differing = await connection.run_sync(
            lambda found: compare_metadata(MigrationContext.configure(found), metadata)
        )
    await engine.dispose()
    assert differing == []
    assert await ledger.readings() == 92
    assert repr(await ledger.invoice("team-a", START, END)) == (PREVIOUS / "invoice.txt").read_text().strip()
    await ledger.close()


async def test_an_old_ledger_goes_on_where_it_was(old: str) -> None:
    """The windows it comes to from its old readings and a new one are those of one ledger."""
    ledger = await Ledger.open(old)
    before = {each.metric: each.amount for each in await ledger.usage(START, END)}
    at = START + timedelta(minutes=92)
    value = 250_000_000 * 92 * 60
    await ledger.record([Reading(subject="pod-1", kind="pod", metric=CPU, at=at, value=value)], now=END)
    assert await ledger.materialise(END) == 1
    after = {each.metric: each.amount for each in await ledger.usage(START, END)}
    await ledger.close()
    assert after == before | {CPU: before[CPU] + 250_000_000 * 120}


async def test_a_ledger_of_a_newer_release_is_not_touched(url: str) -> None:
    await (await Ledger.open(url)).close()
    engine = engine_for(url)
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(Refused) as refused:
        await Ledger.open(url)
    message = (
        "the ledger was migrated by a newer Chandlery: its tables are at 9999, this version knows them up to 0002; "
        "run the newer version again, or restore the ledger's backup from before the upgrade"
    )
    assert (refused.value.reason, refused.value.message) == ("LedgerNewer", message)
    assert await tried(url) == Finding("ledger", "missing", *message.rsplit("; ", 1))
