"""The ledger on both databases: known consumption in, exactly that out, whatever happens on the way."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from events.readings import CAPACITY_CPU, CPU, MEMORY, REQUESTS_CPU, Reading, Subject
from shared.errors import Refused, RetryLater
from shared.metering.allocate import Allocation, Had, Node, allocate
from shared.metering.derive import HOUR_MS, Series, flows, gaps, in_order, windowed
from shared.metering.ledger import Ledger
from shared.metering.sql import engine_for, transaction
from shared.metering.tables import metadata, totals
from shared.metering.times import ms_of
from shared.metering.usage import summed
from tests.shared.metering.builders import T0, at, reading, subject

LATER = at(3 * 86400)
HOURS = range(6)
Batch = tuple[Sequence[Reading], Sequence[Subject]]


async def hourly(ledger: Ledger, live: bool = False) -> dict[str, list[tuple[int, int]]]:
    """By plan and metric, for each hour: amount and gap."""
    found: dict[str, list[tuple[int, int]]] = {}
    for hour in HOURS:
        used = await ledger.usage(at(hour * 3600), at((hour + 1) * 3600), live=LATER if live else None)
        for each in used:
            whole = found.setdefault(f"{each.tenure.plan} {each.metric}", [(0, 0)] * len(HOURS))
            whole[hour] = (whole[hour][0] + each.amount, whole[hour][1] + each.gap_ms)
    return found


def expected(
    read: Sequence[Reading], starts: Sequence[float] = (), ended: float | None = None
) -> list[tuple[int, int]]:
    """By the pure derivation, from all readings of one series at once."""
    found = Series(
        read[0].type,
        in_order((ms_of(each.at), each.units) for each in read),
        sorted(ms_of(at(start)) for start in starts),
        None if ended is None else ms_of(at(ended)),
    )
    amounts, missing = windowed(flows(found), HOUR_MS), windowed(gaps(found), HOUR_MS)
    windows = [ms_of(at(hour * 3600)) for hour in HOURS]
    return [(amounts.get(window, 0), missing.get(window, 0)) for window in windows]


def ticks(count: int = 91, each: int = 120, used: int = 1000) -> list[Batch]:
    """A pod that uses `used` core-nanoseconds a second and ever more memory."""
    return [
        (
            [reading(second, second * used), reading(second, 10**9 + second * 10**6, MEMORY)],
            [subject(second, started_at=T0)],
        )
        for second in range(0, count * each, each)
    ]


def together(batches: list[Batch]) -> Batch:
    return [each for read, _ in batches for each in read], [each for _, whose in batches for each in whose]


def shuffled(batches: list[Batch], seed: int) -> list[Batch]:
    return random.Random(seed).sample(batches, len(batches))  # noqa: S311 -- nothing secret about it


async def test_what_goes_in_comes_out(ledger: Ledger) -> None:
    for read, whose in ticks():
        await ledger.record(read, whose, at(10_800))
    await ledger.materialise(LATER)
    every = [each for read, _ in ticks() for each in read]
    assert await hourly(ledger) == {
        f"small {metric}": expected([each for each in every if each.metric == metric], [0]) for metric in (CPU, MEMORY)
    }
    assert await ledger.usage(T0, at(86400)) == await ledger.usage(T0, at(6 * 3600))
    assert summed(await ledger.usage(T0, at(30 * 86400)), ["consumer"])[0].amount == 90 * 120 * 1000


async def test_readings_in_any_order_repeated_and_late_give_the_same(ledger: Ledger) -> None:
    for index, (read, whose) in enumerate(shuffled(ticks() + ticks(), 1)):
        await ledger.record(read, whose, LATER)
        if index % 30 == 0:
            await ledger.materialise(LATER)
    await ledger.materialise(LATER)
    every = [each for read, _ in ticks() for each in read]
    assert await hourly(ledger) == {
        f"small {metric}": expected([each for each in every if each.metric == metric], [0]) for metric in (CPU, MEMORY)
    }


async def test_a_batch_is_answered_with_what_was_new_in_it(ledger: Ledger) -> None:
    read, whose = [reading(0, 1), reading(30, 2), reading(30, 2)], [subject(30)]
    first, second = await ledger.record(read, whose, at(60)), await ledger.record(read, whose, at(60))
    assert [(first.added, first.known), (second.added, second.known)] == [(2, 1), (0, 3)]


async def test_of_two_values_for_one_time_the_larger_one_counts(ledger: Ledger) -> None:
    for value in (5, 9, 7):
        await ledger.record([reading(0, 0), reading(30, value)], [subject(0)], at(60))
    assert (await hourly(ledger, live=True))[f"small {CPU}"][0] == (9, 0)


async def test_a_reading_from_the_future_is_refused_and_the_rest_is_taken(ledger: Ledger) -> None:
    recorded = await ledger.record([reading(0, 1), reading(86400, 2)], [subject(0)], at(60))
    assert (recorded.added, recorded.refused) == (
        1,
        (f"pod-1 {CPU}: read at 2026-11-02T00:00:00Z, in the future; set the node's clock",),
    )


async def test_what_is_in_no_window_yet_is_derived_when_asked_for(ledger: Ledger) -> None:
    for read, whose in ticks():
        await ledger.record(read, whose, at(10_800))
    live = await hourly(ledger, live=True)
    assert await hourly(ledger) == {}
    await ledger.materialise(at(7_600))
    assert await hourly(ledger, live=True) == live
    await ledger.materialise(LATER)
    assert await hourly(ledger) == live


async def test_usage_counts_for_the_plan_of_its_hour_in_whatever_order_it_was_seen(ledger: Ledger) -> None:
    batches: list[Batch] = [
        ([reading(second, second)], [subject(second, plan="small" if second < 4000 else "large", started_at=T0)])
        for second in range(0, 10_801, 150)
    ]
    for index, (read, whose) in enumerate(shuffled(batches, 2)):
        await ledger.record(read, whose, LATER)
        if index % 10 == 0:
            await ledger.materialise(LATER)
    await ledger.materialise(LATER)
    assert await hourly(ledger) == {
        f"small {CPU}": [(3600, 0), *[(0, 0)] * 5],
        f"large {CPU}": [(0, 0), (3600, 0), (3600, 0), *[(0, 0)] * 3],
    }


async def test_readings_that_come_before_it_is_told_whose_they_are_are_counted_then(ledger: Ledger) -> None:
    await ledger.record([reading(0, 0), reading(60, 60)], [], at(60))
    await ledger.materialise(LATER)
    assert await hourly(ledger) == {}
    await ledger.record([], [subject(4000)], at(4000))
    await ledger.materialise(LATER)
    assert await hourly(ledger) == {f"small {CPU}": [(60, 0), *[(0, 0)] * 5]}


async def test_an_instance_counts_from_its_start_to_its_end_to_the_second(ledger: Ledger) -> None:
    told = {"uid": "instance-1", "kind": "instance", "started_at": at(5)}
    for second in (20, 50, 80):
        present = Reading(subject="instance-1", kind="instance", metric="instance_present", at=at(second), value=1)
        await ledger.record([present], [subject(second, **told)], at(100))
    await ledger.record([], [subject(97, ended=True, **told)], at(100))
    await ledger.materialise(LATER)
    assert (await hourly(ledger))["small instance_present"][0] == (92_000, 0)


async def test_two_that_record_and_two_that_materialise_at_once_count_nothing_twice(url: str) -> None:
    many = [await Ledger.open(url) for _ in range(4)]

    async def persist(step: object) -> None:
        while True:
            try:
                await step  # type: ignore[misc]
            except RetryLater:
                continue
            return

    async def record(ledger: Ledger, seed: int) -> None:
        for read, whose in shuffled(ticks(60), seed):
            await persist(ledger.record(read, whose, LATER))

    async def materialise(ledger: Ledger) -> None:
        for _ in range(15):
            await persist(ledger.materialise(LATER))
            await asyncio.sleep(0.01)

    await asyncio.gather(record(many[0], 1), record(many[1], 2), materialise(many[2]), materialise(many[3]))
    await many[0].materialise(LATER)
    every = [each for read, _ in ticks(60) for each in read]
    assert await hourly(many[0]) == {
        f"small {metric}": expected([each for each in every if each.metric == metric], [0]) for metric in (CPU, MEMORY)
    }
    for ledger in many:
        await ledger.close()


async def test_several_that_open_an_empty_ledger_at_once_find_it_ready(url: str) -> None:
    opened = await asyncio.gather(*(Ledger.open(url) for _ in range(5)))
    assert [await ledger.usage(T0, at(3600)) for ledger in opened] == [[]] * 5
    for ledger in opened:
        await ledger.close()


async def test_migrations_make_the_tables_that_the_code_knows(ledger: Ledger, url: str) -> None:
    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    engine = engine_for(url)
    async with transaction(engine, reading=True) as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_thinned_readings_leave_usage_as_it_was_and_what_follows_exact(ledger: Ledger, url: str) -> None:
    batches = ticks(12 * 24 * 2, each=1800)
    await ledger.record(*together(batches[:-48]), at(12 * 86400))
    await ledger.record(*together(ticks(300, each=30)), at(12 * 86400))
    await ledger.materialise(at(12 * 86400))
    before = await ledger.usage(T0, at(12 * 86400))
    gone = await ledger.thin(timedelta(days=8), at(12 * 86400))
    assert gone > 2 * 250
    late = await ledger.record([reading(3600, 1)], [], at(12 * 86400))
    assert late.refused == (f"pod-1 {CPU}: read at 2026-11-01T01:00:00Z, of which the windows are final",)
    assert await ledger.usage(T0, at(12 * 86400)) == before
    await ledger.record(*together(batches[-48:]), at(13 * 86400))
    await ledger.materialise(at(13 * 86400))
    cpu = [each.amount for each in await ledger.usage(T0, at(13 * 86400)) if each.metric == CPU]
    assert cpu == [batches[-1][0][0].value]


async def test_readings_are_kept_as_long_as_late_ones_can_reach_them(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="too short"):
        await ledger.thin(timedelta(days=1))
    await ledger.record([reading(0, 1)], [subject(0)], at(60))
    with pytest.raises(RetryLater):
        await ledger.thin(timedelta(days=8), LATER)


async def test_amounts_beyond_64_bits_are_summed_exactly(ledger: Ledger) -> None:
    value = 2**50 + 1
    for second in range(0, 7201, 60):
        await ledger.record([reading(second, value, MEMORY)], [subject(second)], at(7300))
    await ledger.materialise(LATER)
    assert [each.amount for each in await ledger.usage(T0, at(86400))] == [value * 7_200_000]


async def test_what_was_asked_for_by_consumer_leaves_out_all_others(ledger: Ledger) -> None:
    for name in ("team-a", "team-b"):
        told = {"uid": f"pod-{name}", "instance_uid": name, "consumer": name, "started_at": T0}
        await ledger.record([reading(60, 7, subject=f"pod-{name}")], [subject(60, **told)], at(100))
    everybody = await ledger.usage(T0, at(3600), live=at(100))
    one = await ledger.usage(T0, at(3600), {"consumer": ["team-b"]}, live=at(100))
    assert ([each.tenure.consumer for each in everybody], [each.tenure.consumer for each in one]) == (
        ["team-a", "team-b"],
        ["team-b"],
    )
    assert summed(everybody, ["offering"])[0][1:4] == (CPU, "counter", 14)


async def test_a_period_that_is_no_full_hours_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="start: 2026-11-01T00:00:30Z is not a full hour"):
        await ledger.usage(at(30), at(3600))


steps = st.lists(
    st.tuples(
        st.integers(0, 720).map(lambda step: step * 30),
        st.integers(0, 10**6),
        st.booleans(),
        st.sampled_from(["small", "large"]),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda step: step[0],
)


async def _sums_agree(ledger: Ledger) -> None:
    """Days and months are the sums of hours."""
    async with transaction(ledger._engine, reading=True) as connection:
        rows = list(await connection.execute(select(totals)))
    sums = [
        {
            (tenure, metric): sum(row.giga * 10**9 + row.units for row in rows if key(row, span, tenure, metric))
            for tenure, metric in {(row.tenure, row.metric) for row in rows}
        }
        for span in range(3)
    ]
    assert sums[0] == sums[1] == sums[2]


def key(row: object, span: int, tenure: int, metric: int) -> bool:
    return (row.span, row.tenure, row.metric) == (span, tenure, metric)  # type: ignore[attr-defined]


async def test_a_nodes_cost_is_allocated_by_what_was_had_on_it(ledger: Ledger) -> None:
    """A pod that requests half of the cores and uses a quarter of them, for an hour."""
    for second in range(0, 3601, 120):
        read = [
            reading(second, second * 10**9 // 4),
            reading(second, 500, REQUESTS_CPU),
            reading(second, 1000, CAPACITY_CPU, subject="node-1", kind="node", node="node-1"),
        ]
        whose = [subject(second, started_at=T0), subject(second, uid="node-1", kind="node", name="node-1")]
        await ledger.record(read, whose, at(3700))
    await ledger.materialise(LATER)
    used = {(each.kind, each.metric): each.amount for each in await ledger.by_node(T0, at(3600))}
    assert used == {
        ("pod", CPU): 900 * 10**9,
        ("pod", REQUESTS_CPU): 500 * HOUR_MS,
        ("node", CAPACITY_CPU): 1000 * HOUR_MS,
    }
    had = Had(cpu_requested=used["pod", REQUESTS_CPU] * 1000, cpu_used=used["pod", CPU])
    node = Node(Decimal("1.00"), "EUR", cpu=used["node", CAPACITY_CPU] * 1000, memory=0, memory_weight=0)
    assert allocate(node, {"orders": had}) == Allocation({"orders": Decimal("0.50")}, Decimal("0.50"))


async def test_a_report_made_while_windows_are_sees_one_state_of_the_ledger(ledger: Ledger) -> None:
    read = [
        reading(second, second * 10**9, subject=f"pod-{pod}") for pod in range(40) for second in range(0, 10_801, 600)
    ]
    whose = [subject(0, uid=f"pod-{pod}", started_at=T0) for pod in range(40)]
    await ledger.record(read, whose, at(10_800))

    async def used() -> list[int]:
        found = []
        for _ in range(8):
            found.append(sum(each.amount for each in await ledger.usage(T0, at(14_400), live=LATER)))
        return found

    found, others, _ = await asyncio.gather(used(), used(), ledger.materialise(LATER))
    assert {*found, *others} == {40 * 10_800 * 10**9}
