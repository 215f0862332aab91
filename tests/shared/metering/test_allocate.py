"""A node's cost over those who used it: nothing is lost, nothing invented."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from shared.metering.allocate import Allocation, Had, Node, allocate, split

amounts = st.integers(0, 10**18)
hads = st.builds(Had, amounts, amounts, amounts, amounts)
cents = st.integers(0, 10**9).map(lambda units: Decimal(units) / 100)
nodes = st.builds(Node, cents, st.just("EUR"), amounts, amounts, st.integers(1, 100), st.integers(0, 100))
names = st.text("abcdef", min_size=1, max_size=3)


def test_the_larger_of_requested_and_used_counts_and_the_rest_is_idle() -> None:
    node = Node(Decimal("10.00"), "EUR", cpu=1000, memory=1000)
    had = {"busy": Had(100, 500, 200, 100), "modest": Had(200, 50, 300, 10)}
    assert allocate(node, had) == Allocation({"busy": Decimal("3.50"), "modest": Decimal("2.50")}, Decimal("4.00"))


def test_idle_cost_can_be_shared_out() -> None:
    node = Node(Decimal("10.00"), "EUR", cpu=1000, memory=1000)
    found = allocate(node, {"a": Had(100, 0, 100, 0), "b": Had(200, 0, 200, 0)}, share_idle=True)
    assert found == Allocation({"a": Decimal("3.33"), "b": Decimal("6.67")}, Decimal("0.00"))


def test_a_node_that_nobody_used_was_idle() -> None:
    node = Node(Decimal("10.01"), "EUR", cpu=1000, memory=1000)
    assert allocate(node, {}, share_idle=True) == Allocation({}, Decimal("10.01"))


@given(nodes, st.dictionaries(names, hads, max_size=8), st.booleans())
def test_allocated_and_idle_cost_sum_exactly_to_the_cost(node: Node, had: dict[str, Had], share_idle: bool) -> None:
    found = allocate(node, had, share_idle)
    assert sum(found.parts.values(), found.idle) == node.cost
    assert all(part >= 0 for part in [*found.parts.values(), found.idle])


@given(cents, st.lists(st.integers(0, 10**12).map(Fraction), min_size=1, max_size=10).filter(any))
def test_each_part_is_within_a_cent_of_its_share(cost: Decimal, shares: list[Fraction]) -> None:
    parts = split(cost, shares, Decimal("0.01"))
    whole = sum(shares)
    assert all(
        abs(Fraction(part) - Fraction(cost) * share / whole) < Fraction(1, 100)
        for part, share in zip(parts, shares, strict=True)
    )


@given(nodes, st.dictionaries(names, hads, min_size=2, max_size=8), st.booleans())
def test_whoever_had_more_of_everything_never_pays_less(node: Node, had: dict[str, Had], share_idle: bool) -> None:
    parts = allocate(node, had, share_idle).parts
    for one, mine in had.items():
        for other, theirs in had.items():
            if mine.cpu > theirs.cpu and mine.memory > theirs.memory:
                assert parts[one] >= parts[other]
