"""What bounds a release namespace: quota, limits of containers, network, and an account without a token. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from events.base import InstanceKey
from shared import network, ownership
from shared.instance import Instance
from shared.offering import Offering, Plan
from shared.placement import marks
from shared.quantities import quantity
from shared.resources import LIMIT_RANGES, NETWORK_POLICIES, RESOURCE_QUOTAS, SERVICE_ACCOUNTS, Resource
from shared.values import plan_of

NAME = "chandlery"
STORAGE_CLASSES = "chandlery.dev/storage-classes"
SERVICE_TYPES = "chandlery.dev/service-types"
PEERS = "chandlery.dev/network-peers"
"""On an instance: those it is open to, as plural.group/namespace/name, with commas; each must name the other."""

Object = dict[str, Any]
BOUNDS = (RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES)
"""What there is at most one of, and may be none."""


def namespace_object(key: InstanceKey, offering: Offering, name: str, plan: Plan | None = None) -> Object:
    """The annotations are what the admission policies in knative/base/admission.yaml read, and usage is charged by."""
    policies = offering.spec.policies
    security = {f"pod-security.kubernetes.io/{mode}": policies.pod_security for mode in ("enforce", "warn", "audit")}
    classes = "*" if policies.storage_classes is None else ",".join(policies.storage_classes)
    told = ownership.annotations(key) | {
        SERVICE_TYPES: ",".join(policies.service_types),
        STORAGE_CLASSES: classes,
    }
    told |= marks(policies.pods) | ({ownership.PLAN: plan.name} if plan else {})
    return {"metadata": {"name": name, "labels": ownership.labels(key) | security, "annotations": told}}


def wanted(
    key: InstanceKey, offering: Offering, instance: Instance, namespace: str, peers: Iterable[str] = ()
) -> list[tuple[Resource, Object]]:
    """Everything that must be there before a workload is; `peers` are release namespaces that are opened to it."""
    policies = offering.spec.policies
    specs = {
        RESOURCE_QUOTAS: quota(offering, plan_of(offering, instance.spec)),
        LIMIT_RANGES: limit_range(offering),
        NETWORK_POLICIES: network.spec(policies.network, key.namespace, peers),
    }
    found: list[tuple[Resource, Object]] = [
        (resource, {"metadata": metadata(key, namespace, NAME), "spec": spec})
        for resource, spec in specs.items()
        if spec
    ]
    # Kubernetes makes this one by itself, with a token in every pod.
    account = {"metadata": metadata(key, namespace, "default"), "automountServiceAccountToken": False}
    return [*found, (SERVICE_ACCOUNTS, account)]


def metadata(key: InstanceKey, namespace: str, name: str) -> Object:
    return {"name": name, "namespace": namespace, "labels": ownership.labels(key)}


def quota(offering: Offering, plan: Plan | None) -> Object | None:
    """The plan's over the Offering's, resource by resource."""
    hard = offering.spec.policies.quota | (plan.quota if plan else {})
    return {"hard": {name: str(amount) for name, amount in hard.items()}} if hard else None


def limit_range(offering: Offering) -> Object | None:
    """Defaults for containers that state nothing; the limits are also the most that any may have."""
    pods = offering.spec.policies.pods
    limits = {name: str(amount) for name, amount in pods.limits.items()}
    requests = {name: str(amount) for name, amount in pods.requests.items()}
    # Written out as the API server would fill it in: what states no request asks for its limit.
    container = {"default": limits, "max": limits, "defaultRequest": limits | requests}
    stated = {field: amounts for field, amounts in container.items() if amounts}
    return {"limits": [{"type": "Container", **stated}]} if stated else None


def in_force(found: Object, body: Object) -> bool:
    """Whether it is what is wanted, with nothing added and nothing left out; labels may be more."""
    marked = found["metadata"].get("labels") or {}
    return body["metadata"]["labels"].items() <= marked.items() and all(
        same(found.get(field), value) for field, value in body.items() if field != "metadata"
    )


def same(one: Any, other: Any) -> bool:
    """The API server writes quantities its own way."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    amount = quantity(one)
    return bool(one == other) or (amount is not None and amount == quantity(other))


def drifted(expected: Iterable[tuple[Resource, Object]], found: Mapping[Resource, Object]) -> bool:
    """Of the kinds in BOUNDS: whether any is missing, too much, or another than it should be."""
    bodies = {resource: body for resource, body in expected if resource in BOUNDS}
    return bodies.keys() != found.keys() or not all(in_force(found[each], body) for each, body in bodies.items())


def names_of(instance: Instance) -> list[str]:
    """Whom an instance is to be opened to, as its owner wrote it."""
    return [each.strip() for each in instance.metadata.annotations.get(PEERS, "").split(",") if each.strip()]


def open_to(instance: Instance, key: InstanceKey) -> bool:
    return not instance.withdrawn and name_of(key) in names_of(instance)


def name_of(key: InstanceKey) -> str:
    return f"{key.plural}.{key.group}/{key.namespace}/{key.name}"
