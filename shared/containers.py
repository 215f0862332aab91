"""The containers of a rendered chart against what the Offering allows each of them. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from shared.demand import pod_spec
from shared.manifests import Manifest, items, mapping
from shared.offering import Pods
from shared.problems import Problem
from shared.quantities import quantity

PARTS = ("initContainers", "containers", "ephemeralContainers")


def containers(each: Manifest) -> Iterator[dict[str, Any]]:
    pods = pod_spec(each) or {}
    for part in PARTS:
        yield from items(pods.get(part))


def above_limits(manifests: Iterable[Manifest], pods: Pods) -> Iterator[Problem]:
    """What the LimitRange would refuse when the pods are made: long after Helm has said that all is well."""
    most = {name: amount for name, limit in pods.limits.items() if (amount := quantity(limit)) is not None}
    for each in manifests:
        for container in containers(each):
            resources = mapping(container.get("resources"))
            for part in ("limits", "requests"):
                for name, asked in mapping(resources.get(part)).items():
                    amount = quantity(asked)
                    if amount is not None and name in most and amount > most[name]:
                        where = f"{each.source}: {each.shown}: container {container.get('name')}"
                        rule = f"spec.policies.pods.limits.{name} allows {pods.limits[name]}"
                        fix = "ask for less by spec.values, or raise what the Offering allows"
                        yield Problem("ExceedsLimit", f"{where}: resources.{part}.{name} is {asked}, {rule}; {fix}")


def named_nodes(manifests: Iterable[Manifest], pods: Pods) -> Iterator[Problem]:
    """A pod that names its node passes the scheduler by, and with it every taint."""
    for each in manifests:
        node = (pod_spec(each) or {}).get("nodeName")
        if node and (pods.node_selector or pods.tolerations):
            what = f"{each.source}: {each.shown}: spec.nodeName is {node}"
            fix = "spec.policies.pods says where its pods run; leave it out by spec.values"
            yield Problem("NodeNamed", f"{what}; {fix}")
