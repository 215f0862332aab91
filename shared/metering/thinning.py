"""Old readings thinned out, once their windows are final: the first and the last of each hour stay."""

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import RetryLater
from shared.metering.derive import HOUR_MS, REACH_MS
from shared.metering.recording import SEALED
from shared.metering.tables import dirty, readings, series, state

LEAST_KEPT_MS = REACH_MS + 24 * HOUR_MS


async def seal(connection: AsyncConnection, before_ms: int) -> int:
    """From now on no window before it changes: whatever is read as late as REACH_MS after it can still reach it.

    Recording waits meanwhile, so that nothing slips in between.
    """
    row = select(state.c.value).where(state.c.name == SEALED).with_for_update()
    sealed = await connection.scalar(row) or 0
    border = before_ms + REACH_MS
    behind = or_(dirty.c.changed_from_ms < border, dirty.c.hours_from_ms < border)
    if await connection.scalar(select(func.count()).select_from(dirty).where(behind)):
        raise RetryLater("readings can't be thinned out yet: there are windows to be computed from them", 60)
    if before_ms > sealed:
        await connection.execute(state.update().where(state.c.name == SEALED).values(value=before_ms))
    return max(sealed, before_ms)


async def last_series(connection: AsyncConnection) -> int:
    return await connection.scalar(select(func.max(series.c.id))) or 0


async def thin(connection: AsyncConnection, sealed_ms: int, first: int, last: int) -> int:
    """Of the series from `first` to `last`. How many readings went."""
    other = readings.alias()
    hour = readings.c.at_ms - readings.c.at_ms % HOUR_MS
    same = other.c.series == readings.c.series
    earlier = exists().where(same, other.c.at_ms < readings.c.at_ms, other.c.at_ms >= hour)
    later = exists().where(same, other.c.at_ms > readings.c.at_ms, other.c.at_ms < hour + HOUR_MS)
    which = readings.c.series.between(first, last)
    gone = await connection.execute(readings.delete().where(which, readings.c.at_ms < sealed_ms, earlier, later))
    return gone.rowcount
