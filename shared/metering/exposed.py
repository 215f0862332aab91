"""What each instance used since it was made, as counters for Prometheus: few enough of them, and none ever falls.

All of them are sums of windows, so whoever adds up `increase()` over a month gets what the invoice says, but for what
Prometheus extrapolates. Memory and storage are counted, too, in byte-seconds: their rate is the average in bytes.

Only so many instances have series of their own. The rest is added up, for each Offering, as `_other`. Whoever is in
one of the two stays there as long as the process lives: a counter from which somebody is taken away would fall.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from events import readings as metric
from events.readings import CUSTOM, CUSTOM_UNITS_PER_ONE
from shared.metering.usage import Tenure, Usage

OTHER = "_other"
CUSTOM_LIMIT = 20
"""Metrics of Offerings' own, by their names; more are left out, and counted."""
LABELS = ("offering", "plan", "namespace", "instance", "consumer", "uid")
PREFIX = "chandlery_instance"


class Shown(NamedTuple):
    name: str
    help: str
    per_one: int
    """How many of the ledger's units are one."""


FAMILIES: dict[str, Shown] = {
    metric.CPU: Shown("cpu_seconds", "CPU time used", 10**9),
    metric.REQUESTS_CPU: Shown("cpu_requested_core_seconds", "CPU requested, times how long", 10**6),
    metric.MEMORY: Shown("memory_byte_seconds", "Working set, times how long", 1000),
    metric.REQUESTS_MEMORY: Shown("memory_requested_byte_seconds", "Memory requested, times how long", 1000),
    metric.VOLUME_CAPACITY: Shown("storage_byte_seconds", "Capacity of volumes, times how long", 1000),
    metric.VOLUME_USED: Shown("storage_used_byte_seconds", "What volumes held, times how long", 1000),
    metric.EPHEMERAL_STORAGE: Shown("ephemeral_storage_byte_seconds", "Ephemeral storage, times how long", 1000),
    metric.INSTANCE_PRESENT: Shown("present_seconds", "How long the instance was there", 1000),
}
DIRECTIONS = {metric.NETWORK_RECEIVED: "received", metric.NETWORK_TRANSMITTED: "transmitted"}

Labels = tuple[str, ...]
Key = tuple[str, Labels]  # family with what tells its series apart, and whose it is


@dataclass
class Exposed:
    """What a process has exposed so far."""

    limit: int
    own: set[str] = field(default_factory=set)
    folded: set[str] = field(default_factory=set)
    stood: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def admit(self, used: Sequence[Usage], living: set[str]) -> None:
        """Who gets series of its own: who used most CPU goes first, as far as there is room."""
        cpu = dict.fromkeys(living - self.own - self.folded, 0)
        for each in used:
            if each.metric == metric.CPU and each.tenure.instance_uid in cpu:
                cpu[each.tenure.instance_uid] += each.amount
        room = self.limit - len(self.own & living)
        ranked = sorted(cpu, key=lambda uid: (-cpu[uid], uid))
        self.own |= set(ranked[: max(0, room)])
        self.folded |= set(ranked[max(0, room) :])
        self.own &= living

    def collect(self, used: Sequence[Usage], living: set[str]) -> list[Metric]:
        self.admit(used, living)
        sums: dict[tuple[str, Labels], float] = {}
        for series, amount in self._series(used):
            sums[series] = sums.get(series, 0) + amount
        self.stood = {series: max(amount, self.stood.get(series, 0)) for series, amount in sums.items()}
        counts = {"own": len(self.own & living), "other": len(self.folded & living)}
        left_out = len(customs(used)) - len(customs(used)[:CUSTOM_LIMIT])
        return [*families(self.stood), *about(counts, left_out)]

    def _series(self, used: Sequence[Usage]) -> Iterator[tuple[tuple[str, Labels], float]]:
        named = set(customs(used)[:CUSTOM_LIMIT])
        gaps: dict[Labels, dict[str, int]] = {}
        for each in used:
            if (whose := self._labels(each.tenure)) is None:
                continue
            gap = gaps.setdefault(whose, {})
            gap[each.metric] = gap.get(each.metric, 0) + each.gap_ms
            if each.metric in FAMILIES:
                shown = FAMILIES[each.metric]
                yield (shown.name, whose), each.amount / shown.per_one
            elif each.metric in DIRECTIONS:
                yield ("network_bytes", (*whose, DIRECTIONS[each.metric])), float(each.amount)
            elif each.metric in named:
                kind = "custom" if each.type == "counter" else "custom_unit_seconds"
                per_one = CUSTOM_UNITS_PER_ONE * (1 if each.type == "counter" else 1000)
                yield (kind, (*whose, each.metric.removeprefix(CUSTOM))), each.amount / per_one
        for whose, found in gaps.items():
            yield ("gap_seconds", whose), max(found.values()) / 1000

    def _labels(self, tenure: Tenure) -> Labels | None:
        if tenure.instance_uid in self.folded:
            return (tenure.offering, *(OTHER for _ in LABELS[1:]))
        if tenure.instance_uid not in self.own:
            return None
        namespace, _, name = tenure.instance.partition("/")
        return (tenure.offering, tenure.plan, namespace, name, tenure.consumer, tenure.instance_uid)


def customs(used: Iterable[Usage]) -> list[str]:
    return sorted({each.metric for each in used if each.metric.startswith(CUSTOM)})


SERIES: dict[str, tuple[str, tuple[str, ...]]] = {
    **{shown.name: (shown.help, ()) for shown in FAMILIES.values()},
    "network_bytes": ("Bytes that went over the network", ("direction",)),
    "custom": ("Counters of Offerings' own", ("metric",)),
    "custom_unit_seconds": ("Gauges of Offerings' own, times how long", ("metric",)),
    "gap_seconds": ("For how long nothing was read, over all pods and volumes together", ()),
}


def families(values: dict[tuple[str, Labels], float]) -> Iterator[Metric]:
    for name, (help_, more) in SERIES.items():
        found = CounterMetricFamily(f"{PREFIX}_{name}", help_, labels=[*LABELS, *more])
        for (kind, labels), value in sorted(values.items()):
            if kind == name:
                found.add_metric(labels, value)
        yield found


def about(counts: dict[str, int], left_out: int) -> Iterator[Metric]:
    instances = GaugeMetricFamily(
        "chandlery_usage_instances", "Instances with series of their own, and those added up", labels=["series"]
    )
    for series, count in counts.items():
        instances.add_metric([series], count)
    yield instances
    yield GaugeMetricFamily("chandlery_usage_custom_left_out", "Names of custom metrics that are not shown", left_out)
