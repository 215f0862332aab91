"""What one consumer owes for one period. Pure."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from shared.metering.prices import Charge, smallest


class Invoice(NamedTuple):
    """`complete`: every window of the period was in; `gap_ms` is what nobody measured, over all lines."""

    consumer: str
    start: datetime
    end: datetime
    lines: tuple[Charge, ...]
    totals: dict[str, Decimal]
    complete: bool

    @property
    def gap_ms(self) -> int:
        return sum(line.gap_ms for line in self.lines)


def invoice(consumer: str, start: datetime, end: datetime, charges: Iterable[Charge], complete: bool) -> Invoice:
    lines = tuple(charge for charge in charges if charge.tenure.consumer == consumer)
    return Invoice(consumer, start, end, lines, totals(lines), complete)


def totals(lines: Iterable[Charge]) -> dict[str, Decimal]:
    """By currency: they are not added up into one another."""
    sums: dict[str, Decimal] = {}
    for line in lines:
        sums[line.currency] = sums.get(line.currency, Decimal(0) * smallest(line.currency)) + line.amount
    return dict(sorted(sums.items()))
