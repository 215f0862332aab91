"""What is to be told of hours whose windows were written: noted in the transaction that wrote them.

A revision is claimed before its amounts leave the ledger, and a claimed one never changes: whatever is written
afterwards is another revision. So whoever is interrupted between telling and noting that it was told tells the same
again, with the same id.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, and_, case, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from events.base import event_id
from events.usage import Amount, UsageRecorded
from shared.metering.derive import HOUR_MS
from shared.metering.recording import NOBODY
from shared.metering.sql import insert, lines
from shared.metering.tables import GIGA, TENURE, metrics, tenures, told, totals
from shared.metering.times import HOUR, time_of

KEY = ("tenure", "hour_ms")


class Due(NamedTuple):
    """One hour of one tenure, to be told."""

    tenure: int
    hour_ms: int
    said: UsageRecorded

    @property
    def identity(self) -> str:
        whose = [getattr(self.said, name) for name in TENURE]
        return event_id(UsageRecorded.type, *whose, self.hour_ms, self.said.revision)


async def note(connection: AsyncConnection, changed: Iterable[tuple[int, int]]) -> None:
    """Tenures and hours; those of nobody are told to nobody."""
    rows = [(tenure, hour, 1, 0, 0) for tenure, hour in sorted(set(changed)) if tenure != NOBODY]
    if not rows:
        return
    names = (*KEY, "revision", "claimed", "sent")
    given = lines(connection.dialect.name, dict.fromkeys(names, BigInteger()), rows)
    add = insert(connection.dialect.name, told).from_select(list(names), select(given).where(true()))
    next_one = case((told.c.claimed >= told.c.revision, told.c.revision + 1), else_=told.c.revision)
    await connection.execute(add.on_conflict_do_update(index_elements=list(KEY), set_={"revision": next_one}))


async def claim(connection: AsyncConnection, limit: int) -> list[Due]:
    """The oldest of what was not told yet."""
    wanted = select(told.c.tenure, told.c.hour_ms, told.c.revision).where(told.c.sent < told.c.revision)
    wanted = wanted.order_by(told.c.hour_ms, told.c.tenure).limit(limit).with_for_update(skip_locked=True)
    rows = [(row.tenure, row.hour_ms, row.revision) for row in await connection.execute(wanted)]
    if not rows:
        return []
    given = lines(connection.dialect.name, dict.fromkeys(KEY, BigInteger()), [row[:2] for row in rows])
    these = select(told.c.tenure).where(told.c.tenure == given.c.tenure, told.c.hour_ms == given.c.hour_ms).exists()
    await connection.execute(told.update().where(these).values(claimed=told.c.revision))
    amounts = await _amounts(connection, rows)
    whose = {
        row.id: {name: getattr(row, name) for name in TENURE}
        for row in await connection.execute(select(tenures).where(tenures.c.id.in_({row[0] for row in rows})))
    }
    return [
        Due(
            tenure,
            hour,
            UsageRecorded(
                **whose[tenure],
                start=time_of(hour),
                end=time_of(hour + HOUR_MS),
                revision=revision,
                amounts=amounts.get((tenure, hour), []),
            ),
        )
        for tenure, hour, revision in rows
    ]


async def _amounts(
    connection: AsyncConnection, rows: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int], list[Amount]]:
    given = lines(connection.dialect.name, dict.fromkeys(KEY, BigInteger()), [row[:2] for row in rows])
    same = and_(totals.c.span == HOUR, totals.c.tenure == given.c.tenure, totals.c.start_ms == given.c.hour_ms)
    wanted = (
        select(totals, metrics.c.name, metrics.c.type)
        .join(given, same)
        .join(metrics, metrics.c.id == totals.c.metric)
        .order_by(metrics.c.name, metrics.c.type)
    )
    found: dict[tuple[int, int], list[Amount]] = {}
    for row in await connection.execute(wanted):
        amount = int(row.giga) * GIGA + int(row.units)
        if amount or row.gap_ms:
            one = Amount(metric=row.name, type=row.type, amount=amount, gap_ms=row.gap_ms)
            found.setdefault((row.tenure, row.start_ms), []).append(one)
    return found


async def sent(connection: AsyncConnection, these: Iterable[Due]) -> None:
    rows = sorted((due.tenure, due.hour_ms, due.said.revision) for due in these)
    names = (*KEY, "revision")
    given = lines(connection.dialect.name, dict.fromkeys(names, BigInteger()), rows)
    same = and_(told.c.tenure == given.c.tenure, told.c.hour_ms == given.c.hour_ms)
    revision = select(given.c.revision).where(same).scalar_subquery()
    newer = select(given.c.revision).where(same, given.c.revision > told.c.sent).exists()
    await connection.execute(told.update().where(newer).values(sent=revision))


async def forget(connection: AsyncConnection, before_ms: int) -> None:
    """Of hours that are final nothing more will be told."""
    await connection.execute(told.delete().where(told.c.hour_ms < before_ms, told.c.sent >= told.c.revision))
