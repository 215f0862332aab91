"""What isolates instances, held against what was promised."""

from typing import Any

import pytest

from shared import network, policies
from shared.isolation import Finding, Home, Question, alike, answered, between, bounds, distinguished, verdict
from shared.offering import Network
from shared.resources import NETWORK_POLICIES, RESOURCE_QUOTAS, Resource
from tests.builders import KEY, instance, offering

LEVEL = "pod-security.kubernetes.io/enforce"
NAME = "kubernetes.io/metadata.name"


def stored(resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "status": {"used": body["spec"]["hard"]}} if resource == RESOURCE_QUOTAS else body


def home(name: str = "one", *extra: dict[str, Any], peers: tuple[str, ...] = (), **rules: Any) -> Home:
    given = offering(policies={"quota": {"pods": "3"}, "network": rules})
    wanted = policies.wanted(KEY, given, instance(), name, peers)
    found = {resource: stored(resource, body) for resource, body in wanted}
    return Home(
        instance=f"team-a/{name}",
        consumer="team-a",
        namespace={"metadata": {"name": name, "labels": {LEVEL: "baseline", NAME: name}}},
        wanted=wanted,
        labels={LEVEL: "baseline"},
        found=found,
        network=(*[body for resource, body in found.items() if resource == NETWORK_POLICIES], *extra),
        pods=({"app": "web"},),
    )


def wrong(found: Any) -> list[str]:
    return [each.what for each in found if each.verdict == "wrong"]


def test_what_is_as_promised_is_told_as_denied() -> None:
    assert {each.verdict for each in bounds(home())} == {"denied"}
    assert [each.what for each in between([home(), home("two")])] == ["one reaches two"]


def broken(**changes: Any) -> Home:
    whole = home()
    return Home(**{**{name: getattr(whole, name) for name in whole.__dataclass_fields__}, **changes})


QUOTA = home().found[RESOURCE_QUOTAS]
BROKEN = [
    pytest.param({"found": {}}, "is missing", id="everything is gone"),
    pytest.param({"labels": {LEVEL: "restricted"}}, "is baseline, not restricted", id="Pod Security"),
    pytest.param(
        {"found": {**home().found, RESOURCE_QUOTAS: {**QUOTA, "spec": {"hard": {"pods": "9"}}}}},
        "is not as the Offering says",
        id="a raised quota",
    ),
    pytest.param(
        {"found": {**home().found, RESOURCE_QUOTAS: {**QUOTA, "status": {}}}}, "is not counted yet", id="not counted"
    ),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN)
def test_what_is_not_as_promised_is_named(changes: dict[str, Any], said: str) -> None:
    found = wrong(bounds(broken(**changes)))
    assert found
    assert all(said in each for each in found)


def opening(namespace: str) -> dict[str, Any]:
    """A policy of somebody else that lets everything in and out."""
    spec = {"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}
    return {"metadata": {"name": "open", "namespace": namespace}, "spec": spec}


def test_a_policy_that_somebody_adds_on_both_sides_opens_and_is_found() -> None:
    one, two = home("one", opening("one")), home("two", opening("two"))
    assert wrong(between([one, two])) == ["one reaches two", "two reaches one"]
    assert wrong(between([home("one", opening("one")), home("two")])) == []


def test_a_policy_that_is_gone_is_found() -> None:
    gone = [Home(**{**vars(home(name)), "network": ()}) for name in ("one", "two")]
    assert len(wrong(between(gone))) == 2


def test_a_pair_that_its_owners_opened_is_granted() -> None:
    found = [*between([home("one", peers=("two",)), home("two", peers=("one",)), home("three")])]
    assert {each.what: each.verdict for each in found if each.verdict != "denied"} == {
        "one reaches two": "granted",
        "two reaches one": "granted",
    }


def test_instances_alike_are_one_class_however_many() -> None:
    homes = [home(f"i-{number}") for number in range(100)]
    words = distinguished([policy for each in homes for policy in each.network])
    assert len({alike(each, words) for each in homes}) == 1
    assert len([*between(homes)]) == 1


@pytest.mark.parametrize(
    ("promised", "status", "said"),
    [
        pytest.param(True, {"allowed": True}, "allowed", id="may, as promised"),
        pytest.param(False, {"allowed": False}, "denied", id="may not, as promised"),
        pytest.param(True, {"allowed": False}, "wrong", id="may not, though promised"),
        pytest.param(False, {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "x/x"'}, "wrong", id="may"),
        pytest.param(
            False,
            {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "chandlery:extra:consumer-a:1/team-a"'},
            "granted",
            id="may, for it was granted",
        ),
    ],
)
def test_an_answer_is_held_against_the_promise(promised: bool, status: dict[str, Any], said: str) -> None:
    question = Question("see nodes", "list", "", "nodes", allowed=promised)
    assert answered("team-a", question, status).verdict == said


def test_the_verdict_names_the_first_few() -> None:
    found = [Finding("one", "wrong", f"problem {number}", "mend it") for number in range(5)]
    assert verdict(found) == (False, "problem 0: mend it; problem 1: mend it; problem 2: mend it (and 2 more)")
    assert verdict([Finding("one", "denied", "x")])[0]


def test_without_isolation_nothing_is_promised() -> None:
    assert network.spec(Network(isolation="None"), "team-a", ()) is None
    assert {each.verdict for each in between([home(isolation="None"), home("two", isolation="None")])} == {"granted"}
