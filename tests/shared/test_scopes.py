"""Which resources a kind's name means, and which rights follow from it."""

from typing import Any

import pytest

from shared.errors import Refused
from shared.rights import MAKING, REMOVING, allowed, rules_on
from shared.scopes import brought, cluster_scoped


def served(group: str, **kinds: str) -> dict[str, Any]:
    resources = [
        {"resource": f"{kind.lower()}s", "scope": scope, "responseKind": {"kind": kind}}
        for kind, scope in kinds.items()
    ]
    return {"metadata": {"name": group} if group else {}, "versions": [{"version": "v1", "resources": resources}]}


def crd(kind: str, scope: str) -> dict[str, Any]:
    return {"spec": {"group": "x.io", "scope": scope, "names": {"kind": kind, "plural": f"{kind.lower()}s"}}}


DISCOVERY = [
    served("", Node="Cluster", Pod="Namespaced"),
    served("a.io", Issuer="Cluster"),
    served("b.io", Issuer="Cluster", Thing="Namespaced"),
    served("c.io", Thing="Cluster"),
    {"metadata": {"name": "odd"}},
]
CRDS = [crd("Widget", "Cluster"), crd("Gadget", "Namespaced"), {"spec": {**crd("Odd", "")["spec"], "scope": None}}]


def test_a_name_means_every_cluster_scoped_kind_that_has_it() -> None:
    assert cluster_scoped(["Node"], DISCOVERY, CRDS) == {("", "nodes")}
    assert cluster_scoped(["Issuer", "Thing"], DISCOVERY, CRDS) == {
        ("a.io", "issuers"),
        ("b.io", "issuers"),
        ("c.io", "things"),
    }
    assert cluster_scoped(["Issuer.b.io"], DISCOVERY, CRDS) == {("b.io", "issuers")}
    assert cluster_scoped(["Widget"], DISCOVERY, CRDS) == {("x.io", "widgets")}


@pytest.mark.parametrize(
    ("kind", "why"),
    [("nodes", "is not served"), ("Pod", "lives in namespaces"), ("Gadget", "lives in namespaces"), ("", "is not")],
)
def test_a_name_that_means_nothing_is_refused(kind: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        cluster_scoped(["Node", kind], DISCOVERY, CRDS)
    assert refused.value.message.startswith(f"spec.policies.clusterScoped[1]: {kind} {why}")


def test_kinds_that_a_chart_brings() -> None:
    assert brought(CRDS, "Namespaced") == {("x.io", "gadgets")}
    assert brought(CRDS) == {("x.io", "gadgets"), ("x.io", "odds"), ("x.io", "widgets")}


def test_what_was_allowed_once_may_still_be_taken_away() -> None:
    first = allowed({("a", "x"), ("a", "y"), ("b", "z")}, [])
    assert first == [
        {"apiGroups": ["a"], "resources": ["x", "y"], "verbs": MAKING},
        {"apiGroups": ["b"], "resources": ["z"], "verbs": MAKING},
    ]
    later = allowed({("a", "x")}, first)
    assert later == rules_on({("a", "x")}, MAKING) + rules_on({("a", "y"), ("b", "z")}, REMOVING)
    assert allowed({("a", "x"), ("a", "y"), ("b", "z")}, later) == first


def test_nobody_gets_a_right_to_give_himself_rights() -> None:
    assert not {"*", "escalate", "bind", "impersonate"} & {*MAKING, *REMOVING}
