"""Charges as FOCUS 1.2 wants them, and the rules that its rows must keep."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.metering.allocate import Had, Node, allocate
from shared.metering.focus import COLUMNS, Issuer, allocated, broken_rules, read_csv, row, to_csv
from shared.metering.prices import UNITS, Charge, rounded
from shared.metering.usage import Tenure
from tests.shared.metering.builders import T0, at

ISSUER = Issuer("Acme", "Acme", "Acme", "eu-1")
TENURE = Tenure("0b3e", "team-a/orders", "database", "small", "team-a", "team-a")


def charge(per: str = "cpu-core-hour", quantity: str = "1.5", price: str = "0.04", tenure: Tenure = TENURE) -> Charge:
    amount = rounded(Decimal(quantity) * Decimal(price), "EUR")
    unit = UNITS[per].name
    return Charge(tenure, per, unit, T0, at(86400), Decimal(quantity), Decimal(price), "EUR", amount, 30_000)


def written(*charges: Charge) -> list[dict[str, str]]:
    return read_csv(to_csv(row(each, ISSUER, "2026-11/team-a") for each in charges))


def test_a_charge_is_a_row() -> None:
    (found,) = written(charge())
    wanted = {
        "BilledCost": "0.06",
        "BillingAccountId": "team-a",
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
        "ChargeClass": "",
        "ConsumedUnit": "Core-Hours",
        "ListCost": "0.060",
        "PricingQuantity": "1.5",
        "ResourceId": "database/team-a/orders/0b3e",
        "SkuPriceId": "database/cpu-core-hour/small",
        "Tags": '{"chandlery.dev/plan": "small"}',
        "x_GapSeconds": "30",
    }
    assert {name: found[name] for name in wanted} == wanted


def test_columns_of_focus_come_first() -> None:
    names = list(written(charge())[0])
    ours = [name for name in names if name.startswith("x_")]
    assert names == [name for name in names if name in COLUMNS] + ours


quantities = st.decimals(0, 10**9, places=9)


@given(st.lists(st.tuples(st.sampled_from(sorted(UNITS)), quantities, st.decimals(0, 1000, places=6)), max_size=5))
def test_rows_keep_the_published_rules(charges: list[tuple[str, Decimal, Decimal]]) -> None:
    rows = written(*(charge(per, str(quantity), str(price)) for per, quantity, price in charges))
    assert broken_rules(rows) == []


def test_an_instance_without_plan_and_consumer_keeps_them_too() -> None:
    bare = Tenure("0b3e", "team-a/orders", "database", "", "team-a", "")
    assert broken_rules(written(charge(tenure=bare))) == []


@given(
    st.integers(0, 10**7), st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=5), st.booleans()
)
def test_allocated_rows_sum_to_the_nodes_cost_and_keep_the_rules(
    cents: int, had: list[tuple[int, int]], share_idle: bool
) -> None:
    cost = Decimal(cents) / 100
    each = {f"i{index}": Had(cpu, 0, memory, 0) for index, (cpu, memory) in enumerate(had)}
    found = allocate(Node(cost, "EUR", 10**9, 10**9), each, share_idle)
    charges = {who: charge(tenure=TENURE._replace(instance_uid=who)) for who in each}
    idle = charge(tenure=Tenure("", "idle", "node", "", "provider", "provider"))
    rows = allocated("node-1", charges, found, idle, ISSUER)
    assert broken_rules(read_csv(to_csv(rows))) == []
    assert sum(Decimal(str(each["BilledCost"])) for each in rows) == cost
    assert {each["x_AllocatedFrom"] for each in rows} == {"node-1"}


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"BilledCost": ""}, "1: BilledCost: must not be null"),
        ({"BilledCost": "+1"}, "1: BilledCost: '+1' is no number as FOCUS writes it"),
        ({"BilledCost": "1,000"}, "1: BilledCost: '1,000' is no number as FOCUS writes it"),
        ({"BillingCurrency": "eur"}, "1: BillingCurrency: 'eur' is no currency as FOCUS writes it"),
        (
            {"ChargePeriodStart": "2026-11-01 00:00"},
            "1: ChargePeriodStart: '2026-11-01 00:00' is no time as FOCUS writes it",
        ),
        (
            {"ChargeCategory": "Use"},
            "1: ChargeCategory: 'Use' is none of Usage, Purchase, Tax, Credit, Adjustment",
        ),
        ({"ListCost": "0.07"}, "1: ListCost: must be ListUnitPrice x PricingQuantity = 0.060"),
        ({"PricingUnit": ""}, "1: PricingUnit: must be null when PricingQuantity is, and only then"),
        ({"SkuId": ""}, "1: SkuId: must not be null for usage and purchases"),
        ({"Tags": '{"a": {}}'}, "1: Tags: must be a JSON object of numbers, strings, booleans and nulls"),
        ({"Plan": "small"}, "1: Plan: a column that FOCUS does not know must be called x_..."),
        ({"ChargePeriodEnd": "2026-11-01T00:00:00Z"}, "1: ChargePeriodEnd: must be after ChargePeriodStart"),
        ({"ListUnitPrice": "-1"}, "1: ListUnitPrice: must not be negative"),
        ({"ChargeCategory": "Tax"}, "1: SkuId: must be null for taxes"),
        ({"ChargeCategory": "Tax"}, "1: PricingCurrencyListUnitPrice: must be null for taxes"),
        ({"ServiceSubcategory": "Caching"}, "1: ServiceSubcategory: 'Caching' is no part of 'Compute'"),
    ],
    ids=lambda case: str(case)[:40],
)
def test_a_broken_rule_is_named(change: dict[str, str], broken: str) -> None:
    assert broken in broken_rules([written(charge())[0] | change])


def test_a_missing_column_is_named() -> None:
    (found,) = written(charge())
    del found["EffectiveCost"]
    assert broken_rules([found]) == ["1: EffectiveCost: the column must be present"]


def test_a_service_has_one_category() -> None:
    one, other = written(charge(), charge())
    assert broken_rules([one, other | {"ServiceCategory": "Databases", "ServiceSubcategory": "Caching"}]) == [
        "2: ServiceName: database has two of ServiceCategory"
    ]
