"""What nodes cost, read from a file, and split by who used them."""

import contextlib
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.readings import CAPACITY_CPU, CAPACITY_MEMORY, CPU, MEMORY, REQUESTS_CPU, REQUESTS_MEMORY
from shared.errors import Refused
from shared.metering.derive import HOUR_MS
from shared.metering.focus import Issuer, broken_rules, read_csv, to_csv
from shared.metering.nodes import Cost, Period, costs_in, rows
from shared.metering.queries import NodeUsage
from shared.metering.usage import Tenure
from tests.shared.metering.builders import T0

ISSUER = Issuer("Acme", "Acme", "Acme", "eu-1")
MONTH = Period(T0, T0 + timedelta(days=30))
GIB = 2**30


def tenure(name: str) -> Tenure:
    return Tenure(name, f"team-a/{name}", "database", "small", "team-a", "team-a")


def on(node: str, who: Tenure, metric: str, amount: int, kind: str = "pod") -> NodeUsage:
    return NodeUsage(node, kind, who, metric, amount)


CAPACITY = [
    on("n", Tenure(), CAPACITY_CPU, 4000 * HOUR_MS, "node"),
    on("n", Tenure(), CAPACITY_MEMORY, 16 * GIB * HOUR_MS, "node"),
]


def split(costs: list[Cost], used: list[NodeUsage], share: bool = False) -> list[tuple[str, str]]:
    written = read_csv(to_csv(rows(costs, used, MONTH, ISSUER, share)))
    assert broken_rules(written) == []
    return [(each["ResourceName"], each["BilledCost"]) for each in written]


def cost(amount: str = "100.00", node: str = "n", cpu: int = 1, memory: int = 1) -> Cost:
    return Cost(node, Decimal(amount), "EUR", cpu, memory, "C-1")


def test_of_requested_and_used_the_larger_counts_and_idle_is_a_row() -> None:
    used = [
        *CAPACITY,
        on("n", tenure("a"), REQUESTS_CPU, 1000 * HOUR_MS),
        on("n", tenure("a"), CPU, 3600 * 10**9 // 10),
        on("n", tenure("a"), MEMORY, 4 * GIB * HOUR_MS),
        on("n", tenure("a"), REQUESTS_MEMORY, 2 * GIB * HOUR_MS),
    ]
    assert split([cost()], used) == [("team-a/a", "25.00"), ("n/idle", "75.00")]
    assert split([cost()], used, share=True) == [("team-a/a", "100.00")]
    assert split([cost(memory=0)], used) == [("team-a/a", "25.00"), ("n/idle", "75.00")]


def test_a_node_that_nobody_used_is_idle_and_what_nobody_owns_is_said() -> None:
    unknown = [*CAPACITY, on("n", Tenure(), REQUESTS_CPU, 2000 * HOUR_MS)]
    assert split([cost("10.00", "m"), cost(memory=0)], unknown) == [
        ("m/idle", "10.00"),
        ("n/unknown", "50.00"),
        ("n/idle", "50.00"),
    ]


amounts = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([CPU, REQUESTS_CPU, MEMORY]), st.integers(0, 10**17)), max_size=8
)


@given(st.integers(0, 10**8), amounts, st.booleans())
def test_allocated_charges_sum_to_the_origin_charge(cents: int, had: list[tuple[str, str, int]], share: bool) -> None:
    used = [*CAPACITY, *(on("n", tenure(who), metric, amount) for who, metric, amount in had)]
    parts = split([cost(str(Decimal(cents) / 100))], used, share)
    assert sum((Decimal(amount) for _, amount in parts), Decimal(0)) == Decimal(cents) / 100


def test_costs_are_read_from_a_file() -> None:
    text = "node,cost,currency,cpu-weight,memory-weight,invoice\nn,1.50,EUR,2,,C-1\nm,10,JPY,,,\n"
    assert costs_in(text, "f.csv") == [
        Cost("n", Decimal("1.50"), "EUR", 2, 1, "C-1"),
        Cost("m", Decimal(10), "JPY", 1, 1, None),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f.csv: has no column node, cost, currency"),
        ("node,cost\n", "f.csv: has no column currency; begin it with node,cost,currency"),
        ("node,cost,currency\n,1,EUR\n", "f.csv:2: node: is missing"),
        ("node,cost,currency\nn,-1,EUR\n", "f.csv:2: cost: '-1' is no amount"),
        ("node,cost,currency\nn\n", "f.csv:2: cost: '' is no amount"),
        ("node,cost,currency\nn,1.005,EUR\n", "f.csv:2: cost: 1.005 is no whole number of 0.01 EUR"),
        ("node,cost,currency\nn,1,euro\n", "f.csv:2: currency: 'euro' is none"),
        ("node,cost,currency\nn,1,EUR\nn,1,EUR\n", "f.csv:3: n stands there twice"),
        ("node,cost,currency,cpu-weight\nn,1,EUR,x\n", "f.csv:2: cpu-weight: 'x' is no whole number"),
        (
            "node,cost,currency,cpu-weight,memory-weight\nn,1,EUR,0,0\n",
            "f.csv:2: cpu-weight and memory-weight are both 0",
        ),
    ],
    ids=lambda case: case[:40].strip().replace("\n", "|"),
)
def test_a_line_that_cant_be_used_is_named(text: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        costs_in(text, "f.csv")
    assert refused.value.message.startswith(says)


@given(st.text(max_size=200))
def test_no_file_makes_it_crash(text: str) -> None:
    for each in (text, f"node,cost,currency\n{text}"):
        with contextlib.suppress(Refused):
            costs_in(each, "f.csv")
