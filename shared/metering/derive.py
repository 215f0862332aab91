"""What readings add up to. Pure, in whole numbers: what windows get adds up to the whole, to the unit.

A series is what one subject said of one metric. Its usage is a function of the *set* of its readings: in which order,
how often and how late they came makes no difference.

Counters: between two readings the difference was used, spread evenly. Where the counter fell, or its subject started
again in between, it began again at zero: what it stands at was used (what it had counted between the last reading
before the restart and the restart, nobody knows: less than one tick). The first reading counts in full where the
subject's start is known, otherwise not at all.

Gauges: a value stands until the next one is read, the first one since the subject's start, the last one until its end.
Their usage is value x milliseconds. It is off by at most the sum, over the ticks, of |change| x tick length.

Gaps: readings further apart than `max_gap_ms`. What counters say across one was used and is spread over it; a gauge's
value is not invented, it adds nothing there. Either way the gap is reported.

Nothing is spread over more than REACH_MS: a longer stretch puts all it says into its last REACH_MS.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from events.readings import Type

SECOND_MS = 1000
HOUR_MS = 3600 * SECOND_MS
DAY_MS = 24 * HOUR_MS
TICK_MS = 30 * SECOND_MS
MAX_GAP_MS = 5 * TICK_MS
REACH_MS = 7 * DAY_MS


class Flow(NamedTuple):
    """`amount` in [start_ms, end_ms), evenly."""

    start_ms: int
    end_ms: int
    amount: int

    def until(self, at_ms: int) -> int:
        """Rounded down; since parts are differences of this, they add up to the whole."""
        if at_ms >= self.end_ms:
            return self.amount
        return max(0, at_ms - self.start_ms) * self.amount // (self.end_ms - self.start_ms)

    def within(self, start_ms: int, end_ms: int) -> int:
        return self.until(end_ms) - self.until(start_ms)


@dataclass(frozen=True)
class Series:
    """`points` are (ms since 1970, units), in order of time, one for each time; `starts_ms` are in order, too."""

    type: Type
    points: Sequence[tuple[int, int]]
    starts_ms: Sequence[int] = ()
    ended_ms: int | None = None
    max_gap_ms: int = field(default=MAX_GAP_MS)

    def started_before(self, at_ms: int) -> int | None:
        """The subject's last start until then, as far as anything is spread back to it."""
        index = bisect_right(self.starts_ms, at_ms)
        return self.starts_ms[index - 1] if index else None


def in_order(points: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of two values for one time the larger one, whichever came first."""
    return list(dict(sorted(points)).items())


def flows(series: Series) -> Iterator[Flow]:
    return _counted(series) if series.type == "counter" else _held(series)


def gaps(series: Series) -> Iterator[Flow]:
    """Where nothing was read for too long; the amount is its length in milliseconds."""
    for start, end in pairwise(_moments(series)):
        if end - start > series.max_gap_ms:
            reached = max(start, end - REACH_MS)
            yield Flow(reached, end, end - reached)


def _moments(series: Series) -> Iterator[int]:
    """When something is known of the subject."""
    if not series.points:
        return
    first, last = series.points[0][0], series.points[-1][0]
    if (start := series.started_before(first)) is not None:
        yield start
    yield from (at for at, _ in series.points)
    if series.ended_ms is not None and series.ended_ms > last:
        yield series.ended_ms


def _counted(series: Series) -> Iterator[Flow]:
    if not series.points:
        return
    at, value = series.points[0]
    if (start := series.started_before(at)) is not None:
        yield from _spread(start, at, value)
    for (before, stood), (at, value) in pairwise(series.points):
        restart = series.started_before(at) if series.starts_ms else None
        if restart is not None and restart > before:
            yield from _spread(restart, at, value)
        else:
            yield from _spread(before, at, value - stood if value >= stood else value)


def _spread(start: int, end: int, amount: int) -> Iterator[Flow]:
    if amount:
        yield Flow(min(max(start, end - REACH_MS), end - 1), end, amount)


def _held(series: Series) -> Iterator[Flow]:
    if not series.points:
        return
    at, value = series.points[0]
    start = series.started_before(at)
    if start is not None:
        yield from _stood(series, start, at, value)
    for (before, stood), (at, _) in pairwise(series.points):
        yield from _stood(series, before, at, stood)
    at, value = series.points[-1]
    if series.ended_ms is not None:
        yield from _stood(series, at, series.ended_ms, value)


def _stood(series: Series, start: int, end: int, value: int) -> Iterator[Flow]:
    if value and 0 < end - start <= series.max_gap_ms:
        yield Flow(start, end, value * (end - start))


def windowed(parts: Iterable[Flow], size_ms: int) -> dict[int, int]:
    """How much each window (by its start) gets; those that get nothing are left out."""
    amounts: dict[int, int] = {}
    for part in parts:
        start = part.start_ms - part.start_ms % size_ms
        if part.end_ms <= start + size_ms:
            amounts[start] = amounts.get(start, 0) + part.amount
            continue
        while start < part.end_ms:
            if share := part.within(start, start + size_ms):
                amounts[start] = amounts.get(start, 0) + share
            start += size_ms
    return amounts


def total(parts: Iterable[Flow], start_ms: int, end_ms: int) -> int:
    return sum(part.within(start_ms, end_ms) for part in parts)
