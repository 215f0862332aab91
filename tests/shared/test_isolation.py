"""What bounds a release namespace, held against what was promised, and what is said of it."""

from dataclasses import replace
from typing import Any

import pytest

from functions.verify_isolation import lasting
from shared import policies
from shared.isolation import ENFORCE, Finding, Home, bounds, concerning, homeless, verdict
from shared.resources import NETWORK_POLICIES, RESOURCE_QUOTAS, SERVICE_ACCOUNTS, Resource
from shared.verification import Seen
from tests.builders import KEY, instance, offering


def stored(resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
    """As the API server gives it back."""
    return {**body, "status": {"used": {"pods": "0"}, **body["spec"]}} if resource == RESOURCE_QUOTAS else body


def home(name: str = "one", *extra: dict[str, Any], peers: tuple[str, ...] = (), **rules: Any) -> Home:
    given = offering(policies={"quota": {"pods": "3"}, "network": rules})
    wanted = policies.wanted(KEY, given, instance(), name, peers)
    found = {resource: stored(resource, body) for resource, body in wanted}
    expected = policies.namespace_object(KEY, given, name)
    there = {"metadata": {**expected["metadata"], "labels": {**expected["metadata"]["labels"], NAME: name}}}
    ours = [body for resource, body in found.items() if resource == NETWORK_POLICIES]
    return Home(f"x/{name}", "team-a", there, expected, wanted, found, (*ours, *extra))


NAME = "kubernetes.io/metadata.name"
QUOTA = home().found[RESOURCE_QUOTAS]


def wrong(found: Any) -> list[str]:
    return [each.what for each in found if each.verdict == "wrong"]


def test_what_is_as_promised_is_told_as_denied() -> None:
    assert [(each.verdict, each.fix) for each in bounds(home())] == [("denied", "")] * 6


def namespace(**changes: Any) -> dict[str, Any]:
    metadata = home().namespace["metadata"]
    return {"metadata": {**metadata, **{key: {**metadata[key], **more} for key, more in changes.items()}}}


def without(kind: str, key: str) -> dict[str, Any]:
    metadata = home().namespace["metadata"]
    return {"metadata": {**metadata, kind: {name: each for name, each in metadata[kind].items() if name != key}}}


def found(resource: Resource, **changes: Any) -> dict[Resource, Any]:
    there = home().found
    return {**there, resource: {**there[resource], **changes}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"found": {}}, ["ResourceQuota one/chandlery is missing", "NetworkPolicy one/chandlery is missing"]),
        ({"namespace": namespace(labels={ENFORCE: "privileged"})}, [f"{ENFORCE} is privileged, not baseline"]),
        ({"namespace": without("labels", ENFORCE)}, [f"{ENFORCE} is missing, not baseline"]),
        (
            {"namespace": namespace(annotations={policies.SERVICE_TYPES: "NodePort"})},
            [f"{policies.SERVICE_TYPES} is 'NodePort', not 'ClusterIP'"],
        ),
        ({"namespace": without("annotations", policies.STORAGE_CLASSES)}, ["storage-classes is missing, not '*'"]),
        (
            {"found": found(RESOURCE_QUOTAS, spec={"hard": {"pods": "9"}})},
            ["ResourceQuota one/chandlery is not as the Offering says"],
        ),
        ({"found": found(RESOURCE_QUOTAS, status={})}, ["is not counted yet"]),
        (
            {"found": found(RESOURCE_QUOTAS, status={"hard": {"pods": "9"}, "used": {"pods": "0"}})},
            ["is not counted yet"],
        ),
        (
            {"found": found(SERVICE_ACCOUNTS, automountServiceAccountToken=True)},
            ["ServiceAccount one/default is not as the Offering says"],
        ),
        ({"on_host": ("web",)}, ["pod one/web is on its node's network"]),
    ],
    ids=[
        "everything is gone",
        "Pod Security is weaker",
        "Pod Security is gone",
        "Service types",
        "storage classes",
        "a raised quota",
        "a quota not counted",
        "a quota counted by what it was",
        "a token in every pod",
        "a pod on its node's network",
    ],
)
def test_what_is_not_as_promised_is_named_with_what_mends_it(changes: dict[str, Any], said: list[str]) -> None:
    seen = [*bounds(replace(home(), **changes))]
    assert all(any(part in each for each in wrong(seen)) for part in said), seen
    assert all(each.fix for each in seen if each.verdict == "wrong")


def test_a_kind_that_may_not_be_seen_is_not_said_to_be_missing() -> None:
    blind = replace(home(), found={}, hidden=frozenset({RESOURCE_QUOTAS, NETWORK_POLICIES, SERVICE_ACCOUNTS}))
    assert wrong(bounds(blind)) == []


def test_where_pods_are_privileged_they_may_use_their_nodes_network() -> None:
    given = replace(home(), on_host=("web",))
    given.expected["metadata"]["labels"][ENFORCE] = "privileged"
    assert [each.verdict for each in bounds(given) if "web" in each.what] == ["granted"]


# What an instance is told

BAD = Finding("x/one", "wrong", "one reaches two", "close it")
BLIND = Finding("", "unseen", "pods")


def test_the_verdict_names_the_first_few() -> None:
    many = [Finding("one", "wrong", f"problem {number}", "mend it") for number in range(5)]
    said = "problem 0: mend it; problem 1: mend it; problem 2: mend it (and 2 more)"
    assert verdict([*many, *many]) == (False, "NotIsolated", said)


@pytest.mark.parametrize(
    ("seen", "status", "reason"),
    [
        ([], True, "AsPromised"),
        ([Finding("x/one", "granted", "may list pods")], True, "AsPromised"),
        ([BLIND], None, "NotSeen"),
        ([BLIND, BAD], False, "NotIsolated"),
    ],
    ids=["nothing wrong", "granted", "what can't be seen is not well", "something wrong all the same"],
)
def test_the_verdict(seen: list[Finding], status: bool | None, reason: str) -> None:
    assert verdict(seen)[:2] == (status, reason)


def test_an_instance_is_told_what_others_may_do_in_its_namespaces() -> None:
    theirs = Finding("consumer team-b", "wrong", "list secrets in one", "", "one")
    elsewhere = Finding("consumer team-b", "wrong", "list secrets in three", "", "three")
    own = Finding("consumer team-a", "denied", "list nodes")
    other = Finding("x/two", "denied", "two reaches one")
    everything = [BAD, BLIND, theirs, elsewhere, own, other]
    assert concerning(everything, "x/one", "team-a", ("team-a", "one")) == [BAD, BLIND, theirs, own]


def test_a_release_namespace_that_is_gone_is_not_well() -> None:
    assert verdict([homeless("x/one", "one")])[0] is False


def test_what_was_wrong_only_once_was_on_its_way() -> None:
    other = BAD._replace(what="another")
    fine = Finding("x/one", "denied", "fine")
    assert lasting(Seen([BAD, other]), Seen([BAD, fine, BAD._replace(what="new")])).findings == [BAD, fine]
