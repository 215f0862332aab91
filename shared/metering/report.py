"""Usage in the units people read, summed up by what they ask for. Pure."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from events.readings import CUSTOM
from shared.metering.prices import BY_METRIC, UNITS, quantity_of, unit_of
from shared.metering.usage import Dimension, Tenure, Usage, summed

BY: dict[str, tuple[Dimension, ...]] = {
    "instance": ("offering", "instance"),
    "consumer": ("consumer",),
    "offering": ("offering",),
    "plan": ("offering", "plan"),
    "namespace": ("consumer_namespace",),
}


class Line(NamedTuple):
    """`quantities` by what prices are per, and custom metrics by their names; `gap_ms` of the metric that was missed
    longest."""

    by: tuple[str, ...]
    quantities: dict[str, Decimal]
    gap_ms: int


def dimensions(by: Sequence[str]) -> list[Dimension]:
    """Each once, in the order asked for."""
    return list(dict.fromkeys(dimension for name in by for dimension in BY[name]))


def lines(found: Iterable[Usage], by: Sequence[Dimension]) -> list[Line]:
    quantities: dict[tuple[str, ...], dict[str, Decimal]] = {}
    gaps: dict[tuple[str, ...], int] = {}
    for each in summed(found, by):
        used = Usage(Tenure(), each.metric, each.type, each.amount, each.gap_ms)
        gaps[each.by] = max(gaps.get(each.by, 0), each.gap_ms)
        mine = quantities.setdefault(each.by, {})
        for per in BY_METRIC.get(each.metric, [each.metric] if each.metric.startswith(CUSTOM) else []):
            name = f"{per}-hours" if per not in UNITS and each.type == "gauge" else per
            mine[name] = quantity_of(each.amount, unit_of(per, used))
    return [Line(key, found_here, gaps[key]) for key, found_here in sorted(quantities.items())]


def customs(found: Iterable[Line]) -> list[str]:
    return sorted({name for line in found for name in line.quantities if name.startswith(CUSTOM)})
