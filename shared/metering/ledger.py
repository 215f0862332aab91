"""The ledger: readings and prices in SQL, on SQLite (embedded) or PostgreSQL (in a cluster), by one URL."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from events.readings import Reading, Subject
from shared.errors import Refused
from shared.metering import outbox, queries, recording, thinning, windows
from shared.metering.derive import MAX_GAP_MS
from shared.metering.invoice import Invoice, invoice
from shared.metering.migrate import migrate
from shared.metering.outbox import Due
from shared.metering.prices import Charge, Price, charged, periods
from shared.metering.queries import NodeUsage
from shared.metering.recording import Recorded
from shared.metering.sql import engine_for, transaction
from shared.metering.tables import dirty, readings
from shared.metering.times import full_hour, hour_of, ms_of, next_hour, time_of
from shared.metering.usage import Filter, Usage

URL = "CHANDLERY_LEDGER_URL"
SETTLE_MS = 5 * 60 * 1000  # an hour's windows are computed when its last readings had this long to come
AT_ONCE = 200  # subjects in one transaction
SERIES_AT_ONCE = 1000
LEAST_KEPT = timedelta(milliseconds=thinning.LEAST_KEPT_MS)


def _no_url() -> str:
    raise Refused("NoLedger", f"{URL} is not set; say sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER@HOST/NAME")


class Ledger:
    def __init__(self, engine: AsyncEngine, max_gap_ms: int = MAX_GAP_MS) -> None:
        self._engine = engine
        self._max_gap_ms = max_gap_ms

    @classmethod
    async def open(cls, url: str | None = None, max_gap_ms: int = MAX_GAP_MS) -> Self:
        """With its tables up to date. RetryLater while the database is away."""
        engine = engine_for(url or os.environ.get(URL) or _no_url())
        try:
            async with transaction(engine) as connection:
                await connection.run_sync(migrate)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine, max_gap_ms)

    @classmethod
    def at(cls, url: str) -> Self:
        """As it is, for who only reads: nothing is made or brought up to date."""
        return cls(engine_for(url))

    async def close(self) -> None:
        await self._engine.dispose()

    async def record(
        self, readings: Sequence[Reading], subjects: Sequence[Subject] = (), now: datetime | None = None
    ) -> Recorded:
        """All of it is in the ledger for good when this returns, and nothing if it raises. Again does no harm."""
        async with transaction(self._engine) as connection:
            return await recording.record(connection, readings, subjects, ms_of(now or datetime.now(UTC)))

    async def materialise(self, now: datetime | None = None) -> int:
        """Bring the windows of all hours that have passed up to their readings; how many subjects had changed."""
        until = hour_of(ms_of(now or datetime.now(UTC)) - SETTLE_MS)
        count = 0
        while picked := await self._materialise(until):
            count += picked
        return count

    async def _materialise(self, until_ms: int) -> int:
        async with transaction(self._engine) as connection:
            marks = await windows.pick(connection, until_ms, self._max_gap_ms, AT_ONCE)
            if marks:
                computed = await windows.compute(connection, marks, until_ms, self._max_gap_ms)
                await windows.write(connection, computed, marks, until_ms)
        return len(marks)

    async def untold(self, limit: int) -> list[Due]:
        """Hours that were written and not told in this revision yet; empty when all were."""
        async with transaction(self._engine) as connection:
            return await outbox.claim(connection, limit)

    async def told(self, these: Sequence[Due]) -> None:
        """Somebody has taken them."""
        async with transaction(self._engine) as connection:
            await outbox.sent(connection, these)

    async def usage(
        self, start: datetime, end: datetime, where: Filter | None = None, live: datetime | None = None
    ) -> list[Usage]:
        """From the windows; with `live`, readings that are in no window yet are derived on the fly, up to that time."""
        since, until = full_hour(start, "start"), full_hour(end, "end")
        async with transaction(self._engine, reading=True) as connection:
            found = await queries.usage(connection, since, until, where or {})
            if live is None:
                return found
            marks = await queries.marks(connection, where or {})
            computed = await windows.compute(connection, marks, next_hour(ms_of(live)), self._max_gap_ms)
            return await queries.corrected(connection, found, computed, since, until, where or {})

    async def readings(self) -> int:
        """How many there are."""
        async with transaction(self._engine, reading=True) as connection:
            return await connection.scalar(select(func.count()).select_from(readings)) or 0

    async def behind(self, end: datetime) -> int:
        """How many subjects have hours before `end` that are not in no window yet. An invoice waits for them."""
        until = ms_of(end)
        async with transaction(self._engine, reading=True) as connection:
            late = func.least if connection.dialect.name == "postgresql" else func.min
            first = late(
                func.coalesce(dirty.c.changed_from_ms, recording.FOREVER_MS),
                func.coalesce(dirty.c.hours_from_ms, recording.FOREVER_MS),
            )
            wanted = select(func.count()).select_from(dirty).where(first < until + self._max_gap_ms)
            return await connection.scalar(wanted) or 0

    async def thin(self, keep: timedelta, now: datetime | None = None) -> int:
        """Of readings older than `keep` only the first and the last of each hour stay; how many went."""
        if keep < LEAST_KEPT:
            raise Refused("InvalidPeriod", f"keep: {keep} is too short; late readings need {LEAST_KEPT} at least")
        async with transaction(self._engine) as connection:
            sealed = await thinning.seal(connection, hour_of(ms_of((now or datetime.now(UTC)) - keep)))
            last = await thinning.last_series(connection)
            await outbox.forget(connection, sealed)
        gone = 0
        for first in range(0, last + 1, SERIES_AT_ONCE):
            async with transaction(self._engine) as connection:
                gone += await thinning.thin(connection, sealed, first, first + SERIES_AT_ONCE - 1)
        return gone

    async def final(self) -> datetime:
        """Before it readings were thinned out, and no window changes any more."""
        async with transaction(self._engine, reading=True) as connection:
            return time_of(await recording.sealed(connection))

    async def note_prices(self, prices: Sequence[Price], now: datetime | None = None) -> int:
        """Prices that are new to the ledger; one that is in it can't be changed, only followed by another."""
        async with transaction(self._engine) as connection:
            return await queries.note_prices(connection, prices, ms_of(now or datetime.now(UTC)))

    async def prices(self) -> list[Price]:
        async with transaction(self._engine, reading=True) as connection:
            return await queries.prices(connection)

    async def by_node(self, start: datetime, end: datetime) -> list[NodeUsage]:
        """Who used what on which node, from the windows: what a node's cost is allocated by."""
        since, until = full_hour(start, "start"), full_hour(end, "end")
        async with transaction(self._engine, reading=True) as connection:
            return await queries.by_node(connection, since, until)

    async def charges(self, start: datetime, end: datetime, where: Filter | None = None) -> list[Charge]:
        """What was used, at the prices of its time."""
        since, until = full_hour(start, "start"), full_hour(end, "end")
        async with transaction(self._engine, reading=True) as connection:
            prices = await queries.prices(connection)
            used = [
                (period, await queries.usage(connection, *period, where or {}))
                for period in periods(prices, since, until)
            ]
        return charged(used, prices)

    async def invoice(self, consumer: str, start: datetime, end: datetime) -> Invoice:
        complete = not await self.behind(end)
        charges = await self.charges(start, end, {"consumer": [consumer]})
        return invoice(consumer, start, end, charges, complete)
