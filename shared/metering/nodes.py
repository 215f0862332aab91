"""What nodes cost, as an operator writes it down, and who of those on them bears how much of it. Pure.

The file is CSV with the columns `node`, `cost` and `currency`, for the period of the export; `cpu-weight` and
`memory-weight` say how the cost comes about, `invoice` on whose it stands; these may be left out.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from events import readings as metric
from shared.errors import Refused
from shared.metering.allocate import Had, Node, allocate
from shared.metering.focus import Issuer, Row, allocated
from shared.metering.prices import DECIMAL, Charge, smallest
from shared.metering.queries import NodeUsage
from shared.metering.usage import Tenure

SIZE_LIMIT = 4 * 1024 * 1024
NEEDED = ("node", "cost", "currency")
NS_PER_MILLICORE_MS = 1000
IDLE = "idle"
UNKNOWN = "unknown"
"""What was read of no instance; somebody has it all the same."""


class Cost(NamedTuple):
    node: str
    cost: Decimal
    currency: str
    cpu_weight: int
    memory_weight: int
    invoice: str | None


def costs_in(text: str, file: str) -> list[Cost]:
    """Raises Refused with the line that can't be used."""
    reader = csv.DictReader(io.StringIO(text))
    try:
        return list(_costs(reader, file))
    except csv.Error as error:
        raise Refused("InvalidCosts", f"{file}:{reader.line_num}: {error}; write it as CSV") from error


def _costs(reader: "csv.DictReader[str]", file: str) -> Iterator[Cost]:
    if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
        raise Refused("InvalidCosts", f"{file}: has no column {', '.join(missing)}; begin it with node,cost,currency")
    seen: set[str] = set()
    for each in reader:
        cost = _cost(each, f"{file}:{reader.line_num}")
        if cost.node in seen:
            raise Refused("InvalidCosts", f"{file}:{reader.line_num}: {cost.node} stands there twice; add it up")
        seen.add(cost.node)
        yield cost


def _cost(each: Mapping[str, str | None], where: str) -> Cost:
    node, cost, currency = ((each[name] or "").strip() for name in NEEDED)
    if not node or len(node) > 253:
        raise Refused("InvalidCosts", f"{where}: node: is missing, or no name")
    if not re.fullmatch(DECIMAL, cost):
        raise Refused("InvalidCosts", f"{where}: cost: {cost[:40]!r} is no amount; write it as 123.45")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise Refused("InvalidCosts", f"{where}: currency: {currency[:40]!r} is none; write it as EUR")
    weights = [_weight(each.get(name), f"{where}: {name}") for name in ("cpu-weight", "memory-weight")]
    if not any(weights):
        raise Refused("InvalidCosts", f"{where}: cpu-weight and memory-weight are both 0; one must count")
    if Decimal(cost) % smallest(currency):
        raise Refused("InvalidCosts", f"{where}: cost: {cost} is no whole number of {smallest(currency)} {currency}")
    return Cost(node, Decimal(cost), currency, weights[0], weights[1], _invoice(each.get("invoice")))


def _invoice(said: str | None) -> str | None:
    return (said or "").strip()[:200] or None


def _weight(said: str | None, where: str) -> int:
    if not (said or "").strip():
        return 1
    if not re.fullmatch(r"[0-9]{1,9}", said := str(said).strip()):
        raise Refused("InvalidCosts", f"{where}: {said[:40]!r} is no whole number")
    return int(said)


class Period(NamedTuple):
    start: datetime
    end: datetime


def rows(
    costs: Iterable[Cost], used: Iterable[NodeUsage], period: Period, issuer: Issuer, share: bool
) -> Iterator[Row]:
    """The cost of each node by those who were on it, and what was idle, if that is not shared out among them."""
    by_node: dict[str, list[NodeUsage]] = {}
    for each in used:
        by_node.setdefault(each.node, []).append(each)
    for cost in costs:
        yield from _split(cost, by_node.get(cost.node, []), period, issuer, share)


def _split(cost: Cost, used: list[NodeUsage], period: Period, issuer: Issuer, share: bool) -> list[Row]:
    capacity = had_by(each for each in used if each.kind == "node").get(Tenure(), Had())
    theirs = had_by(each for each in used if each.kind != "node")
    node = Node(cost.cost, cost.currency, capacity.cpu, capacity.memory, cost.cpu_weight, cost.memory_weight)
    names = {"\n".join(tenure): tenure for tenure in sorted(theirs)}
    found = allocate(node, {name: theirs[tenure] for name, tenure in names.items()}, share)
    charges = {name: _charge(tenure, UNKNOWN, cost, period, issuer) for name, tenure in names.items()}
    idle = _charge(Tenure(), IDLE, cost, period, issuer)
    return [row for row in allocated(cost.node, charges, found, idle, issuer, cost.invoice) if row["BilledCost"]]


def _charge(tenure: Tenure, what: str, cost: Cost, period: Period, issuer: Issuer) -> Charge:
    """Whose it is, and for when; the amount comes with the allocation. What is nobody's stays with the provider."""
    nobody = Tenure("", f"{cost.node}/{what}", "node", "", "", issuer.provider)
    zero = Decimal(0)
    whose = tenure if any(tenure) else nobody
    return Charge(whose, "node-share", "Shares", *period, zero, zero, cost.currency, zero, 0)


def had_by(used: Iterable[NodeUsage]) -> dict[Tenure, Had]:
    """A node's capacity counts as what it requested."""
    fields = {
        metric.CPU: ("cpu_used", 1),
        metric.REQUESTS_CPU: ("cpu_requested", NS_PER_MILLICORE_MS),
        metric.CAPACITY_CPU: ("cpu_requested", NS_PER_MILLICORE_MS),
        metric.MEMORY: ("memory_used", 1),
        metric.REQUESTS_MEMORY: ("memory_requested", 1),
        metric.CAPACITY_MEMORY: ("memory_requested", 1),
    }
    sums: dict[Tenure, Had] = {}
    for each in used:
        if each.metric in fields:
            name, per_one = fields[each.metric]
            tenure = Tenure() if each.kind == "node" else each.tenure
            known = sums.get(tenure, Had())
            sums[tenure] = known._replace(**{name: getattr(known, name) + each.amount * per_one})
    return sums
