"""A node's cost, split over those who used it: what is allocated and what was idle add up to it to the cent. Pure.

For CPU and for memory: whoever requested or used something has a part of it, of the two the larger, as long as the
period lasted. What no one had of the node's capacity was idle. The node's cost is first split between CPU and memory by
their weights, each of those over its parts; or, where more is had than there is, over what is had.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from shared.metering.prices import smallest


class Had(NamedTuple):
    """By one of those on a node: core-nanoseconds and byte-milliseconds."""

    cpu_requested: int = 0
    cpu_used: int = 0
    memory_requested: int = 0
    memory_used: int = 0

    @property
    def cpu(self) -> int:
        return max(self.cpu_requested, self.cpu_used)

    @property
    def memory(self) -> int:
        return max(self.memory_requested, self.memory_used)


class Node(NamedTuple):
    """What it cost and what it had to give; the weights are how its cost comes about (cores, memory)."""

    cost: Decimal
    currency: str
    cpu: int
    memory: int
    cpu_weight: int = 1
    memory_weight: int = 1


class Allocation(NamedTuple):
    """`idle` went to nobody; where it was shared out, it is zero and in everyone's part."""

    parts: dict[str, Decimal]
    idle: Decimal


IDLE = ""


def allocate(node: Node, had: Mapping[str, Had], share_idle: bool = False) -> Allocation:
    """With `share_idle` the whole cost goes to those who were there, in proportion; to nobody if there was nobody."""
    shares = _shares(node, had)
    if share_idle and any(share for who, share in shares.items() if who != IDLE):
        shares[IDLE] = Fraction(0)
    parts = dict(zip(shares, split(node.cost, list(shares.values()), smallest(node.currency)), strict=True))
    return Allocation({who: parts[who] for who in had}, parts[IDLE])


def _shares(node: Node, had: Mapping[str, Had]) -> dict[str, Fraction]:
    if IDLE in had:
        raise ValueError("nobody is called ''")
    weights = Fraction(node.cpu_weight), Fraction(node.memory_weight)
    cpu = _parts_of(node.cpu, {who: each.cpu for who, each in had.items()})
    memory = _parts_of(node.memory, {who: each.memory for who, each in had.items()})
    return {who: weights[0] * cpu[who] + weights[1] * memory[who] for who in [*had, IDLE]}


def _parts_of(capacity: int, amounts: Mapping[str, int]) -> dict[str, Fraction]:
    """As parts of one, with what was idle."""
    whole = max(capacity, sum(amounts.values()))
    if not whole:
        return dict.fromkeys(amounts, Fraction(0)) | {IDLE: Fraction(1)}
    parts = {who: Fraction(amount, whole) for who, amount in amounts.items()}
    return parts | {IDLE: 1 - sum(parts.values(), Fraction(0))}


def split(cost: Decimal, shares: Sequence[Fraction], unit: Decimal) -> list[Decimal]:
    """In proportion, each within one unit of its exact part; the units left over go to the largest remainders.

    What of the cost is no full unit stays with the first who has a share, so that the sum is the cost in any case.
    """
    whole = sum(shares, Fraction(0))
    if not whole:
        raise ValueError("somebody must have a share")
    units = int(cost / unit)
    exact = [units * share / whole for share in shares]
    given = [int(part // 1) for part in exact]
    largest = sorted(range(len(shares)), key=lambda index: (given[index] - exact[index], index))
    for index in largest[: units - sum(given)]:
        given[index] += 1
    parts = [each * unit for each in given]
    first = next(index for index, share in enumerate(shares) if share)
    parts[first] += cost - units * unit
    return parts
