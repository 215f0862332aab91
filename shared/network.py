"""The NetworkPolicy of a release namespace. One object says it all: each object costs an instance time. Pure."""

from collections.abc import Iterable
from typing import Any

from shared.offering import Network, Peer

Rule = dict[str, Any]

ALL: dict[str, Any] = {}
NAME = "kubernetes.io/metadata.name"
DNS_PORTS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
CLUSTER_DNS = {
    "namespaceSelector": {"matchLabels": {NAME: "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}
NODE_LOCAL_DNS = {"ipBlock": {"cidr": "169.254.20.10/32"}}
"""Where NodeLocal DNSCache listens on every node, by its documentation; it is no pod that a selector could name."""


def spec(network: Network, neighbours: str, peers: Iterable[str]) -> dict[str, Any] | None:
    """`neighbours` is the namespace of the instance object, `peers` are release namespaces opened on request.

    None where the Offering isolates nothing.
    """
    if network.isolation == "None":
        return None
    own = {"podSelector": ALL}
    opened = [namespace(peer) for peer in sorted(peers)]
    beside = [namespace(neighbours)] if network.isolation == "SameNamespace" else []
    ingress: list[Rule] = [{"from": [own, *beside, *opened]}]
    egress: list[Rule] = [{"to": [own, *opened]}, {"to": [CLUSTER_DNS, NODE_LOCAL_DNS], "ports": DNS_PORTS}]
    return {
        "podSelector": ALL,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress + [rule("from", peer) for peer in network.allow_from],
        "egress": egress + [rule("to", peer) for peer in network.allow_to],
    }


def namespace(name: str) -> Rule:
    return {"namespaceSelector": {"matchLabels": {NAME: name}}}


def rule(direction: str, peer: Peer) -> Rule:
    """A peer that names nobody is everybody, as in a NetworkPolicy itself."""
    found, opened = who(peer), ports(peer)
    return ({direction: [found]} if found else {}) | ({"ports": opened} if opened else {})


def who(peer: Peer) -> Rule:
    return peer.model_dump(by_alias=True, exclude_unset=True, exclude={"ports"})


def ports(peer: Peer) -> list[Rule]:
    return [port.model_dump(by_alias=True, exclude_none=True) for port in peer.ports]


def allows(peer: Peer, other: Rule, other_ports: list[Rule]) -> bool:
    """Whether a rule of the chart's own, to the same peer, opens no more than the Offering does."""
    stated = [{"protocol": "TCP", **each} for each in other_ports]
    known = ports(peer)
    return other == who(peer) and (not known or (bool(stated) and all(each in known for each in stated)))
