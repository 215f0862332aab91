"""What NetworkPolicies let through, as the Kubernetes specification defines it (networking.k8s.io/v1). Pure.

A pod that some policy selects for a direction is isolated in it: then only what a rule of such a policy allows goes
through. Policies add up, their order means nothing. A connection needs both ends: what the source may send, and what
the target may receive.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
Labels = Mapping[str, str]

DIRECTIONS = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


@dataclass(frozen=True)
class Pod:
    """One end of a connection; what is no pod has an address only, and is in no namespace."""

    namespace: str = ""
    home: Labels = field(default_factory=dict)
    """The labels of its namespace."""
    labels: Labels = field(default_factory=dict)
    address: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    """Its named ports."""


@dataclass(frozen=True)
class Port:
    number: int
    protocol: str = "TCP"


def reaches(source: Pod, target: Pod, port: Port, policies: Iterable[Object]) -> bool:
    found = [*policies]
    sends = _passes(source, target, port, found, "Egress", target)
    return sends and _passes(target, source, port, found, "Ingress", target)


def _passes(pod: Pod, other: Pod, port: Port, policies: list[Object], direction: str, served_by: Pod) -> bool:
    """`served_by` is the target of the connection: named ports are its own."""
    chosen = [each for each in policies if selects(each, pod) and direction in types(each)]
    if not chosen:
        return True
    rules, peers = DIRECTIONS[direction]
    return any(
        _is_peer(rule.get(peers), other, each["metadata"]["namespace"]) and _is_port(rule.get("ports"), port, served_by)
        for each in chosen
        for rule in each["spec"].get(rules) or []
    )


def selects(policy: Object, pod: Pod) -> bool:
    spec = policy["spec"]
    return bool(pod.namespace == policy["metadata"]["namespace"] and matches(spec.get("podSelector") or {}, pod.labels))


def types(policy: Object) -> list[str]:
    """Where none are stated: Ingress always, Egress where there are rules for it."""
    spec = policy["spec"]
    return list(spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])])


def matches(selector: Object, labels: Labels) -> bool:
    """An empty selector matches all."""
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_fits(each, labels) for each in selector.get("matchExpressions") or [])


def _fits(expression: Object, labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"operator {expression['operator']} is none of a label selector")


def _is_peer(peers: list[Object] | None, other: Pod, here: str) -> bool:
    """No peers at all are everybody."""
    return not peers or any(_is(each, other, here) for each in peers)


def _is(peer: Object, other: Pod, here: str) -> bool:
    if block := peer.get("ipBlock"):
        return other.address is not None and _within(block, other.address)
    if not other.namespace:
        return False
    there = peer.get("namespaceSelector")
    home = other.namespace == here if there is None else matches(there, other.home)
    return home and matches(peer.get("podSelector") or {}, other.labels)


def _within(block: Object, address: str) -> bool:
    given = ipaddress.ip_address(address)
    return given in ipaddress.ip_network(block["cidr"], strict=False) and not any(
        given in ipaddress.ip_network(each, strict=False) for each in block.get("except") or []
    )


def _is_port(ports: list[Object] | None, asked: Port, target: Pod) -> bool:
    """No ports at all are all of them."""
    return not ports or any(_opens(each, asked, target) for each in ports)


def _opens(stated: Object, asked: Port, target: Pod) -> bool:
    if stated.get("protocol", "TCP") != asked.protocol:
        return False
    port = stated.get("port")
    if port is None:
        return True
    first = target.ports.get(port) if isinstance(port, str) else int(port)
    return first is not None and first <= asked.number <= int(stated.get("endPort", first))


def ports_of(policies: Iterable[Object]) -> set[Port]:
    """Those that make a difference, and one that none of them names."""
    found = {Port(64999), Port(64999, "UDP"), Port(64999, "SCTP")}
    stated = [
        each
        for policy in policies
        for rules, _ in DIRECTIONS.values()
        for rule in policy["spec"].get(rules) or []
        for each in rule.get("ports") or []
    ]
    for each in stated:
        if isinstance(first := each.get("port"), int):
            found |= {Port(at, each.get("protocol", "TCP")) for at in (first, each.get("endPort", first))}
    return found
