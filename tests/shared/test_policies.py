"""What bounds a release namespace: whole objects, and what counts as drift."""

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from shared import policies
from shared.offering import Network, Peer
from shared.ownership import labels
from shared.resources import LIMIT_RANGES, NETWORK_POLICIES, RESOURCE_QUOTAS, SERVICE_ACCOUNTS
from tests.builders import KEY, instance, offering

HOME = "database-team-a-orders-abc123"
DNS: dict[str, Any] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        },
        {"ipBlock": {"cidr": "169.254.20.10/32"}},
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
OWN: dict[str, Any] = {"podSelector": {}}


def named(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def wanted(*peers: str, plan: str | None = None, **spec: Any) -> dict[Any, Any]:
    ordered = instance(spec={"plan": plan} if plan else {})
    return dict(policies.wanted(KEY, offering(**spec), ordered, HOME, peers))


def network(*peers: str, **said: Any) -> Any:
    found = wanted(*peers, policies={"network": said}).get(NETWORK_POLICIES)
    return found and found["spec"]


def test_an_instance_is_isolated_though_its_offering_says_nothing() -> None:
    about = {"namespace": HOME, "labels": labels(KEY)}
    assert wanted() == {
        NETWORK_POLICIES: {
            "metadata": {"name": "chandlery", **about},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [OWN]}],
                "egress": [{"to": [OWN]}, DNS],
            },
        },
        SERVICE_ACCOUNTS: {"metadata": {"name": "default", **about}, "automountServiceAccountToken": False},
    }


def test_the_plans_quota_goes_over_the_offerings() -> None:
    plans = [{"name": "big", "quota": {"limits.cpu": 8}}]
    found = wanted(plan="big", plans=plans, policies={"quota": {"limits.cpu": "4", "pods": 20}})
    assert found[RESOURCE_QUOTAS]["spec"] == {"hard": {"limits.cpu": "8", "pods": "20"}}


def test_containers_that_state_nothing_get_the_providers() -> None:
    pods = {"requests": {"cpu": "100m"}, "limits": {"cpu": 1, "memory": "1Gi"}}
    assert wanted(policies={"pods": pods})[LIMIT_RANGES]["spec"]["limits"] == [
        {
            "type": "Container",
            "default": {"cpu": "1", "memory": "1Gi"},
            "max": {"cpu": "1", "memory": "1Gi"},
            "defaultRequest": {"cpu": "100m", "memory": "1Gi"},
        }
    ]


def test_beside_the_instance_is_let_in_on_request_and_nothing_more() -> None:
    found = network(isolation="SameNamespace")
    assert found["ingress"] == [{"from": [OWN, named("team-a")]}]
    assert found["egress"] == [{"to": [OWN]}, DNS]


def test_no_isolation_is_no_policy() -> None:
    assert network(isolation="None") is None


def test_peers_are_open_in_both_directions() -> None:
    found = network("b", "a")
    assert found["ingress"] == [{"from": [OWN, named("a"), named("b")]}]
    assert found["egress"] == [{"to": [OWN, named("a"), named("b")]}, DNS]


def test_what_the_provider_allows_comes_besides() -> None:
    ingress = {"namespaceSelector": {"matchLabels": {"name": "ingress"}}, "ports": [{"port": "http"}]}
    outside = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}
    found = network(allowFrom=[ingress, {"podSelector": {}}], allowTo=[outside])
    assert found["ingress"][1:] == [
        {
            "from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
            "ports": [{"protocol": "TCP", "port": "http"}],
        },
        {"from": [{"podSelector": {}}]},
    ]
    assert found["egress"][2:] == [{"to": [outside]}]


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="protocol"):
        Peer.model_validate({"ports": [{"protocol": "ICMP", "port": 1}]})
    assert Network().allow_from == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "hard", "limits.cpu"), "400"),
        (("spec", "hard", "pods"), "3"),
        (("metadata", "labels"), {}),
    ],
    ids=["raised", "added", "unlabelled"],
)
def test_a_quota_that_was_changed_is_another_one(path: tuple[str, ...], value: Any) -> None:
    expected = wanted(policies={"quota": {"limits.cpu": "4000m"}})
    found = copy.deepcopy({kind: body for kind, body in expected.items() if kind in policies.BOUNDS})
    found[RESOURCE_QUOTAS]["spec"]["hard"]["limits.cpu"] = "4"  # as the API server writes it
    assert not policies.drifted(expected.items(), found)
    at = found[RESOURCE_QUOTAS]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert policies.drifted(expected.items(), found)


def test_what_is_too_much_or_missing_is_drift() -> None:
    expected = wanted()
    found = {NETWORK_POLICIES: expected[NETWORK_POLICIES]}
    assert not policies.drifted(expected.items(), found)
    assert policies.drifted(expected.items(), {})
    assert policies.drifted(expected.items(), {**found, LIMIT_RANGES: {"metadata": {}, "spec": {}}})


def test_the_namespace_tells_what_its_offering_allows() -> None:
    allowed = {"storageClasses": ["fast", "slow"], "serviceTypes": ["ClusterIP", "NodePort"]}
    told = policies.namespace_object(KEY, offering(policies=allowed), HOME)["metadata"]["annotations"]
    assert told["chandlery.dev/storage-classes"] == "fast,slow"
    assert told["chandlery.dev/service-types"] == "ClusterIP,NodePort"
    free = policies.namespace_object(KEY, offering(), HOME)["metadata"]["annotations"]
    assert free["chandlery.dev/storage-classes"] == "*"
