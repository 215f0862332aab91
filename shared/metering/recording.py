"""Readings into the ledger, in one transaction: each once, in any order. Marks whose windows are behind now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Table, Text, and_, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from events.readings import Reading, Subject
from shared.metering.derive import REACH_MS
from shared.metering.sql import insert, lines, reads
from shared.metering.tables import TENURE, dirty, metrics, readings, seen, series, starts, state, subjects, tenures
from shared.metering.times import hour_of, ms_of

FOREVER_MS = 2**62
FUTURE_MS = 5 * 60 * 1000  # as far as a node's clock may be ahead of ours
SEALED = "sealed_ms"
NOBODY = 0

Mark = tuple[int, int, int]  # subject, and between when and when its readings changed
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Recorded:
    """`added` are new to the ledger, `known` it had already. What is `refused` must not be sent again."""

    added: int = 0
    known: int = 0
    refused: tuple[str, ...] = ()


def refusal(reading: Reading, sealed_ms: int, now_ms: int) -> str | None:
    at_ms = ms_of(reading.at)
    if at_ms > now_ms + FUTURE_MS:
        return f"{reading.subject} {reading.metric}: read at {reading.at:%FT%TZ}, in the future; set the node's clock"
    if at_ms < sealed_ms + REACH_MS:
        return f"{reading.subject} {reading.metric}: read at {reading.at:%FT%TZ}, of which the windows are final"
    return None


async def sealed(connection: AsyncConnection) -> int:
    wanted = select(state.c.value).where(state.c.name == SEALED)
    found = await connection.scalar(wanted if reads(connection) else wanted.with_for_update(read=True))
    return found or 0


async def record(
    connection: AsyncConnection, read: Sequence[Reading], whose: Sequence[Subject], now_ms: int
) -> Recorded:
    horizon = await sealed(connection)
    refused = {id(each): why for each in read if (why := refusal(each, horizon, now_ms))}
    taken = [each for each in read if id(each) not in refused]
    told = [each for each in whose if ms_of(each.seen_last) <= now_ms + FUTURE_MS]
    ids, fresh, ended = await _subjects(connection, taken, told)
    marks = ended
    marks += await _starts(connection, told, ids, fresh, horizon)
    marks += await _seen(connection, told, ids)
    values = await _values(connection, taken, ids)
    added = await _add(connection, values)
    await _mark(connection, [*marks, *((ids[each.subject], ms_of(each.at), ms_of(each.at)) for each in taken)])
    return Recorded(added, len(taken) - added, tuple(refused.values()))


async def identified(
    connection: AsyncConnection, table: Table, names: Sequence[str], keys: Iterable[Key]
) -> dict[Key, int]:
    """The id of each; new ones for those that have none."""
    wanted = sorted(set(keys))
    found = await _known(connection, table, names, wanted)
    if missing := [key for key in wanted if key not in found]:
        given = _keys(connection, table, names, missing)
        add = insert(connection.dialect.name, table).from_select(list(names), select(given).where(true()))
        await connection.execute(add.on_conflict_do_nothing())
        found |= await _known(connection, table, names, missing)
    return found


async def _known(connection: AsyncConnection, table: Table, names: Sequence[str], keys: list[Key]) -> dict[Key, int]:
    given = _keys(connection, table, names, keys)
    matches = and_(*(table.c[name] == given.c[name] for name in names))
    rows = await connection.execute(select(table.c.id, *(table.c[name] for name in names)).join(given, matches))
    return {tuple(row[1:]): row[0] for row in rows}


def _keys(connection: AsyncConnection, table: Table, names: Sequence[str], keys: list[Key]) -> Any:
    return lines(connection.dialect.name, {name: table.c[name].type for name in names}, keys)


async def _subjects(
    connection: AsyncConnection, read: list[Reading], told: list[Subject]
) -> tuple[dict[str, int], set[int], list[Mark]]:
    """Ids by uid, which of them are new, and marks for those whose end became known."""
    rows = {each.subject: (each.subject, each.kind, "", "", each.node or "") for each in read}
    rows |= {each.uid: (each.uid, each.kind, each.name, each.namespace or "", each.node or "") for each in told}
    names = ("uid", "kind", "name", "namespace", "node")
    known = await _known_subjects(connection, rows)
    better = [row for uid, row in sorted(rows.items()) if uid not in known or (row[2] and not known[uid][1])]
    if better:
        given = lines(connection.dialect.name, dict.fromkeys(names, Text()), better)
        add = insert(connection.dialect.name, subjects).from_select(list(names), select(given).where(true()))
        changes = {name: add.excluded[name] for name in names[1:]}
        named = add.on_conflict_do_update(
            index_elements=["uid"], set_=changes, where=and_(subjects.c.name == "", add.excluded.name != "")
        )
        await connection.execute(named)
    after = known if not better else await _known_subjects(connection, rows)
    ids = {uid: id_ for uid, (id_, _, _) in after.items()}
    ends = {uid: end for uid, (_, _, end) in after.items()}
    return ids, {id_ for uid, id_ in ids.items() if uid not in known}, await _end(connection, told, ids, ends)


async def _known_subjects(connection: AsyncConnection, uids: Iterable[str]) -> dict[str, tuple[int, str, int | None]]:
    given = lines(connection.dialect.name, {"uid": Text()}, [(uid,) for uid in sorted(uids)])
    columns = (subjects.c.uid, subjects.c.id, subjects.c.name, subjects.c.ended_ms)
    rows = await connection.execute(select(*columns).join(given, subjects.c.uid == given.c.uid))
    return {uid: (id_, name, ended) for uid, id_, name, ended in rows}


async def _end(
    connection: AsyncConnection, told: list[Subject], ids: dict[str, int], ends: dict[str, int | None]
) -> list[Mark]:
    """Of several ends that were told the first one holds."""
    earlier: dict[int, int] = {}
    for each in told:
        at, before = ms_of(each.seen_last), ends[each.uid]
        if each.ended and (before is None or at < before):
            earlier[ids[each.uid]] = min(at, earlier.get(ids[each.uid], at))
    for subject, at in sorted(earlier.items()):
        no_earlier = or_(subjects.c.ended_ms.is_(None), subjects.c.ended_ms > at)
        await connection.execute(subjects.update().where(subjects.c.id == subject, no_earlier).values(ended_ms=at))
    return [(subject, at, FOREVER_MS) for subject, at in earlier.items()]


async def _starts(
    connection: AsyncConnection, told: list[Subject], ids: dict[str, int], fresh: set[int], horizon: int
) -> list[Mark]:
    """A start among readings whose windows are final would come too late; of a new subject any start is welcome."""
    told_starts = {(ids[each.uid], ms_of(each.started_at)) for each in told if each.started_at}
    rows = [row for row in sorted(told_starts) if row[0] in fresh or row[1] >= horizon + (REACH_MS if horizon else 0)]
    if not rows:
        return []
    given = lines(connection.dialect.name, {"subject": BigInteger(), "at_ms": BigInteger()}, rows)
    add = insert(connection.dialect.name, starts).from_select(["subject", "at_ms"], select(given).where(true()))
    new = await connection.execute(add.on_conflict_do_nothing().returning(starts.c.subject, starts.c.at_ms))
    return [(subject, at, at) for subject, at in new]


async def _seen(connection: AsyncConnection, told: list[Subject], ids: dict[str, int]) -> list[Mark]:
    """The tenure of each hour is the last one seen in it. Where it changes, all that hangs on it is marked."""
    under = await identified(connection, tenures, TENURE, {tenure_of(each) for each in told})
    last: dict[tuple[int, int], tuple[int, int]] = {}
    for each in told:
        at = ms_of(each.seen_last)
        key = (ids[each.uid], hour_of(at))
        last[key] = max(last.get(key, (0, 0)), (at, under[tenure_of(each)]))
    rows = [(subject, hour, at, tenure) for (subject, hour), (at, tenure) in sorted(last.items())]
    if not rows:
        return []
    given = lines(connection.dialect.name, dict.fromkeys(("subject", "hour_ms", "at_ms", "tenure"), BigInteger()), rows)
    marks = await _changed_tenures(connection, given)
    add = insert(connection.dialect.name, seen).from_select(list(given.c.keys()), select(given).where(true()))
    changes = {"at_ms": add.excluded.at_ms, "tenure": add.excluded.tenure}
    later = or_(
        add.excluded.at_ms > seen.c.at_ms,
        and_(add.excluded.at_ms == seen.c.at_ms, add.excluded.tenure > seen.c.tenure),
    )
    await connection.execute(
        add.on_conflict_do_update(index_elements=["subject", "hour_ms"], set_=changes, where=later)
    )
    return marks


async def _changed_tenures(connection: AsyncConnection, given: Any) -> list[Mark]:
    before = (
        select(seen.c.tenure)
        .where(seen.c.subject == given.c.subject, seen.c.hour_ms <= given.c.hour_ms)
        .order_by(seen.c.hour_ms.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await connection.execute(select(given.c.subject, given.c.hour_ms, given.c.tenure, before))
    return [(subject, 0 if was is None else hour, FOREVER_MS) for subject, hour, tenure, was in rows if was != tenure]


def tenure_of(subject: Subject) -> Key:
    if subject.kind == "node":
        return ("",) * len(TENURE)
    return tuple(getattr(subject, name) or "" for name in TENURE)


async def _values(connection: AsyncConnection, read: list[Reading], ids: dict[str, int]) -> dict[tuple[int, int], int]:
    """By series and time; of two values for one time the larger one."""
    kinds = await identified(connection, metrics, ("name", "type"), {(each.metric, each.type) for each in read})
    keys = [(ids[each.subject], kinds[each.metric, each.type]) for each in read]
    of = await identified(connection, series, ("subject", "metric"), keys)
    values: dict[tuple[int, int], int] = {}
    for each, key in zip(read, keys, strict=True):
        at = (of[key], ms_of(each.at))
        values[at] = max(each.units, values.get(at, 0))
    return values


async def _add(connection: AsyncConnection, values: dict[tuple[int, int], int]) -> int:
    if not values:
        return 0
    rows = [(*key, value) for key, value in sorted(values.items())]
    given = lines(connection.dialect.name, dict.fromkeys(("series", "at_ms", "value"), BigInteger()), rows)
    add = insert(connection.dialect.name, readings).from_select(list(given.c.keys()), select(given).where(true()))
    larger = add.on_conflict_do_update(
        index_elements=["series", "at_ms"],
        set_={"value": add.excluded.value},
        where=add.excluded.value > readings.c.value,
    )
    return (await connection.execute(larger)).rowcount


async def _mark(connection: AsyncConnection, marks: Iterable[Mark]) -> None:
    ranges: dict[int, tuple[int, int]] = {}
    for subject, start, end in marks:
        before = ranges.get(subject, (start, end))
        ranges[subject] = (min(before[0], start), max(before[1], end))
    rows = [(subject, *found) for subject, found in sorted(ranges.items())]
    if not rows:
        return
    names = ("subject", "changed_from_ms", "changed_to_ms")
    given = lines(connection.dialect.name, dict.fromkeys(names, BigInteger()), rows)
    add = insert(connection.dialect.name, dirty).from_select(list(names), select(given).where(true()))
    least, greatest = (func.least, func.greatest) if connection.dialect.name == "postgresql" else (func.min, func.max)
    earlier, later = add.excluded.changed_from_ms, add.excluded.changed_to_ms
    changes = {
        "changed_from_ms": least(func.coalesce(dirty.c.changed_from_ms, earlier), earlier),
        "changed_to_ms": greatest(func.coalesce(dirty.c.changed_to_ms, later), later),
    }
    await connection.execute(add.on_conflict_do_update(index_elements=["subject"], set_=changes))
