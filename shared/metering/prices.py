"""What things cost: prices with the date from which they count, and usage turned into money by them. Pure, in decimals.

A price counts from its date on, or, where it was made known later than that, from the next full hour: never backwards.
A price for a plan goes before one for the whole Offering. A new date replaces a price; an amount of 0 ends it.

quantity = amount of usage / units in one (below), rounded to 9 decimals, half to even;
charge = quantity x price, rounded to the currency's smallest unit, half to even, once for each line of an invoice.
So whoever has the line can compute it again, and the sum of an invoice is the sum of its lines.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from events import readings as metric
from shared.metering.derive import HOUR_MS
from shared.metering.times import ms_of, next_hour, time_of
from shared.metering.usage import Tenure, Usage

GIB = 2**30
NS_PER_HOUR = 3600 * 10**9
QUANTUM = Decimal("1e-9")
EXACT = Context(prec=80)
DECIMAL = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"
FULL_HOUR = r"^2[0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):00:00(Z|[+-](0[0-9]|1[0-4]):00)$"
"""So that the API server refuses what the model below would."""


class Unit(NamedTuple):
    metric: str
    per_one: int
    name: str


UNITS = {
    "instance-hour": Unit(metric.INSTANCE_PRESENT, HOUR_MS, "Hours"),
    "cpu-core-hour": Unit(metric.CPU, NS_PER_HOUR, "Core-Hours"),
    "cpu-requested-core-hour": Unit(metric.REQUESTS_CPU, 1000 * HOUR_MS, "Core-Hours"),
    "memory-gib-hour": Unit(metric.MEMORY, GIB * HOUR_MS, "GiB-Hours"),
    "memory-requested-gib-hour": Unit(metric.REQUESTS_MEMORY, GIB * HOUR_MS, "GiB-Hours"),
    "storage-gib-hour": Unit(metric.VOLUME_CAPACITY, GIB * HOUR_MS, "GiB-Hours"),
    "storage-used-gib-hour": Unit(metric.VOLUME_USED, GIB * HOUR_MS, "GiB-Hours"),
    "ephemeral-storage-gib-hour": Unit(metric.EPHEMERAL_STORAGE, GIB * HOUR_MS, "GiB-Hours"),
    "network-received-gib": Unit(metric.NETWORK_RECEIVED, GIB, "GiB"),
    "network-transmitted-gib": Unit(metric.NETWORK_TRANSMITTED, GIB, "GiB"),
}
PER = rf"^({'|'.join(UNITS)}|{metric.CUSTOM}[!-~]{{1,200}})$"
BY_METRIC: dict[str, list[str]] = {}
for _per, _unit in UNITS.items():
    BY_METRIC.setdefault(_unit.metric, []).append(_per)

# Currencies whose smallest unit is no hundredth (ISO 4217).
NO_DECIMALS = ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"]
NO_DECIMALS += ["XAF", "XOF", "XPF"]
THREE_DECIMALS = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]
DECIMALS = dict.fromkeys(NO_DECIMALS, 0) | dict.fromkeys(THREE_DECIMALS, 3)


class OfferedPrice(BaseModel):
    """One of an Offering's `spec.metering.prices`. The amount is a string: a number would lose decimals on its way."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    per: str = Field(pattern=PER, description="What is charged for: instance-hour, cpu-core-hour, ..., custom:NAME")
    amount: str = Field(pattern=DECIMAL, description="Price of one, as a decimal number: '0.045'")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217: EUR")
    plan: str | None = Field(None, max_length=63, description="Default: all plans that have no price of their own")
    valid_from: AwareDatetime | None = Field(
        None,
        description="A full hour; default: from when it is made known",
        json_schema_extra={"pattern": FULL_HOUR},
    )

    @model_validator(mode="after")
    def _full_hour(self) -> "OfferedPrice":
        if self.valid_from is not None and ms_of(self.valid_from) % HOUR_MS:
            raise ValueError(f"validFrom: {self.valid_from:%FT%T%z} is not a full hour; usage is kept by the hour")
        return self


class Price(NamedTuple):
    """As it counts. `plan` is empty for all plans; `valid_from` is never before it was made known."""

    offering: str
    plan: str
    per: str
    amount: Decimal
    currency: str
    valid_from: datetime


class Noted(NamedTuple):
    """A price as it was asked for, and since when it is known."""

    price: Price
    known_since: datetime

    @property
    def counts_from(self) -> datetime:
        return max(self.price.valid_from, time_of(next_hour(ms_of(self.known_since))))


