"""Who reaches an instance's pods, and whom they reach, by the NetworkPolicies that are there; held against what was
promised. Pure.

What policies can't tell apart is looked at once: N instances of an Offering cost what two do. What is wrong is said of
each.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shared.cluster import Object
from shared.isolation import SHOWN, Finding, Home
from shared.netpol import Pod, Port, blocks_of, contains, edges, lane, ports_of
from shared.network import NAME
from shared.resources import NETWORK_POLICIES

ADDRESSES = 64
"""How many addresses outside the cluster an instance is held against at most."""
ELSEWHERE = "an address outside"
STRANGER = "any other namespace"
"""Stands for those that no policy names; no namespace can be called so."""
FIX = "a NetworkPolicy besides Chandlery's opens it, or Chandlery's is gone: `kubectl get networkpolicies -n {}`"


def promised(home: Home) -> list[Object]:
    return [body for resource, body in home.wanted if resource == NETWORK_POLICIES]


# Classes


@dataclass(frozen=True)
class Words:
    """All that the policies speak of; what they don't can make no difference."""

    labels: Mapping[str, frozenset[str]]
    ports: frozenset[str]
    blocks: frozenset[str]

    def told(self, labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        """A value that no policy names is as good as any other."""
        known = ((key, value) for key, value in labels.items() if key in self.labels)
        return frozenset((key, value if value in self.labels[key] else "*") for key, value in known)

    def face(self, pod: Pod) -> Any:
        """What policies see of a pod."""
        named = frozenset(each for each in pod.ports if each[0] in self.ports)
        within = frozenset(cidr for cidr in self.blocks if pod.address and contains(cidr, pod.address))
        return self.told(pod.home), self.told(pod.labels), named, within


def words(policies: Iterable[Object]) -> Words:
    given = [*policies]
    found: dict[str, set[str]] = {}
    for selector in (each for policy in given for each in selectors(policy["spec"])):
        for key, value in (selector.get("matchLabels") or {}).items():
            found.setdefault(key, set()).add(value)
        for expression in selector.get("matchExpressions") or []:
            found.setdefault(expression["key"], set()).update(expression.get("values") or [])
    named = {each for policy in given for each in port_names(policy["spec"])}
    labels = {key: frozenset(values) for key, values in found.items()}
    return Words(labels, frozenset(named), frozenset(blocks_of(given)))


def selectors(part: Any) -> Iterator[Object]:
    """All of them, wherever they stand in a policy."""
    if isinstance(part, list):
        for each in part:
            yield from selectors(each)
    elif isinstance(part, Mapping):
        for key, value in part.items():
            if key in ("podSelector", "namespaceSelector"):
                yield value or {}
            else:
                yield from selectors(value)


def port_names(spec: Object) -> Iterator[str]:
    for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
        for each in rule.get("ports") or []:
            if isinstance(each.get("port"), str):
                yield each["port"]


def one_each(pods: Iterable[Pod], known: Words) -> list[Pod]:
    return list({known.face(pod): pod for pod in pods}.values())


def alike(home: Home, pods: Iterable[Pod], known: Words) -> Any:
    """All that policies could tell it by: homes of one class reach, and are reached by, the same."""
    stated = (json.dumps([each["spec"] for each in given], sort_keys=True) for given in (home.network, promised(home)))
    return (*stated, known.told(home.marks), frozenset(known.face(pod) for pod in pods))


@dataclass(frozen=True)
class Class:
    homes: tuple[Home, ...]
    pods: Mapping[str, list[Pod]]
    """Of each home, one of each face."""

    def another(self, than: Home) -> Home | None:
        return next((each for each in self.homes if each is not than), None)


def classes(homes: Iterable[Home], pods: Mapping[str, list[Pod]], known: Words) -> list[Class]:
    found: dict[Any, list[Home]] = {}
    for home in homes:
        found.setdefault(alike(home, pods[home.name], known), []).append(home)
    return [Class(tuple(each), {home.name: pods[home.name] for home in each}) for each in found.values()]


def pods_of(home: Home, known: Words, stand_in: str | None) -> list[Pod]:
    """A home without pods is looked at as if it had one, with an address that some other pod has."""
    return one_each(home.pods or [Pod(home.name, home.marks, address=stand_in)], known)


# Openings


@dataclass(frozen=True)
class Opening:
    """From one place to another."""

    beyond: tuple[Port, ...]
    """Ports that are open and should not be."""
    whole: bool
    """Whether that is all there are."""
    is_open: bool


def opening(
    sources: list[Pod], targets: list[Pod], there: list[Object], promise: list[Object], ports: list[Port]
) -> Opening:
    """Pod by pod and port by port: what more is open than should be, however little."""
    beyond: set[Port] = set()
    some = False
    for source in sources:
        for target in targets:
            lies = lane(source, target, there)
            if lies.closed:
                continue
            may = lane(source, target, promise)
            carried = {port for port in ports if lies.carries(port)}
            some = some or bool(carried)
            beyond |= {port for port in carried if may.closed or not may.carries(port)}
    return Opening(tuple(sorted(beyond)), len(beyond) == len(ports), some)


def over(found: Opening) -> str:
    if found.whole:
        return ""
    shown = ", ".join(f"{each.protocol} {each.number}" for each in found.beyond[:SHOWN])
    return f" over {shown}" + (" and others" if len(found.beyond) > SHOWN else "")


# Judging


def network(homes: Iterable[Home], outsiders: Iterable[Pod] = (), only: Iterable[str] = ()) -> Iterator[Finding]:
    """`outsiders` are pods that are no instance's; `only` are the instances that somebody asked about; default: all."""
    mine = set(only)
    visible = [home for home in homes if NETWORK_POLICIES not in home.hidden]
    visible.sort(key=lambda home: home.instance not in mine)  # first in their class, so that it speaks of them
    policies = [policy for home in visible for policy in [*home.network, *promised(home)]]
    known = words(policies)
    stand_in = next((pod.address for home in visible for pod in home.pods if pod.address), None)
    pods = {home.name: pods_of(home, known, stand_in) for home in visible}
    strangers = one_each([*outsiders, Pod(STRANGER, {NAME: STRANGER}, address=stand_in)], known)
    everybody = [*strangers, *(pod for each in pods.values() for pod in each)]
    named = [port for pod in everybody for name, port in pod.ports if name in known.ports]
    ports = sorted(ports_of(policies, named))
    grouped = classes(visible, pods, known)
    for one in grouped:
        if mine and one.homes[0].instance not in mine:
            continue
        for other in grouped:
            yield from between(one, other, ports)
        yield from outside(one, strangers, ports)


def between(one: Class, other: Class, ports: list[Port]) -> Iterator[Finding]:
    """Whether pods of one class reach those of the other, or of another instance of the same."""
    source = one.homes[0]
    target = other.another(source)
    if target is None:
        return
    there, promise = [*source.network, *target.network], [*promised(source), *promised(target)]
    found = opening(one.pods[source.name], other.pods[target.name], there, promise, ports)
    if not found.beyond:
        opened = "the Offering, or the owners of both, opened it" if found.is_open else ""
        what = f"{source.name} reaches {target.name}"
        yield Finding(source.instance, "granted" if found.is_open else "denied", what, opened)
        return
    for home in one.homes:
        reached = other.another(home) or target
        what = f"{home.name} reaches {reached.name}{over(found)}"
        yield Finding(home.instance, "wrong", what, FIX.format(home.name), reached.name)


def outside(one: Class, strangers: list[Pod], ports: list[Port]) -> Iterator[Finding]:
    """Whether what is no instance's reaches the pods of a class, or is reached by them."""
    home = one.homes[0]
    pods, there, promise = one.pods[home.name], [*home.network], promised(home)
    others = {ELSEWHERE: addresses([*there, *promise])} | by_namespace(strangers)
    closed = True
    for where, ends in others.items():
        for way, found in (
            (" is reached by ", opening(ends, pods, there, promise, ports)),
            (" reaches ", opening(pods, ends, there, promise, ports)),
        ):
            if found.beyond:
                closed = False
                for each in one.homes:
                    what = f"{each.name}{way}{where}{over(found)}"
                    yield Finding(each.instance, "wrong", what, FIX.format(each.name))
            elif found.is_open:
                yield Finding(home.instance, "allowed", f"{home.name}{way}{where}", "DNS, or what the Offering opened")
    if closed:
        yield Finding(home.instance, "denied", f"whatever else there is reaches {home.name}, or is reached by it")


def by_namespace(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = {}
    for pod in pods:
        found.setdefault(pod.namespace, []).append(pod)
    return found


def addresses(policies: Iterable[Object]) -> list[Pod]:
    """On both sides of every border that the policies draw, and one that hardly any of them names."""
    told = (address for cidr in sorted(blocks_of(policies)) for address in edges(cidr))
    return [Pod(address=each) for each in ["192.0.2.1", *islice(dict.fromkeys(told), ADDRESSES)]]
