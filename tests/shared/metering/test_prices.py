"""Prices that count from their date, and charges anybody can compute again."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.readings import CPU, Type
from shared.errors import Refused
from shared.metering.derive import HOUR_MS
from shared.metering.invoice import invoice, totals
from shared.metering.ledger import Ledger
from shared.metering.prices import (
    Charge,
    Noted,
    OfferedPrice,
    Period,
    Price,
    Unit,
    charged,
    counting,
    periods,
    priced,
    quantity_of,
    rounded,
)
from shared.metering.times import DAY, HOUR, MONTH, Stretch, ms_of, stretches, time_of
from shared.metering.usage import Tenure, Usage
from tests.shared.metering.builders import T0, at, reading, subject

TENURE = Tenure("instance-1", "team-a/orders", "database", "small", "team-a", "team-a")
HOUR_OF_CPU = 3600 * 10**9


def price(
    per: str = "cpu-core-hour", amount: str = "0.04", plan: str = "", since: datetime = T0, **other: str
) -> Price:
    return Price(other.get("offering", "database"), plan, per, Decimal(amount), other.get("currency", "EUR"), since)


def used(amount: int, metric: str = CPU, kind: Type = "counter", tenure: Tenure = TENURE) -> Usage:
    return Usage(tenure, metric, kind, amount, 0)


def day(*usages: Usage) -> tuple[Period, list[Usage]]:
    return Period(ms_of(T0), ms_of(at(86400))), list(usages)


def test_what_was_used_is_charged_at_its_price() -> None:
    assert charged([day(used(HOUR_OF_CPU * 3 // 2))], [price()]) == [
        Charge(
            TENURE,
            "cpu-core-hour",
            "Core-Hours",
            T0,
            at(86400),
            Decimal("1.500000000"),
            Decimal("0.04"),
            "EUR",
            Decimal("0.06"),
            0,
        )
    ]


def test_the_price_for_a_plan_goes_before_the_one_for_the_offering() -> None:
    prices = [price(amount="1"), price(amount="2", plan="small"), price(amount="3", plan="large")]
    assert [each.unit_price for each in charged([day(used(HOUR_OF_CPU))], prices)] == [Decimal(2)]


def test_what_has_no_price_is_not_charged() -> None:
    assert (
        charged([day(used(1, "network_rx_bytes"))], [price(), price(offering="cache", per="network-received-gib")])
        == []
    )


def test_a_custom_counter_is_charged_by_its_unit_and_a_gauge_by_its_hour() -> None:
    prices = [price("custom:orders", "2"), price("custom:seats", "5")]
    found = charged([day(used(3_500, "custom:orders"), used(1000 * HOUR_MS, "custom:seats", "gauge"))], prices)
    assert [(each.quantity, each.amount, each.unit) for each in found] == [
        (Decimal("3.5"), Decimal(7), "Units"),
        (Decimal(1), Decimal(5), "Unit-Hours"),
    ]


def test_a_new_price_splits_the_period_and_changes_nothing_before_it() -> None:
    prices = [price(amount="1"), price(amount="2", since=at(7200)), price("instance-hour", since=at(10_800))]
    cut = periods(prices, ms_of(T0), ms_of(at(14_400)))
    assert [(time_of(each.start_ms), time_of(each.end_ms)) for each in cut] == [
        (T0, at(7200)),
        (at(7200), at(10_800)),
        (at(10_800), at(14_400)),
    ]
    found = charged([(each, [used(HOUR_OF_CPU)]) for each in cut], prices)
    assert [(each.start, each.end, each.quantity, each.amount) for each in found] == [
        (T0, at(7200), Decimal(1), Decimal(1)),
        (at(7200), at(14_400), Decimal(2), Decimal(4)),
    ]


def test_a_price_that_becomes_known_late_counts_from_the_next_full_hour() -> None:
    assert counting([Noted(price(), at(5000))]) == [price(since=at(7200))]


def test_an_old_price_that_becomes_known_after_its_successor_never_counts() -> None:
    new, old = Noted(price(amount="2", since=at(3600)), T0), Noted(price(amount="1"), at(5000))
    assert counting([new, old]) == [price(amount="2", since=at(3600))]


def test_a_price_of_an_offering_is_what_its_manifest_says() -> None:
    manifest = {"per": "cpu-core-hour", "amount": "0.040", "currency": "EUR", "validFrom": "2026-11-01T00:00:00Z"}
    assert priced("database", [OfferedPrice.model_validate(manifest)]) == [price()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"per": "cpu-hour"},
        {"amount": "-1"},
        {"amount": "1e3"},
        {"amount": "NaN"},
        {"currency": "euro"},
        {"validFrom": "2026-11-01T00:30:00Z"},
        {"validFrom": "2026-11-01T00:00:00"},
    ],
    ids=lambda wrong: str(next(iter(wrong.items()))),
)
def test_a_price_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    right = {"per": "cpu-core-hour", "amount": "0.04", "currency": "EUR"}
    OfferedPrice.model_validate(right)
    with pytest.raises(ValidationError):
        OfferedPrice.model_validate({**right, **wrong})


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("0.125", "EUR", "0.12"),
        ("0.135", "EUR", "0.14"),
        ("1.5", "JPY", "2"),
        ("2.5", "JPY", "2"),
        ("0.0015", "KWD", "0.002"),
    ],
)
def test_amounts_are_rounded_to_the_currencys_smallest_unit_half_to_even(
    amount: str, currency: str, expected: str
) -> None:
    assert str(rounded(Decimal(amount), currency)) == expected


@given(st.integers(0, 10**30), st.integers(1, 10**20))
def test_a_quantity_is_within_half_of_its_last_decimal(amount: int, per_one: int) -> None:
    off = Fraction(quantity_of(amount, Unit("x", per_one, "X"))) - Fraction(amount, per_one)
    assert abs(off) <= Fraction(1, 2 * 10**9)


@given(st.lists(st.tuples(st.integers(0, 10**18), st.sampled_from(["a", "b", "c"])), max_size=12))
def test_an_invoice_is_the_sum_of_its_lines_each_of_which_can_be_computed_again(rows: list[tuple[int, str]]) -> None:
    usages = [used(amount, tenure=TENURE._replace(instance_uid=uid)) for amount, uid in rows]
    found = invoice("team-a", T0, at(86400), charged([day(*usages)], [price()]), complete=True)
    assert found.totals == totals(found.lines)
    assert sum(line.amount for line in found.lines) == sum(found.totals.values())
    assert all(rounded(line.quantity * line.unit_price, "EUR") == line.amount for line in found.lines)


hours = st.integers(ms_of(T0) // HOUR_MS - 10_000, ms_of(T0) // HOUR_MS + 10_000).map(lambda hour: hour * HOUR_MS)


@given(hours, hours)
def test_a_period_is_cut_into_hours_days_and_months_without_a_gap(one: int, other: int) -> None:
    start, end = sorted((one, other))
    parts = list(stretches(start, end))
    assert [part.start_ms for part in parts] + [end] == [start, *(part.end_ms for part in parts)]
    assert len(parts) <= 5


def test_a_month_is_one_part_and_its_neighbours_are_days_and_hours() -> None:
    def ms(month: int, day: int, hour: int = 0) -> int:
        return ms_of(T0.replace(month=month, day=day, hour=hour))

    assert list(stretches(ms(9, 29, 22), ms(11, 3, 1))) == [
        Stretch(HOUR, ms(9, 29, 22), ms(9, 30)),
        Stretch(DAY, ms(9, 30), ms(10, 1)),
        Stretch(MONTH, ms(10, 1), ms(11, 1)),
        Stretch(DAY, ms(11, 1), ms(11, 3)),
        Stretch(HOUR, ms(11, 3), ms(11, 3, 1)),
    ]


async def test_the_ledger_makes_an_invoice_from_readings_and_prices(ledger: Ledger) -> None:
    """A worked invoice: one core for three hours, 0.04 an hour and from the third hour on 0.05."""
    await ledger.note_prices([price(), price(amount="0.05", since=at(7200))], T0 - timedelta(days=1))
    read = [reading(second, second * 10**9) for second in range(0, 10_801, 120)]
    await ledger.record(read, [subject(0, started_at=T0), subject(10_800, started_at=T0)], at(10_800))
    assert not (await ledger.invoice("team-a", T0, at(30 * 86400))).complete
    await ledger.materialise(at(86400))
    found = await ledger.invoice("team-a", T0, at(30 * 86400))
    assert found.complete
    assert [(line.start, line.quantity, line.amount) for line in found.lines] == [
        (T0, Decimal(2), Decimal("0.08")),
        (at(7200), Decimal(1), Decimal("0.05")),
    ]
    assert found.totals == {"EUR": Decimal("0.13")}
    assert (await ledger.invoice("team-b", T0, at(86400))).lines == ()


async def test_a_price_is_noted_once_and_never_changed(ledger: Ledger) -> None:
    assert [await ledger.note_prices([price()], T0), await ledger.note_prices([price()], at(90_000))] == [1, 0]
    with pytest.raises(Refused, match="give the new price a new validFrom"):
        await ledger.note_prices([price(amount="0.05")], at(90_000))
    assert await ledger.note_prices([price(amount="0.05", since=at(180_000))], at(90_000)) == 1
    assert await ledger.prices() == [price(), price(amount="0.05", since=at(180_000))]