def counting(noted: Sequence[Noted]) -> list[Price]:
    """With the dates from which they count; without those that another one had replaced before they could."""
    return [
        each.price._replace(valid_from=each.counts_from)
        for each in noted
        if not any(_replaces(other, each) for other in noted)
    ]


def _replaces(other: Noted, each: Noted) -> bool:
    return (
        other.price[:3] == each.price[:3]
        and other.price.valid_from > each.price.valid_from
        and other.counts_from <= each.counts_from
    )


class Charge(NamedTuple):
    """One line: what one instance used of one thing at one price. `gap_ms`: for how long nothing was measured."""

    tenure: Tenure
    per: str
    unit: str
    start: datetime
    end: datetime
    quantity: Decimal
    unit_price: Decimal
    currency: str
    amount: Decimal
    gap_ms: int


class Period(NamedTuple):
    start_ms: int
    end_ms: int


def priced(offering: str, offered: Iterable[OfferedPrice]) -> list[Price]:
    """What an Offering asks for, to be noted in the ledger."""
    beginning = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        Price(offering, each.plan or "", each.per, Decimal(each.amount), each.currency, each.valid_from or beginning)
        for each in offered
    ]


def periods(prices: Iterable[Price], start_ms: int, end_ms: int) -> list[Period]:
    """The period, cut wherever a price changes."""
    changes = {ms_of(price.valid_from) for price in prices}
    borders = [start_ms, *sorted(change for change in changes if start_ms < change < end_ms), end_ms]
    return [Period(*pair) for pair in pairwise(borders)]


def price_for(prices: Iterable[Price], tenure: Tenure, per: str, at: datetime) -> Price | None:
    fitting = [
        price
        for price in prices
        if (price.offering, price.per) == (tenure.offering, per)
        and price.plan in ("", tenure.plan)
        and price.valid_from <= at
    ]
    return max(fitting, key=lambda price: (price.plan != "", price.valid_from), default=None)


def unit_of(per: str, used: Usage) -> Unit:
    if per in UNITS:
        return UNITS[per]
    if used.type == "counter":
        return Unit(used.metric, metric.CUSTOM_UNITS_PER_ONE, "Units")
    return Unit(used.metric, metric.CUSTOM_UNITS_PER_ONE * HOUR_MS, "Unit-Hours")


def charged(used: Sequence[tuple[Period, Sequence[Usage]]], prices: Sequence[Price]) -> list[Charge]:
    """Usage of periods in which no price changes, charged. Periods at one price make one line."""
    by_key: dict[tuple[str, str], list[Price]] = {}
    for each_price in prices:
        by_key.setdefault((each_price.offering, each_price.per), []).append(each_price)
    lines: dict[tuple[Tenure, str, Unit, Price], tuple[Period, int, int]] = {}
    for period, usages in used:
        at = time_of(period.start_ms)
        for each in usages:
            for per in BY_METRIC.get(each.metric, [each.metric]):
                found = price_for(by_key.get((each.tenure.offering, per), ()), each.tenure, per, at)
                if found is not None:
                    key = (each.tenure, per, unit_of(per, each), found)
                    whole, amount, gap = lines.get(key, (period, 0, 0))
                    together = Period(min(whole.start_ms, period.start_ms), max(whole.end_ms, period.end_ms))
                    lines[key] = (together, amount + each.amount, gap + each.gap_ms)
    return sorted(_charge(*key, *found) for key, found in lines.items())


def _charge(tenure: Tenure, per: str, unit: Unit, price: Price, period: Period, amount: int, gap_ms: int) -> Charge:
    quantity = quantity_of(amount, unit)
    return Charge(
        tenure=tenure,
        per=per,
        unit=unit.name,
        start=time_of(period.start_ms),
        end=time_of(period.end_ms),
        quantity=quantity,
        unit_price=price.amount,
        currency=price.currency,
        amount=money(quantity, price),
        gap_ms=gap_ms,
    )


def quantity_of(amount: int, unit: Unit) -> Decimal:
    return Decimal(round(Fraction(amount, unit.per_one) / Fraction(QUANTUM))).scaleb(-9, EXACT)


def money(quantity: Decimal, price: Price) -> Decimal:
    return rounded(EXACT.multiply(quantity, price.amount), price.currency)


def rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(smallest(currency), ROUND_HALF_EVEN, EXACT)


def smallest(currency: str) -> Decimal:
    """The smallest unit of a currency: 0.01."""
    return Decimal(1).scaleb(-DECIMALS.get(currency, 2))
