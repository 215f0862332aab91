from typing import Any

import pytest

from shared.containers import above_limits, named_nodes
from shared.offering import Network, Pods
from shared.openings import addresses, opened, reserved, services
from shared.problems import Problem
from tests.rendering import container, deployment, manifests, object_

HERE = "templates/all.yaml: "
SAME = {"podSelector": {"matchLabels": {"app": "web"}}}
OTHERS: dict[str, Any] = {"namespaceSelector": {}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
OWN = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "home"}}, **SAME}


def network_policy(**spec: Any) -> dict[str, Any]:
    return object_("NetworkPolicy", api_version="networking.k8s.io/v1", spec={"podSelector": {}, **spec})


def openings(policy: dict[str, Any], **network: Any) -> list[str]:
    given = Network.model_validate(network)
    found = opened(manifests(policy), given, "home", lambda *_: "networkPolicy.enabled: false", {})
    return [each.message for each in found]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"ingress": [{"from": [SAME]}, {}]}, "spec.ingress[1] is open to everyone", id="no peers"),
        pytest.param({"ingress": [{"from": []}]}, "spec.ingress[0] is open to everyone", id="an empty list of peers"),
        pytest.param({"egress": [{"ports": [{"port": 53}]}]}, "spec.egress[0] is open to everyone", id="ports only"),
        pytest.param(
            {"ingress": [{"from": [SAME, OTHERS]}]}, "spec.ingress[0].from[1] opens other namespaces", id="namespaces"
        ),
        pytest.param(
            {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]},
            "spec.egress[0].to[0] opens 0.0.0.0/0",
            id="addresses",
        ),
    ],
)
@pytest.mark.parametrize("isolation", ["Strict", "SameNamespace"])
def test_a_network_policy_that_leads_out_is_named(isolation: str, spec: dict[str, Any], field: str) -> None:
    listed = "allowTo" if "egress" in spec else "allowFrom"
    assert openings(network_policy(**spec), isolation=isolation) == [
        f"{HERE}NetworkPolicy/x: {field}, isolation is {isolation}; switch it off with spec.values: "
        f"networkPolicy.enabled: false, or list the peer in spec.policies.network.{listed}"
    ]


@pytest.mark.parametrize(
    ("spec", "network"),
    [
        pytest.param({"ingress": [{"from": [SAME]}]}, {}, id="pods of its own"),
        pytest.param({"ingress": [{"from": [OWN]}]}, {}, id="its own namespace, by name"),
        pytest.param({"ingress": [], "policyTypes": ["Ingress"]}, {}, id="nothing"),
        pytest.param({"ingress": [{}]}, {"isolation": "None"}, id="no isolation"),
        pytest.param({"ingress": [{"from": [MONITORING]}]}, {"allowFrom": [MONITORING]}, id="a peer that is listed"),
    ],
)
def test_a_network_policy_that_opens_nothing_more_is_fine(spec: dict[str, Any], network: dict[str, Any]) -> None:
    assert openings(network_policy(**spec), **network) == []


def test_a_peer_is_listed_for_one_direction() -> None:
    assert len(openings(network_policy(egress=[{"to": [MONITORING]}]), allowFrom=[MONITORING])) == 1


def service(**spec: Any) -> dict[str, Any]:
    return object_("Service", spec=spec)


def test_only_listed_types_of_services_are_fine() -> None:
    given = manifests(service(), service(type="ClusterIP"), service(type="LoadBalancer"))
    assert [*services(given, ["ClusterIP", "LoadBalancer"])] == []
    assert [*services(given, ["ClusterIP"])] == [
        Problem(
            "ServiceTypeNotAllowed",
            f"{HERE}Service/x: spec.type is LoadBalancer; allowed: ClusterIP; "
            "set another one by spec.values, or add it to spec.policies.serviceTypes",
        )
    ]


def test_external_addresses_are_refused_whatever_the_type() -> None:
    (found,) = services(manifests(service(externalIPs=["192.0.2.1"])), ["ClusterIP"])
    assert found.reason == "ExternalAddresses"


def test_addresses_written_by_hand_are_refused() -> None:
    aimed = [
        object_("Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}]}]),
        object_("EndpointSlice", api_version="discovery.k8s.io/v1", endpoints=[{"addresses": ["10.0.0.1"]}]),
    ]
    assert [each.reason for each in addresses(manifests(*aimed))] == ["ExternalAddresses"] * 2
    assert [*addresses(manifests(object_("Endpoints")))] == []


def test_names_of_ours_are_reserved_in_objects_and_templates_of_pods() -> None:
    labelled = deployment()
    labelled["spec"]["template"]["metadata"] = {"labels": {"chandlery.dev/instance": "x", "mychandlery.dev/x": "y"}}
    marked = object_("ConfigMap", metadata={"annotations": {"my.chandlery.dev/x": "y"}})
    assert [each.message for each in reserved(manifests(labelled, marked))] == [
        f"{HERE}Deployment/x: spec.template.metadata.labels has chandlery.dev/instance; "
        "such names are Chandlery's own: leave it out",
        f"{HERE}ConfigMap/x: metadata.annotations has my.chandlery.dev/x; such names are Chandlery's own: leave it out",
    ]


def test_a_container_above_the_limit_is_named_with_field_and_rule() -> None:
    first = container("init", limits={"cpu": "2", "memory": "1Gi"})
    given = manifests(deployment(container(requests={"memory": "3Gi"}), initContainers=[first]))
    assert [each.message for each in above_limits(given, Pods(limits={"cpu": 1, "memory": "2Gi"}))] == [
        f"{HERE}Deployment/x: container init: resources.limits.cpu is 2, spec.policies.pods.limits.cpu allows 1; "
        "ask for less by spec.values, or raise what the Offering allows",
        f"{HERE}Deployment/x: container main: resources.requests.memory is 3Gi, "
        "spec.policies.pods.limits.memory allows 2Gi; "
        "ask for less by spec.values, or raise what the Offering allows",
    ]


def test_a_pod_that_names_its_node_evades_a_placement() -> None:
    given = manifests(deployment(nodeName="control-plane"))
    assert [*named_nodes(given, Pods())] == []
    assert [each.reason for each in named_nodes(given, Pods(node_selector={"a": "b"}))] == ["NodeNamed"]
