"""What is asked of the ledger."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, Text, and_, func, literal, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from events.readings import Type
from shared.errors import Refused
from shared.metering import tables
from shared.metering.prices import Noted, Price, counting
from shared.metering.recording import NOBODY
from shared.metering.sql import insert, lines
from shared.metering.tables import TENURE, dirty, metrics, seen, subjects, tenures, totals, windows
from shared.metering.times import ms_of, stretches, time_of
from shared.metering.usage import Filter, Tenure, Usage, chosen
from shared.metering.windows import Computed, Mark, amount_of


async def usage(connection: AsyncConnection, start_ms: int, end_ms: int, where: Filter) -> list[Usage]:
    names, kinds = await _tenures(connection, where), await _metrics(connection)
    parts = [_part(*stretch, where) for stretch in stretches(start_ms, end_ms)]
    if not parts or not names:
        return []
    part = union_all(*parts).subquery()
    sums = [func.sum(part.c[name]).label(name) for name in ("giga", "units", "gap_ms")]
    rows = await connection.execute(select(part.c.tenure, part.c.metric, *sums).group_by(part.c.tenure, part.c.metric))
    found = [Usage(names[row.tenure], *kinds[row.metric], amount_of(row), int(row.gap_ms)) for row in rows]
    return _sorted(found)


def _part(span: int, start_ms: int, end_ms: int, where: Filter) -> Any:
    columns = [totals.c[name] for name in ("tenure", "metric", "giga", "units", "gap_ms")]
    inside = and_(totals.c.span == span, totals.c.start_ms >= start_ms, totals.c.start_ms < end_ms)
    return select(*columns).where(inside, totals.c.tenure.in_(select(tenures.c.id).where(_fits(where))))


def _fits(where: Filter) -> Any:
    return and_(tenures.c.id != NOBODY, *(tenures.c[name].in_(sorted(values)) for name, values in where.items()))


async def _tenures(connection: AsyncConnection, where: Filter) -> dict[int, Tenure]:
    rows = await connection.execute(select(tenures.c.id, *(tenures.c[name] for name in TENURE)).where(_fits(where)))
    return {row[0]: Tenure(*row[1:]) for row in rows}


async def _metrics(connection: AsyncConnection) -> dict[int, tuple[str, Type]]:
    return {row.id: (row.name, row.type) for row in await connection.execute(select(metrics))}


def _sorted(found: Iterable[Usage]) -> list[Usage]:
    return sorted(each for each in found if each.amount or each.gap_ms)


async def marks(connection: AsyncConnection, where: Filter) -> list[Mark]:
    """Of all subjects whose readings are ahead of their windows and that ever belonged to what is asked for."""
    wanted = select(dirty).order_by(dirty.c.subject)
    if where:
        theirs = select(seen.c.subject).join(tenures, tenures.c.id == seen.c.tenure).where(_fits(where))
        wanted = wanted.where(dirty.c.subject.in_(theirs))
    return [Mark(*row) for row in await connection.execute(wanted)]


async def corrected(
    connection: AsyncConnection, found: list[Usage], computed: Computed, start_ms: int, end_ms: int, where: Filter
) -> list[Usage]:
    """With what windows would have if they were computed now."""
    names, kinds = await _tenures(connection, {}), await _metrics(connection)
    sums = {(each.tenure, each.metric, each.type): (each.amount, each.gap_ms) for each in found}
    for (hour, tenure, metric), (amount, gap) in computed.changes().items():
        if start_ms <= hour < end_ms and tenure != NOBODY and chosen(names[tenure], where):
            key = (names[tenure], *kinds[metric])
            before = sums.get(key, (0, 0))
            sums[key] = (before[0] + amount, before[1] + gap)
    return _sorted(Usage(*key, *both) for key, both in sums.items())


class NodeUsage(NamedTuple):
    """On which node what was used by whom; `kind` is node for the node itself."""

    node: str
    kind: str
    tenure: Tenure
    metric: str
    amount: int


async def by_node(connection: AsyncConnection, start_ms: int, end_ms: int) -> list[NodeUsage]:
    names, kinds = await _tenures(connection, {}), await _metrics(connection)
    inside = and_(windows.c.hour_ms >= start_ms, windows.c.hour_ms < end_ms)
    keys = (subjects.c.node, subjects.c.kind, windows.c.tenure, windows.c.metric)
    sums = [func.sum(windows.c[name]).label(name) for name in ("giga", "units")]
    found = select(*keys, *sums).join(windows, and_(windows.c.subject == subjects.c.id, inside))
    rows = await connection.execute(found.where(subjects.c.node != "").group_by(*keys))
    return sorted(
        NodeUsage(row.node, row.kind, names.get(row.tenure, Tenure()), kinds[row.metric][0], amount_of(row))
        for row in rows
    )


async def note_prices(connection: AsyncConnection, prices: Sequence[Price], now_ms: int) -> int:
    rows = {
        (each.offering, each.plan, each.per, ms_of(each.valid_from)): (each.currency, format(each.amount, "f"))
        for each in prices
    }
    names = ("offering", "plan", "per", "valid_from_ms", "currency", "amount")
    types = {name: BigInteger() if name == "valid_from_ms" else Text() for name in names}
    given = lines(connection.dialect.name, types, [(*key, *value) for key, value in sorted(rows.items())])
    noted = select(given, literal(now_ms, BigInteger()).label("noted_ms")).where(true())
    add = insert(connection.dialect.name, tables.prices).from_select([*names, "noted_ms"], noted)
    added = await connection.execute(add.on_conflict_do_nothing())
    await _same(connection, rows)
    return added.rowcount


async def _same(connection: AsyncConnection, rows: dict[Any, tuple[str, str]]) -> None:
    for row in await connection.execute(select(tables.prices)):
        key = (row.offering, row.plan, row.per, row.valid_from_ms)
        wanted = rows.get(key)
        if wanted and (wanted[0], Decimal(wanted[1])) != (row.currency, Decimal(row.amount)):
            raise Refused(
                "PriceChanged",
                f"spec.metering.prices: {row.offering} {row.plan} {row.per} costs {row.amount} {row.currency} since"
                f" {time_of(row.valid_from_ms):%FT%TZ}; what was charged stays: give the new price a new validFrom",
            )


async def prices(connection: AsyncConnection) -> list[Price]:
    rows = await connection.execute(select(tables.prices).order_by(tables.prices.c.id))
    return counting([Noted(_price(row), time_of(row.noted_ms)) for row in rows])


def _price(row: Row[Any]) -> Price:
    since = time_of(row.valid_from_ms)
    return Price(row.offering, row.plan, row.per, Decimal(row.amount), row.currency, since)
