"""What NetworkPolicies let through, as the Kubernetes specification defines it (networking.k8s.io/v1). Pure.

A pod that some policy selects for a direction is isolated in it: then only what a rule of such a policy allows goes
through. Policies add up, their order means nothing. A connection needs both ends: what the source may send, and what
the target may receive. Not said here, since no policy says it: a pod reaches itself, and its node reaches it.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Object = dict[str, Any]
Labels = Mapping[str, str]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DIRECTIONS = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}
PROTOCOLS = ("TCP", "UDP", "SCTP")
LAST_PORT = 65535


@dataclass(frozen=True, order=True)
class Port:
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class Pod:
    """One end of a connection; what is no pod has an address only, and is in no namespace."""

    namespace: str = ""
    home: Labels = field(default_factory=dict)
    """The labels of its namespace."""
    labels: Labels = field(default_factory=dict)
    address: str | None = None
    ports: frozenset[tuple[str, Port]] = frozenset()
    """Its named ports."""


@dataclass(frozen=True)
class Lane:
    """What policies leave open from one pod to another: by each end, the ports of its rules; None is everything."""

    sent: list[list[Object]] | None
    received: list[list[Object]] | None
    target: Pod

    @property
    def closed(self) -> bool:
        return self.sent == [] or self.received == []

    def carries(self, port: Port) -> bool:
        ends = (self.sent, self.received)
        return all(end is None or any(_is_port(ports, port, self.target) for ports in end) for end in ends)


def reaches(source: Pod, target: Pod, port: Port, policies: Iterable[Object]) -> bool:
    return lane(source, target, [*policies]).carries(port)


def lane(source: Pod, target: Pod, policies: list[Object]) -> Lane:
    sent = _openings(source, target, policies, "Egress")
    return Lane(sent, _openings(target, source, policies, "Ingress") if sent != [] else [], target)


def _openings(pod: Pod, other: Pod, policies: list[Object], direction: str) -> list[list[Object]] | None:
    chosen = [each for each in policies if direction in types(each) and selects(each, pod)]
    if not chosen:
        return None
    rules, peers = DIRECTIONS[direction]
    return [
        rule.get("ports") or []
        for each in chosen
        for rule in each["spec"].get(rules) or []
        if _is_peer(rule.get(peers), other, pod.namespace)
    ]


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
    return contains(block["cidr"], address) and not any(contains(each, address) for each in block.get("except") or [])


def contains(cidr: str, address: str) -> bool:
    network = _network(cidr)
    return network is not None and _address(address) in network


@lru_cache(4096)
def _network(cidr: str) -> Network | None:
    """None for what is none; the API server keeps what older versions let in."""
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None


@lru_cache(4096)
def _address(text: str) -> Address:
    return ipaddress.ip_address(text)


def _is_port(ports: list[Object], asked: Port, target: Pod) -> bool:
    """No ports at all are all of them."""
    return not ports or any(_opens(each, asked, target) for each in ports)


def _opens(stated: Object, asked: Port, target: Pod) -> bool:
    """A named port is the target's own, of that name and protocol."""
    if stated.get("protocol", "TCP") != asked.protocol:
        return False
    port = stated.get("port")
    if port is None:
        return True
    if isinstance(port, str):
        return (port, asked) in target.ports
    return int(port) <= asked.number <= int(stated.get("endPort") or port)


# What makes a difference


def rules_of(policies: Iterable[Object]) -> Iterator[Object]:
    for policy in policies:
        for rules, _ in DIRECTIONS.values():
            yield from policy["spec"].get(rules) or []


def ports_of(policies: Iterable[Object], named: Iterable[Port] = ()) -> set[Port]:
    """Where what is open may begin or end: two sets of policies that agree on these ports agree on all.

    `named` are those that names in the policies stand for.
    """
    spans = {(each, each.number) for each in named}
    for rule in rules_of(policies):
        for each in rule.get("ports") or []:
            if isinstance(first := each.get("port"), int):
                spans.add((Port(first, each.get("protocol", "TCP")), each.get("endPort") or first))
    found = {Port(1, protocol) for protocol in PROTOCOLS}
    for first, last in spans:
        found.add(first)
        if last < LAST_PORT:
            found.add(Port(last + 1, first.protocol))
    return found


def blocks_of(policies: Iterable[Object]) -> set[str]:
    """All that stand in ipBlocks, exceptions too."""
    peers = [peer for rule in rules_of(policies) for _, side in DIRECTIONS.values() for peer in rule.get(side) or []]
    blocks = [peer["ipBlock"] for peer in peers if peer.get("ipBlock")]
    return {cidr for block in blocks for cidr in (block["cidr"], *(block.get("except") or ()))}


def edges(cidr: str) -> Iterator[str]:
    """The first address within, and the first beyond."""
    network = _network(cidr)
    if network is None:
        return
    yield str(network.network_address)
    last = network.broadcast_address
    if int(last) + 1 < 1 << network.max_prefixlen:
        yield str(last + 1)
