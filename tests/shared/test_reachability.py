"""Who reaches whom, held against what was promised; instances that policies can't tell apart looked at once."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import network as spec
from shared.isolation import Home
from shared.netpol import Pod, Port
from shared.offering import Network
from shared.reachability import STRANGER, classes, network, pods_of, words
from shared.resources import NETWORK_POLICIES
from tests.shared.test_isolation import NAME, home, wrong

HTTP = frozenset({("http", Port(8080))})
WORLD = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
NAMED = [{"ports": [{"port": "http"}]}]
ON_80: dict[str, Any] = {"namespaceSelector": {}, "ports": [{"port": 80}]}


def with_pods(given: Home, *addresses: str) -> Home:
    pods = [Pod(given.name, given.marks, {"app": "web"}, address, HTTP) for address in addresses]
    return replace(given, pods=tuple(pods))


def added(namespace: str, **rules: Any) -> dict[str, Any]:
    """A policy of somebody else."""
    policy = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **rules}
    return {"metadata": {"name": "by-hand", "namespace": namespace}, "spec": policy}


def pair(one: dict[str, Any], other: dict[str, Any] | None = None, **rules: Any) -> list[Home]:
    return [
        with_pods(home("one", added("one", **one), **rules), "10.0.0.1"),
        with_pods(home("two", *([] if other is None else [added("two", **other)]), **rules), "10.0.0.2"),
    ]


def between(homes: list[Home]) -> list[str]:
    return [each for each in wrong(network(homes)) if each.startswith(("one reaches two", "two reaches one"))]


ALL: dict[str, Any] = {"ingress": [{}], "egress": [{}]}


@pytest.mark.parametrize(
    ("homes", "said"),
    [
        ([home("one"), home("two")], []),
        (pair(ALL), []),
        (pair(ALL, ALL), ["one reaches two", "two reaches one"]),
        (
            pair({"ingress": [{"from": WORLD}], "egress": [{"to": WORLD}]}, ALL),
            ["one reaches two", "two reaches one"],
        ),
        (
            pair({"ingress": NAMED, "egress": NAMED}, {"ingress": NAMED, "egress": NAMED}),
            ["one reaches two over TCP 8080", "two reaches one over TCP 8080"],
        ),
        (pair({"egress": [{}]}, {"ingress": [{}]}), ["one reaches two"]),
        (pair({"egress": [{"ports": [{"port": 5, "endPort": 9}]}]}, ALL), ["one reaches two over TCP 5"]),
    ],
    ids=["as promised", "one end only", "both ends", "by addresses", "a named port", "one way", "a range"],
)
def test_what_somebody_opened_between_two_is_named(homes: list[Home], said: list[str]) -> None:
    assert between(homes) == said


def test_more_ports_than_were_promised_are_more_than_was_promised() -> None:
    found = between(pair(ALL, ALL, allowFrom=[ON_80], allowTo=[ON_80]))
    assert [each.split(" over ")[0] for each in found] == ["one reaches two", "two reaches one"]
    assert between([home("one", allowFrom=[ON_80], allowTo=[ON_80]), home("two", allowFrom=[ON_80])]) == []


def test_a_policy_that_is_gone_is_found() -> None:
    gone = [replace(home(name), network=()) for name in ("one", "two")]
    assert between(gone) == ["one reaches two", "two reaches one"]


def test_what_one_end_opens_to_everybody_else_is_found_without_the_other() -> None:
    opened = home("one", added("one", **ALL))
    assert [each.split(" over ")[0] for each in wrong(network([opened, home("two")]))] == [
        "one is reached by an address outside",
        "one reaches an address outside",
        f"one is reached by {STRANGER}",
        f"one reaches {STRANGER}",
    ]


def test_a_namespace_that_somebody_let_in_is_named() -> None:
    monitoring = Pod("monitoring", {NAME: "monitoring", "team": "ops"}, {"app": "scraper"}, "10.0.9.9")
    let_in = added("one", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "ops"}}}]}])
    assert wrong(network([home("one", let_in)], [monitoring])) == ["one is reached by monitoring"]
    assert wrong(network([home("one")], [monitoring])) == []


def test_what_the_offering_opens_is_allowed() -> None:
    ops = {"namespaceSelector": {"matchLabels": {"team": "ops"}}}
    monitoring = Pod("monitoring", {"team": "ops"})
    found = {each.what: each.verdict for each in network([home("one", allowFrom=[ops])], [monitoring])}
    assert found["one is reached by monitoring"] == "allowed"


def test_a_pair_that_its_owners_opened_is_granted() -> None:
    found = [*network([home("one", peers=("two",)), home("two", peers=("one",)), home("three")])]
    assert {each.what for each in found if each.verdict == "granted"} == {"one reaches two", "two reaches one"}
    assert wrong(found) == []


def test_without_isolation_nothing_is_promised() -> None:
    assert spec.spec(Network(isolation="None"), "team-a", ()) is None
    assert wrong(network([home(isolation="None"), home("two", isolation="None")])) == []


def test_whoever_may_not_see_policies_is_told_nothing_of_them() -> None:
    blind = [replace(home(name), network=(), hidden=frozenset({NETWORK_POLICIES})) for name in ("one", "two")]
    assert [*network(blind)] == []


def test_of_those_alike_each_is_told_what_is_wrong() -> None:
    homes = [home(f"i{number}", added(f"i{number}", **ALL)) for number in range(5)]
    reaching = {each.subject for each in network(homes) if each.verdict == "wrong" and " reaches i" in each.what}
    assert reaching == {f"x/i{number}" for number in range(5)}
    only = {each.subject for each in network(homes, only=["x/i3"])}
    assert "x/i3" in only


def test_instances_alike_are_one_class_however_many() -> None:
    homes = [with_pods(home(f"i{number}"), f"10.0.{number // 250}.{number % 250 + 1}") for number in range(1000)]
    known = words(policy for each in homes for policy in each.network)
    pods = {each.name: pods_of(each, known, None) for each in homes}
    assert len(classes(homes, pods, known)) == 1
    started = time.process_time()
    assert wrong(network(homes)) == []
    assert time.process_time() - started < 10


names = st.sampled_from(["one", "two", "three", "four"])
some = st.sampled_from([ALL, {"ingress": NAMED}, {"egress": [{"to": WORLD}]}, {"ingress": [{}]}, {"egress": NAMED}])


@given(st.dictionaries(names, st.lists(some, max_size=2), min_size=2), st.booleans())
def test_classes_tell_what_each_pair_by_itself_would(rules: dict[str, list[dict[str, Any]]], peered: bool) -> None:
    def built(name: str) -> Home:
        peers = tuple(each for each in ("one", "two") if each != name) if peered and name in ("one", "two") else ()
        extra = [added(name, **each) for each in rules[name]]
        return with_pods(home(name, *extra, peers=peers), f"10.0.0.{len(name)}")

    homes = [built(name) for name in rules]

    def reaching(found: Any) -> set[str]:
        """Of those that are wrong, who reaches any of the others."""
        ours = {each.name for each in homes}
        return {each.subject for each in found if each.verdict == "wrong" and each.namespace in ours}

    one_by_one = [each for one in homes for other in homes if one is not other for each in network([one, other])]
    assert reaching(network(homes)) == reaching(one_by_one)
