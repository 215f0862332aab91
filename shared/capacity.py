"""Whether the nodes can hold what is asked for: the largest pod on one of them, the whole on all together. Pure.

Against what nodes have, not against what is free just now: that changes, and the scheduler deals with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from shared.checks import ALIASES, stated
from shared.demand import Amounts, Demand, of_pod, pod_spec
from shared.manifests import Manifest, mapping
from shared.offering import Plan, Pods, Policies, Quantities
from shared.problems import Problem
from shared.quantities import quantity, shown

ZERO = Decimal(0)
REQUESTS = "requests."
OF_NODES = ("cpu", "memory", "ephemeral-storage", "pods")
FIX = "ask for less by spec.values, add nodes, or set spec.policies.capacity: Unchecked where nodes come by themselves"


@dataclass(frozen=True)
class Node:
    labels: dict[str, str] = field(default_factory=dict)
    allocatable: Amounts = field(default_factory=dict)


def nodes_of(found: Iterable[dict[str, Any]]) -> list[Node]:
    """Those that take pods."""
    return [
        Node(
            mapping(mapping(each.get("metadata")).get("labels")),
            amounts(mapping(mapping(each.get("status")).get("allocatable"))),
        )
        for each in found
        if not mapping(each.get("spec")).get("unschedulable")
    ]


def amounts(given: dict[str, Any]) -> Amounts:
    return {name: amount for name, value in given.items() if (amount := quantity(value)) is not None}


def beyond(
    manifests: Iterable[Manifest], demand: Demand, policies: Policies, nodes: list[Node], whose: str
) -> Iterator[Problem]:
    """What no node can hold, and what all of them together can't. A cluster without nodes is not ready to be asked."""
    if policies.capacity == "Unchecked" or not nodes:
        return
    for each in manifests:
        spec = pod_spec(each)
        if spec is not None and not each.only_a_test:
            yield from too_large(each, spec, policies.pods, nodes)
    usable = [node for node in nodes if on(node, policies.pods.node_selector)]
    for resource, asked in _of_nodes(demand.total):
        have = sum((node.allocatable.get(resource, ZERO) for node in usable), ZERO)
        if asked > have:
            what = f"{whose} asks for {shown(asked, resource)} {resource}, all nodes together have"
            yield Problem("NoCapacity", f"{what} {shown(have, resource)}; {FIX}")


def too_large(each: Manifest, spec: dict[str, Any], pods: Pods, nodes: list[Node]) -> Iterator[Problem]:
    where = f"{each.source}: {each.shown}"
    wanted = {**mapping(spec.get("nodeSelector")), **pods.node_selector}
    usable = [node for node in nodes if on(node, wanted)]
    if not usable:
        labels = ", ".join(f"{name}={value}" for name, value in wanted.items())
        yield Problem("NoCapacity", f"{where}: its pods must run where {labels} is, and no node has that; {FIX}")
        return
    requests = {
        name.removeprefix(REQUESTS): amount
        for name, amount in of_pod(spec, pods, each.shown, _Passed()).items()
        if name.startswith(REQUESTS) and amount
    }
    if any(all(node.allocatable.get(name, ZERO) >= amount for name, amount in requests.items()) for node in usable):
        return
    largest = {name: max(node.allocatable.get(name, ZERO) for node in usable) for name in requests}
    over = [name for name in requests if requests[name] > largest[name]]
    for name in over:
        what = f"{where}: a pod asks for {shown(requests[name], name)} {name}, the largest node has"
        yield Problem("NoCapacity", f"{what} {shown(largest[name], name)}; {FIX}")
    if not over:
        together = " with ".join(f"{shown(amount, name)} {name}" for name, amount in requests.items())
        yield Problem("NoCapacity", f"{where}: a pod asks for {together}, no node has all of that; {FIX}")


class _Passed(dict[str, list[str]]):
    """Containers that state nothing: of no interest here."""

    def __missing__(self, key: str) -> list[str]:
        return []


def on(node: Node, selector: dict[str, Any]) -> bool:
    return all(node.labels.get(name) == str(value) for name, value in selector.items())


def beyond_quota(quota: Quantities, plan: Plan | None, policies: Policies, nodes: list[Node]) -> Iterator[Problem]:
    """A quota that no instance could ever use up promises what is not there."""
    if policies.capacity == "Unchecked" or not nodes:
        return
    usable = [node for node in nodes if on(node, policies.pods.node_selector)]
    for where, key, limit in stated(quota, plan):
        name = ALIASES.get(key, key)
        found = dict(_of_nodes({name: quantity(limit) or ZERO}))
        for resource, most in found.items():
            have = sum((node.allocatable.get(resource, ZERO) for node in usable), ZERO)
            if most > have:
                what = f"{where} is {shown(most, resource)}, all nodes together have {shown(have, resource)}"
                fix = "lower it, or set spec.policies.capacity: Unchecked where nodes come by themselves"
                yield Problem("NoCapacity", f"{what}; {fix}")


def _of_nodes(asked: Amounts) -> Iterator[tuple[str, Decimal]]:
    """What nodes have, as they call it; extended resources, such as GPUs, always have a domain."""
    for name, amount in asked.items():
        resource = name.removeprefix(REQUESTS)
        of_node = resource in OF_NODES or (name.startswith(REQUESTS) and "/" in resource)
        if of_node and (name.startswith(REQUESTS) or name == "pods"):
            yield resource, amount
