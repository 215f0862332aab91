"""Usage from readings: known consumption in, exactly that out."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.readings import Type
from shared.metering.derive import (
    HOUR_MS,
    MAX_GAP_MS,
    REACH_MS,
    TICK_MS,
    Flow,
    Series,
    flows,
    gaps,
    in_order,
    total,
    windowed,
)

T0 = 1_790_000_000_000 - 1_790_000_000_000 % HOUR_MS
SIZES = st.sampled_from([60_000, HOUR_MS, 24 * HOUR_MS])
moments = st.integers(T0, T0 + 5 * HOUR_MS)
points = st.lists(st.tuples(moments, st.integers(0, 10**15)), max_size=40).map(in_order)
types: st.SearchStrategy[Type] = st.sampled_from(["counter", "gauge"])


@st.composite
def series(draw: st.DrawFn, kind: st.SearchStrategy[Type] = types) -> Series:
    starts = sorted(draw(st.lists(st.integers(T0 - 20 * 24 * HOUR_MS, T0 + 5 * HOUR_MS), max_size=3)))
    return Series(draw(kind), draw(points), starts, draw(st.none() | moments))


def counter(*points: tuple[int, int], starts: tuple[int, ...] = ()) -> Series:
    return Series("counter", [(T0 + at * 1000, value) for at, value in points], [T0 + at * 1000 for at in starts])


def used(found: Series) -> int:
    return sum(flow.amount for flow in flows(found))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(counter((0, 100), (30, 150), (60, 170)), 70, id="differences"),
        pytest.param(counter((0, 100)), 0, id="a first reading of a subject that ran before anybody looked"),
        pytest.param(counter((20, 100), starts=(5,)), 100, id="a pod that started between ticks counts in full"),
        pytest.param(counter((0, 100), (30, 40)), 40, id="a counter that fell began again at zero"),
        pytest.param(counter((0, 100), (30, 140), starts=(10,)), 140, id="a restart that grew past what it was"),
        pytest.param(counter((0, 100), (30, 140), (60, 150), starts=(-9, 10)), 250, id="start, restart, and on"),
        pytest.param(counter((0, 0), (300, 900)), 900, id="missed ticks lose nothing"),
        pytest.param(counter((7, 5), starts=(7,)), 5, id="read at the moment it started"),
    ],
)
def test_what_a_counter_says(found: Series, expected: int) -> None:
    assert used(found) == expected


def test_a_value_stands_until_the_next_one_the_first_since_the_start_and_the_last_until_the_end() -> None:
    found = Series("gauge", [(T0 + 10_000, 5), (T0 + 40_000, 7)], [T0], T0 + 60_000)
    assert list(flows(found)) == [
        Flow(T0, T0 + 10_000, 50_000),
        Flow(T0 + 10_000, T0 + 40_000, 150_000),
        Flow(T0 + 40_000, T0 + 60_000, 140_000),
    ]


def test_a_gauge_is_not_invented_over_a_gap_and_the_gap_is_reported() -> None:
    found = Series("gauge", [(T0, 5), (T0 + TICK_MS, 5), (T0 + 10 * TICK_MS, 5), (T0 + 11 * TICK_MS, 5)])
    assert (sum(flow.amount for flow in flows(found)), list(gaps(found))) == (
        5 * 2 * TICK_MS,
        [Flow(T0 + TICK_MS, T0 + 10 * TICK_MS, 9 * TICK_MS)],
    )


def test_what_a_counter_says_across_a_gap_is_spread_evenly_over_it() -> None:
    found = Series("counter", [(T0 + HOUR_MS // 2, 0), (T0 + 5 * HOUR_MS // 2, 1000)])
    assert windowed(flows(found), HOUR_MS) == {T0: 250, T0 + HOUR_MS: 500, T0 + 2 * HOUR_MS: 250}
    assert windowed(gaps(found), HOUR_MS) == {T0: HOUR_MS // 2, T0 + HOUR_MS: HOUR_MS, T0 + 2 * HOUR_MS: HOUR_MS // 2}


def test_nothing_is_spread_further_back_than_the_reach() -> None:
    found = Series("counter", [(T0, 1000)], [0])
    assert list(flows(found)) == [Flow(T0 - REACH_MS, T0, 1000)]
    assert list(gaps(found)) == [Flow(T0 - REACH_MS, T0, REACH_MS)]


@given(series(), SIZES)
def test_windows_add_up_to_the_whole_to_the_unit(found: Series, size: int) -> None:
    assert sum(windowed(flows(found), size).values()) == used(found)
    assert sum(windowed(gaps(found), size).values()) == sum(gap.amount for gap in gaps(found))


@given(series(), st.lists(moments, max_size=6))
def test_any_cuts_of_the_time_add_up_to_the_whole(found: Series, cuts: list[int]) -> None:
    borders = sorted([0, *cuts, 10**14])
    parts = [total(flows(found), start, end) for start, end in pairwise(borders)]
    assert sum(parts) == used(found)


@given(series(), st.data())
def test_order_repeats_and_lateness_of_readings_make_no_difference(found: Series, data: st.DataObject) -> None:
    repeated = list(found.points) + data.draw(st.lists(st.sampled_from(found.points))) if found.points else []
    came = data.draw(st.permutations(repeated))
    again = Series(found.type, in_order(came), found.starts_ms, found.ended_ms)
    assert windowed(flows(again), HOUR_MS) == windowed(flows(found), HOUR_MS)


@given(series(st.just("counter")), st.tuples(moments, st.integers(0, 10**15)), moments)
def test_knowing_more_never_lessens_what_a_counter_says(found: Series, more: tuple[int, int], start: int) -> None:
    read = Series("counter", in_order([more, *found.points]), found.starts_ms)
    if more[0] not in dict(found.points):
        assert used(read) >= used(found)
    assert used(Series("counter", found.points, sorted([*found.starts_ms, start]))) >= used(found)


@given(st.lists(st.tuples(st.integers(1, 400_000), st.integers(0, 10**12)), min_size=2, max_size=40), st.data())
def test_missed_ticks_lose_nothing_of_a_counter(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    at, value, every = T0, 0, []
    for later, more in steps:
        at, value = at + later, value + more
        every.append((at, value))
    kept = data.draw(st.lists(st.sampled_from(every[:-1]), unique=True))
    seen = Series("counter", sorted([*kept, every[-1]]), [T0])
    assert used(seen) == used(Series("counter", every, [T0])) == value


@given(st.lists(st.tuples(st.integers(1, 400_000), st.integers(0, 10**12), st.booleans()), max_size=40))
def test_a_counter_that_is_reset_counts_all_that_was_ever_read(steps: list[tuple[int, int, bool]]) -> None:
    """Each restart is known, and each life is read once more at its end: then nothing is missing."""
    at, value, truth, read, starts = T0, 0, 0, [], [T0]
    for later, more, restarts in steps:
        at += later
        if restarts:
            value = 0
            starts.append(at)
            at += 1
        value += more
        truth += more
        read.append((at, value))
    assert used(Series("counter", read, starts)) == truth


@given(series(st.just("gauge")))
def test_covered_time_and_gaps_make_up_the_life_of_a_gauge(found: Series) -> None:
    ones = Series("gauge", [(at, 1) for at, _ in found.points], found.starts_ms, found.ended_ms)
    if not ones.points:
        return
    first, last = ones.points[0][0], ones.points[-1][0]
    start = ones.started_before(first)
    life = max(last, ones.ended_ms or 0) - max(first if start is None else start, 0)
    missing = sum(gap.amount for gap in gaps(ones))
    unreachable = max(0, first - start - REACH_MS) if start is not None else 0
    assert used(ones) + missing == life - unreachable


@given(st.lists(st.integers(0, 10**10), min_size=2, max_size=30), st.integers(1000, MAX_GAP_MS), st.integers(1, 10))
def test_a_gauge_is_off_by_no_more_than_its_changes_times_the_tick(values: list[int], tick: int, many: int) -> None:
    """Against a truth that is read `many` times as often."""
    truth = [(T0 + index * tick, value) for index, value in enumerate(values)]
    rare = truth[::many] if truth[-1] in truth[::many] else [*truth[::many], truth[-1]]
    bound = sum(abs(b - a) for a, b in pairwise(values)) * tick * many
    wide = many * tick
    off = used(Series("gauge", rare, max_gap_ms=wide)) - used(Series("gauge", truth, max_gap_ms=wide))
    assert abs(off) <= bound


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**15), moments, moments)
def test_a_part_of_a_flow_is_within_one_unit_of_its_share(
    start: int, length: int, amount: int, one: int, other: int
) -> None:
    flow = Flow(start + T0, start + T0 + length, amount)
    low, high = sorted((one, other))
    inside = max(0, min(high, flow.end_ms) - max(low, flow.start_ms))
    assert abs(flow.within(low, high) - Fraction(amount * inside, length)) < 1
