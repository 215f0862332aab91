"""Hours, days and months, brought up to their readings: computed again from them wherever a mark says so.

Whatever was interrupted is marked still: marks go in the transaction that writes what they asked for.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, and_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from events.readings import Type
from shared.metering import outbox
from shared.metering.derive import HOUR_MS, REACH_MS, Series, flows, gaps, windowed
from shared.metering.recording import FOREVER_MS, NOBODY, sealed
from shared.metering.sql import insert, lines
from shared.metering.tables import GIGA, dirty, metrics, readings, seen, series, starts, subjects, totals, windows
from shared.metering.times import DAY, HOUR, MONTH, day_of, hour_of, month_of, next_hour

Points = list[tuple[int, int]]


class Mark(NamedTuple):
    subject: int
    changed_from_ms: int | None
    changed_to_ms: int | None
    hours_from_ms: int | None


class Edge(NamedTuple):
    """One series of a marked subject: its readings next to the change, and its last one."""

    series: int
    subject: int
    metric: int
    type: Type
    previous_ms: int | None
    next_ms: int | None
    last_ms: int | None


@dataclass
class Life:
    """What is known of one subject besides its readings."""

    starts_ms: list[int] = field(default_factory=list)
    ended_ms: int | None = None
    tenures: list[tuple[int, int]] = field(default_factory=list)

    def tenure_in(self, hour_ms: int) -> int:
        """The one seen last until then; before any was seen, the first."""
        index = bisect_right(self.tenures, (hour_ms, FOREVER_MS))
        return self.tenures[max(0, index - 1)][1] if self.tenures else NOBODY


class Hours(NamedTuple):
    """Which hours of a subject to compute, and whether some are left for when they have passed."""

    start_ms: int
    end_ms: int
    more: bool


class Window(NamedTuple):
    tenure: int
    amount: int
    gap_ms: int


Key = tuple[int, int, int]  # subject, hour, metric


@dataclass
class Computed:
    hours: dict[int, Hours]
    new: dict[Key, Window]
    old: dict[Key, Window]

    def changes(self) -> dict[tuple[int, int, int], tuple[int, int]]:
        """By hour, tenure and metric: what to add to the sums of windows."""
        found: dict[tuple[int, int, int], tuple[int, int]] = {}
        for sign, side in ((1, self.new), (-1, self.old)):
            for (_, hour, metric), window in side.items():
                key = (hour, window.tenure, metric)
                amount, gap = found.get(key, (0, 0))
                found[key] = (amount + sign * window.amount, gap + sign * window.gap_ms)
        return {key: change for key, change in found.items() if change != (0, 0)}


def hours_of(mark: Mark, edges: Sequence[Edge], life: Life, sealed_ms: int, until_ms: int) -> Hours:
    """All hours that a change between two times can have touched: back to the reading before, on to the one after."""
    lows, highs = [], []
    if mark.hours_from_ms is not None:
        lows.append(mark.hours_from_ms)
        highs.append(FOREVER_MS)
    if mark.changed_from_ms is not None and mark.changed_to_ms is not None:
        for edge in edges:
            lows.append(_low(edge, mark.changed_from_ms, life))
            highs.append(edge.next_ms or max(mark.changed_to_ms, life.ended_ms or 0) + 1)
    start, high = max(sealed_ms, hour_of(min(lows, default=0))), max(highs, default=0)
    last = max([life.ended_ms or 0, *(edge.last_ms or 0 for edge in edges)])
    return Hours(start, min(next_hour(high), until_ms), high > until_ms and last >= until_ms)


def _low(edge: Edge, changed_from_ms: int, life: Life) -> int:
    if edge.previous_ms is not None:
        return edge.previous_ms
    started = min([changed_from_ms, *life.starts_ms])
    return max(started, changed_from_ms - REACH_MS, 0)


def hourly(found: Series, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, int]]:
    """Hour, amount and gap."""
    amounts, missing = windowed(flows(found), HOUR_MS), windowed(gaps(found), HOUR_MS)
    for hour in amounts.keys() | missing.keys():
        if start_ms <= hour < end_ms:
            yield hour, amounts.get(hour, 0), missing.get(hour, 0)


async def pick(connection: AsyncConnection, until_ms: int, border_ms: int, limit: int | None) -> list[Mark]:
    """Marks that ask for hours before `until_ms`, or for their last readings; locked, where several may pick."""
    due = or_(dirty.c.hours_from_ms < until_ms, dirty.c.changed_from_ms <= until_ms + border_ms)
    wanted = select(dirty).where(due).order_by(dirty.c.subject).limit(limit)
    return [Mark(*row) for row in await connection.execute(wanted.with_for_update(skip_locked=True))]


async def compute(connection: AsyncConnection, marks: list[Mark], until_ms: int, max_gap_ms: int) -> Computed:
    edges: dict[int, list[Edge]] = {mark.subject: [] for mark in marks}
    for edge in await _edges(connection, marks):
        edges[edge.subject].append(edge)
    lives = await _lives(connection, list(edges))
    final = await sealed(connection)
    hours = {mark.subject: hours_of(mark, edges[mark.subject], lives[mark.subject], final, until_ms) for mark in marks}
    real = {subject: found for subject, found in hours.items() if found.start_ms < found.end_ms}
    await _see(connection, lives, real)
    wanted = [edge for subject in real for edge in edges[subject]]
    points = await _points(connection, wanted, real)
    new: dict[Key, Window] = {}
    for edge in wanted:
        life, (start, end, _) = lives[edge.subject], real[edge.subject]
        found = Series(edge.type, points.get(edge.series, []), life.starts_ms, life.ended_ms, max_gap_ms)
        for hour, amount, gap in hourly(found, start, end):
            new[edge.subject, hour, edge.metric] = Window(life.tenure_in(hour), amount, gap)
    return Computed(hours, new, await _windows(connection, real))


async def _edges(connection: AsyncConnection, marks: list[Mark]) -> list[Edge]:
    rows = [(mark.subject, mark.changed_from_ms or 0, mark.changed_to_ms or FOREVER_MS) for mark in marks]
    given = _lines(connection, ("subject", "low", "high"), rows)
    columns = (series.c.id, series.c.subject, series.c.metric, metrics.c.type)
    near = (
        _nearest(func.max, readings.c.at_ms < given.c.low),
        _nearest(func.min, readings.c.at_ms > given.c.high),
        _nearest(func.max, true()),
    )
    found = (
        select(*columns, *near)
        .join(given, given.c.subject == series.c.subject)
        .join(metrics, metrics.c.id == series.c.metric)
    )
    return [Edge(*row) for row in await connection.execute(found)]


def _nearest(which: Any, where: Any) -> Any:
    return select(which(readings.c.at_ms)).where(readings.c.series == series.c.id, where).scalar_subquery()


async def _lives(connection: AsyncConnection, ids: list[int]) -> dict[int, Life]:
    given = _lines(connection, ("subject",), [(id_,) for id_ in ids])
    lives = {id_: Life() for id_ in ids}
    ends = select(subjects.c.id, subjects.c.ended_ms).join(given, given.c.subject == subjects.c.id)
    for id_, ended in await connection.execute(ends):
        lives[id_].ended_ms = ended
    begun = select(starts).join(given, given.c.subject == starts.c.subject).order_by(starts.c.subject, starts.c.at_ms)
    for id_, at in await connection.execute(begun):
        lives[id_].starts_ms.append(at)
    return lives


async def _see(connection: AsyncConnection, lives: dict[int, Life], hours: dict[int, Hours]) -> None:
    """From the last hour in which the subject was seen before the hours to compute."""
    given = _lines(connection, ("subject", "low"), [(subject, found.start_ms) for subject, found in hours.items()])
    earlier = seen.alias()
    since = select(func.max(earlier.c.hour_ms)).where(
        earlier.c.subject == given.c.subject, earlier.c.hour_ms <= given.c.low
    )
    rows = select(seen.c.subject, seen.c.hour_ms, seen.c.tenure).join(
        given, and_(given.c.subject == seen.c.subject, seen.c.hour_ms >= func.coalesce(since.scalar_subquery(), 0))
    )
    for subject, hour, tenure in await connection.execute(rows.order_by(seen.c.subject, seen.c.hour_ms)):
        lives[subject].tenures.append((hour, tenure))


async def _points(connection: AsyncConnection, edges: list[Edge], hours: dict[int, Hours]) -> dict[int, Points]:
    """All readings in the hours, and the one on either side."""
    rows = [(edge.series, hours[edge.subject].start_ms, hours[edge.subject].end_ms) for edge in edges]
    given = _lines(connection, ("series", "low", "high"), rows)
    near = select(
        given.c.series,
        func.coalesce(_beside(given, func.max, readings.c.at_ms < given.c.low), given.c.low).label("low"),
        func.coalesce(_beside(given, func.min, readings.c.at_ms >= given.c.high), given.c.high).label("high"),
    )
    bounds = [tuple(row) for row in await connection.execute(near)]
    exact = _lines(connection, ("series", "low", "high"), bounds)
    inside = readings.c.at_ms.between(exact.c.low, exact.c.high)
    found = select(readings).join(exact, and_(exact.c.series == readings.c.series, inside))
    points: dict[int, Points] = {}
    for id_, at, value in await connection.execute(found.order_by(readings.c.series, readings.c.at_ms)):
        points.setdefault(id_, []).append((at, value))
    return points


def _beside(given: Any, which: Any, where: Any) -> Any:
    return select(which(readings.c.at_ms)).where(readings.c.series == given.c.series, where).scalar_subquery()


async def _windows(connection: AsyncConnection, hours: dict[int, Hours]) -> dict[Key, Window]:
    rows = [(subject, found.start_ms, found.end_ms) for subject, found in hours.items()]
    given = _lines(connection, ("subject", "low", "high"), rows)
    inside = and_(windows.c.hour_ms >= given.c.low, windows.c.hour_ms < given.c.high)
    found = await connection.execute(select(windows).join(given, and_(given.c.subject == windows.c.subject, inside)))
    return {(row.subject, row.hour_ms, row.metric): Window(row.tenure, amount_of(row), row.gap_ms) for row in found}


def amount_of(row: Row[Any]) -> int:
    return int(row.giga) * GIGA + int(row.units)


async def write(connection: AsyncConnection, computed: Computed, marks: list[Mark], until_ms: int) -> None:
    await _remove(connection, sorted(computed.old.keys() - computed.new.keys()))
    changed = [(*key, *window) for key, window in sorted(computed.new.items()) if computed.old.get(key) != window]
    await _put(connection, changed)
    await _sum_up(connection, computed)
    await outbox.note(connection, {(tenure, hour) for hour, tenure, _ in computed.changes()})
    left = [mark.subject for mark in marks if computed.hours[mark.subject].more]
    done = [mark.subject for mark in marks if not computed.hours[mark.subject].more]
    await connection.execute(dirty.delete().where(dirty.c.subject.in_(done)))
    await connection.execute(
        dirty.update()
        .where(dirty.c.subject.in_(left))
        .values(changed_from_ms=None, changed_to_ms=None, hours_from_ms=until_ms)
    )


async def _remove(connection: AsyncConnection, keys: list[Key]) -> None:
    """Rare: a window that had something has nothing when a reading shows where it belongs."""
    for subject, hour, metric in keys:
        which = and_(windows.c.subject == subject, windows.c.hour_ms == hour, windows.c.metric == metric)
        await connection.execute(windows.delete().where(which))


async def _put(connection: AsyncConnection, rows: Sequence[tuple[int, ...]]) -> None:
    if not rows:
        return
    names = ("subject", "hour_ms", "metric", "tenure", "giga", "units", "gap_ms")
    given = _lines(connection, names, [(*row[:4], *divmod(row[4], GIGA), row[5]) for row in rows])
    add = insert(connection.dialect.name, windows).from_select(list(names), select(given).where(true()))
    changes = {name: add.excluded[name] for name in names[3:]}
    await connection.execute(add.on_conflict_do_update(index_elements=list(names[:3]), set_=changes))


async def _sum_up(connection: AsyncConnection, computed: Computed) -> None:
    sums: dict[tuple[int, int, int, int], tuple[int, int]] = {}
    for (hour, tenure, metric), (amount, gap) in computed.changes().items():
        for span, start in ((HOUR, hour), (DAY, day_of(hour)), (MONTH, month_of(hour))):
            so_far = sums.get((span, start, tenure, metric), (0, 0))
            sums[span, start, tenure, metric] = (so_far[0] + amount, so_far[1] + gap)
    rows = [(*key, *divmod(amount, GIGA), gap) for key, (amount, gap) in sorted(sums.items())]
    if not rows:
        return
    names = ("span", "start_ms", "tenure", "metric", "giga", "units", "gap_ms")
    given = _lines(connection, names, rows)
    add = insert(connection.dialect.name, totals).from_select(list(names), select(given).where(true()))
    changes = {name: totals.c[name] + add.excluded[name] for name in names[4:]}
    await connection.execute(add.on_conflict_do_update(index_elements=list(names[:4]), set_=changes))


def _lines(connection: AsyncConnection, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    return lines(connection.dialect.name, dict.fromkeys(names, BigInteger()), rows)
