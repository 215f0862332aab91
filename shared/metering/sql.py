"""What SQLite and PostgreSQL say differently."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ARRAY, Connection, Table, cast, event, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql import FromClause, Select
from sqlalchemy.types import TypeEngine

from shared.errors import RetryLater

WAIT_SECONDS = 30
READING = "chandlery_reading"  # a transaction that writes nothing: on SQLite it waits for no writer
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}  # as SQLite does in any case
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what was committed outlives a power cut, too
    f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
)
TRY_AGAIN = ("40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300")  # PostgreSQL's: conflicts, starts and stops


def engine_for(url: str) -> AsyncEngine:
    if url.startswith("postgresql"):
        return create_async_engine(url, pool_pre_ping=True, connect_args={"timeout": WAIT_SECONDS})
    engine = create_async_engine(url)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """The driver shall begin no transactions of its own: it would do so too late for a lock, and not for DDL."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@asynccontextmanager
async def transaction(engine: AsyncEngine, reading: bool = False) -> AsyncIterator[AsyncConnection]:
    """All or nothing. RetryLater when the database is away or busy: then it was nothing, or it may be done again."""
    try:
        async with engine.connect() as connection:
            snapshot = SNAPSHOT if reading and engine.dialect.name == "postgresql" else {}
            await connection.execution_options(**{READING: reading}, **snapshot)
            async with connection.begin():
                yield connection
    except (OSError, TimeoutError, OperationalError, InterfaceError) as error:
        raise RetryLater(f"the ledger's database can't be used: {error!r:.300}") from error
    except DBAPIError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in TRY_AGAIN:
            raise RetryLater(f"the ledger's database can't be used: {error!r:.300}") from error
        raise


def reads(connection: AsyncConnection) -> bool:
    """Whether it is a transaction that writes nothing. It may lock nothing either, and sees one state throughout."""
    return bool(connection.sync_connection and connection.sync_connection.get_execution_options().get(READING))


def insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def lines(dialect: str, columns: Mapping[str, TypeEngine[Any]], rows: Iterable[Sequence[Any]]) -> FromClause:
    """Rows as a table in a statement, however many: they are one parameter (or one per column)."""
    given = list(rows)
    return _unnested(columns, given) if dialect == "postgresql" else _each(columns, given).subquery()


def _unnested(columns: Mapping[str, TypeEngine[Any]], rows: list[Sequence[Any]]) -> FromClause:
    arrays = zip(*rows, strict=True) if rows else [[] for _ in columns]
    kinds = columns.values()
    bound = [cast(literal(list(array), ARRAY(kind)), ARRAY(kind)) for array, kind in zip(arrays, kinds, strict=True)]
    return func.unnest(*bound).table_valued(*columns).render_derived()


def _each(columns: Mapping[str, TypeEngine[Any]], rows: list[Sequence[Any]]) -> Select[Any]:
    row = func.json_each(json.dumps(rows)).table_valued("value").c.value
    return select(
        *(
            func.json_extract(row, f"$[{index}]", type_=kind).label(name)
            for index, (name, kind) in enumerate(columns.items())
        )
    )
