"""Any story, told in any order, twice and late, ends in the same windows: what the pure derivation says of it.

All chance is drawn before a story is told: one that Hypothesis gave up in the middle would leave a transaction open,
and a connection behind with all it caches.
"""

import asyncio
from datetime import timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from events.readings import CPU, MEMORY
from shared.metering.derive import Series, flows, gaps, in_order
from shared.metering.ledger import Ledger
from shared.metering.sql import transaction
from shared.metering.tables import tenures, totals
from shared.metering.times import ms_of
from tests.shared.metering.builders import T0, at, reading, subject
from tests.shared.metering.test_ledger import LATER, Batch

Step = tuple[int, int, bool, str]
"""When, the value, whether it started then, and the plan."""
Telling = tuple[int, float | None]
"""Which part of the story, and until when windows are closed after it."""

stories = st.lists(
    st.tuples(
        st.integers(0, 720).map(lambda step: step * 30),
        st.integers(0, 10**6),
        st.booleans(),
        st.sampled_from(["small", "large"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda step: step[0],
)
tellings = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([None, None, None, 0, 7500, 30000])), max_size=15)


def test_any_story_told_in_any_order_ends_in_the_same_windows(url: str) -> None:
    """All with one ledger: what SQLAlchemy has compiled once it need not compile for each story."""
    with asyncio.Runner() as runner:
        ledger = runner.run(Ledger.open(url))

        @given(stories, tellings, st.none() | st.integers(0, 21600))
        @settings(max_examples=30)
        def tell_all(story: list[Step], told: list[Telling], ended: int | None) -> None:
            runner.run(tell(ledger, story, told, ended))

        try:
            tell_all()
        finally:
            runner.run(ledger.close())


async def tell(ledger: Ledger, story: list[Step], told: list[Telling], ended: int | None) -> None:
    uid = f"pod-{uuid4()}"  # the database is the same for all stories
    parts = parts_of(uid, story, ended)
    for which, until in [*told, *((part, None) for part in range(len(parts)))]:
        await ledger.record(*parts[which % len(parts)], LATER)
        if until is not None:
            await ledger.materialise(at(until))
    await ledger.materialise(LATER)
    used = await ledger.usage(T0 - timedelta(days=8), at(86400), {"consumer": [uid]})
    for metric in (CPU, MEMORY):
        wanted = series(story, metric, ended)
        assert sum(each.amount for each in used if each.metric == metric) == sum(f.amount for f in flows(wanted))
        assert sum(each.gap_ms for each in used if each.metric == metric) == sum(g.amount for g in gaps(wanted))
    await assert_sums_agree(ledger, uid)


def parts_of(uid: str, story: list[Step], ended: int | None) -> list[Batch]:
    parts: list[Batch] = [
        (
            [reading(second, value, metric, subject=uid) for metric in (CPU, MEMORY)],
            [subject(second, uid=uid, consumer=uid, plan=plan, started_at=at(second) if starts else None)],
        )
        for second, value, starts, plan in story
    ]
    if ended is not None:
        plan = max((step for step in story if step[0] <= ended), default=min(story))[3]
        parts.append(([], [subject(ended, uid=uid, consumer=uid, plan=plan, ended=True)]))
    return parts


def series(story: list[Step], metric: str, ended: int | None) -> Series:
    return Series(
        "counter" if metric == CPU else "gauge",
        in_order((ms_of(at(second)), value) for second, value, *_ in story),
        sorted(ms_of(at(second)) for second, _, starts, _ in story if starts),
        None if ended is None else ms_of(at(ended)),
    )


async def assert_sums_agree(ledger: Ledger, consumer: str) -> None:
    """Days and months are the sums of hours."""
    theirs = select(tenures.c.id).where(tenures.c.consumer == consumer)
    async with transaction(ledger._engine, reading=True) as connection:
        rows = [*await connection.execute(select(totals).where(totals.c.tenure.in_(theirs)))]
    sums: list[dict[tuple[int, int], int]] = [{}, {}, {}]
    for row in rows:
        amount = row.giga * 10**9 + row.units
        sums[row.span][row.tenure, row.metric] = sums[row.span].get((row.tenure, row.metric), 0) + amount
    assert sums[0] == sums[1] == sums[2]
