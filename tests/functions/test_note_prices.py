"""What is said of an Offering's prices; tests/e2e/test_usage_reports.py asks the real stack."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from functions.note_prices import judged, wanted
from shared.errors import Refused
from shared.metering.prices import Price
from shared.offering import Offering

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EVER = datetime(1970, 1, 1, tzinfo=UTC)


def offering(*prices: dict[str, str], plans: tuple[str, ...] = ()) -> Offering:
    spec = {
        "chart": {"url": "file:///x"},
        "api": {"group": "acme.example.com", "kind": "Database"},
        "plans": [{"name": name} for name in plans],
        "metering": {"prices": [*prices]},
    }
    return Offering.model_validate({"metadata": {"name": "database", "generation": 3}, "spec": spec})


def asked(amount: str = "0.04", **more: str) -> dict[str, str]:
    return {"per": "cpu-core-hour", "amount": amount, "currency": "EUR", **more}


def price(amount: str = "0.04", since: datetime = EVER, plan: str = "", name: str = "database") -> Price:
    return Price(name, plan, "cpu-core-hour", Decimal(amount), "EUR", since)


def said(found: Offering, *counting: Price) -> tuple[str, str, str]:
    told = judged(wanted(found), counting, found)
    assert (told.type, told.observed_generation) == ("Priced", 3)
    return told.status, told.reason, told.message


def test_prices_are_read_from_the_offering() -> None:
    found = offering(asked(), asked("0.03", plan="big", validFrom="2026-11-01T12:00:00Z"), plans=("big",))
    assert wanted(found) == [price(), price("0.03", NOON, "big")]


@pytest.mark.parametrize(
    ("prices", "reason", "says"),
    [
        ([asked(plan="big")], "NoSuchPlan", "spec.metering.prices[0].plan: there is no plan big"),
        ([asked(), asked("1")], "PriceTwice", "spec.metering.prices[1]: cpu-core-hour has a price already"),
    ],
    ids=["no plan", "twice"],
)
def test_what_cant_be_meant_is_refused_with_its_field(prices: list[dict[str, str]], reason: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        wanted(offering(*prices))
    assert refused.value.reason == reason
    assert refused.value.message.startswith(says)


def test_one_price_and_its_successor_are_no_contradiction() -> None:
    assert len(wanted(offering(asked(), asked("1", validFrom="2026-11-01T12:00:00Z")))) == 2


CASES: list[Any] = [
    pytest.param(offering(asked()), [price()], ("True", "Noted", "in the ledger: 1 of 1"), id="noted"),
    pytest.param(offering(), [], ("True", "Free", "nothing is charged"), id="none left"),
    pytest.param(offering(), [price(name="other")], ("True", "Free", "nothing is charged"), id="another's price"),
    pytest.param(offering(), [price(), price("0", NOON)], ("True", "Free", "nothing is charged"), id="ended"),
]


@pytest.mark.parametrize(("found", "counting", "expected"), CASES)
def test_all_that_counts_is_what_was_asked_for(
    found: Offering, counting: list[Price], expected: tuple[str, str, str]
) -> None:
    assert said(found, *counting) == expected


def test_a_price_that_was_taken_out_goes_on_and_that_is_said() -> None:
    status, reason, message = said(offering(asked()), price(), price("0.03", plan="big"))
    assert (status, reason) == ("False", "PriceMissing")
    assert message.startswith("spec.metering.prices: cpu-core-hour of plan big costs 0.03 EUR, and goes on to")


def test_a_price_that_became_known_late_is_told_of() -> None:
    late = price(since=NOON.replace(hour=15))
    _, _, message = said(offering(asked(validFrom="2026-11-01T12:00:00Z")), late)
    assert "cpu-core-hour became known after 2026-11-01T12:00:00Z" in message
