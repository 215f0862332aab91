"""How many, and until when: decided on plain values."""

from datetime import date
from typing import Any

import pytest

from shared.access import Consumer
from shared.errors import Refused
from shared.limits import Bound, bounds, check_date, check_room
from shared.offering import Limits

TEAM = Consumer.model_validate(
    {"metadata": {"name": "team-a"}, "spec": {"namespaces": ["a", "b"], "offerings": ["*"], "limits": {"database": 3}}}
)


def test_each_limit_counts_in_its_own_namespaces() -> None:
    limits = Limits(instances=9, instances_per_namespace=2)
    assert [(each.most, each.namespaces) for each in bounds(limits, "database", "a", TEAM)] == [
        (9, None),
        (2, frozenset(["a"])),
        (3, frozenset(["a", "b"])),
    ]
    assert bounds(Limits(), "cache", "a", TEAM) == []
    assert bounds(Limits(), "database", "a", None) == []


@pytest.mark.parametrize("namespaces", [None, frozenset(["a"])], ids=["everywhere", "in one namespace"])
def test_the_last_place_is_the_last(namespaces: Any) -> None:
    bound = Bound(2, "offering database allows", namespaces)
    check_room([bound], {"1": "a", "2": "b"} if namespaces else {"1": "a"})
    with pytest.raises(Refused, match="allows 2 instances, and there are 2; this goes on by itself"):
        check_room([bound], {"1": "a", "2": "a"})


def test_a_limit_of_none_lets_nobody_in() -> None:
    with pytest.raises(Refused, match="allows 0 instances, and there are 0"):
        check_room([Bound(0, "offering database allows", None)], {})


def test_the_last_day_is_included() -> None:
    limits = Limits(expires=date(2027, 12, 31))
    check_date(limits, "database", date(2027, 12, 31))
    with pytest.raises(Refused, match="no new instances since 2027-12-31") as refused:
        check_date(limits, "database", date(2028, 1, 1))
    assert refused.value.reason == "Expired"
