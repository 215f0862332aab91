"""Milliseconds since 1970, and the hours, days and months (UTC) they fall into. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from shared.errors import Refused
from shared.metering.derive import DAY_MS, HOUR_MS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
HOUR, DAY, MONTH = 0, 1, 2


def ms_of(at: datetime) -> int:
    return (at - EPOCH) // MILLISECOND


def time_of(ms: int) -> datetime:
    return EPOCH + ms * MILLISECOND


def hour_of(ms: int) -> int:
    return ms - ms % HOUR_MS


def next_hour(ms: int) -> int:
    """The first full hour that is not before it."""
    return hour_of(ms + HOUR_MS - 1)


def day_of(ms: int) -> int:
    return ms - ms % DAY_MS


def month_of(ms: int) -> int:
    return ms_of(time_of(ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def next_month(ms: int) -> int:
    """The first start of a month that is not before it."""
    start = month_of(ms)
    return start if start == ms else month_of(start + 32 * DAY_MS)


class Stretch(NamedTuple):
    """Whole hours, days or months from start_ms until before end_ms."""

    span: int
    start_ms: int
    end_ms: int


def full_hour(at: datetime, field: str) -> int:
    """Windows are hours, so whatever is asked of them begins and ends with one."""
    ms = ms_of(at)
    if ms % HOUR_MS:
        raise Refused("InvalidPeriod", f"{field}: {at:%FT%TZ} is not a full hour (UTC), as usage is kept; round it")
    return ms


def stretches(start_ms: int, end_ms: int) -> Iterator[Stretch]:
    """The period in as few parts as there are: months, days at both sides of them, hours at both sides of those."""
    return _parts(MONTH, start_ms, end_ms)


def _parts(span: int, start: int, end: int) -> Iterator[Stretch]:
    if start >= end:
        return
    if span == HOUR:
        yield Stretch(HOUR, start, end)
        return
    first, last = (next_month(start), month_of(end)) if span == MONTH else (day_of(start + DAY_MS - 1), day_of(end))
    if first >= last:
        yield from _parts(span - 1, start, end)
        return
    yield from _parts(span - 1, start, first)
    yield Stretch(span, first, last)
    yield from _parts(span - 1, last, end)
