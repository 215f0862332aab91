"""Make the release namespace of an instance, with Helm's own rights in it, before anything runs there."""

import asyncio
from functools import partial
from typing import Any

from events.base import InstanceKey
from events.instances import InstanceAdmitted
from events.policies import PoliciesApplied, PoliciesRefused
from shared import ownership
from shared.cluster import Cluster
from shared.conditions import condition
from shared.errors import Conflict, Refused, RetryLater
from shared.function import function
from shared.helm import SERVICE_ACCOUNT
from shared.instance import as_offered
from shared.offering import Offering
from shared.releases import namespace_for
from shared.reports import instance_of, offering_of, report_instance
from shared.resources import NAMESPACES, ROLE_BINDINGS, SERVICE_ACCOUNTS, Resource

HELM_ROLE = "chandlery-release"


def namespace_object(key: InstanceKey, offering: Offering, name: str) -> dict[str, Any]:
    level = offering.spec.policies.pod_security
    security = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn", "audit")}
    labels = ownership.labels(key) | security
    return {"metadata": {"name": name, "labels": labels, "annotations": ownership.annotations(key)}}


def rights(key: InstanceKey, namespace: str) -> list[tuple[Resource, dict[str, Any]]]:
    """The service account Helm acts as, and what it may do: everything a chart makes, in this namespace only."""

    def metadata() -> dict[str, Any]:
        return {"name": SERVICE_ACCOUNT, "namespace": namespace, "labels": ownership.labels(key)}

    subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}
    role = {"apiGroup": ROLE_BINDINGS.group, "kind": "ClusterRole", "name": HELM_ROLE}
    return [
        (SERVICE_ACCOUNTS, {"metadata": metadata(), "automountServiceAccountToken": False}),
        (ROLE_BINDINGS, {"metadata": metadata(), "roleRef": role, "subjects": [subject]}),
    ]


async def apply_policies(event: InstanceAdmitted, cluster: Cluster) -> PoliciesApplied | PoliciesRefused | None:
    offering = await offering_of(cluster, event.instance.offering)
    key = as_offered(event.instance, offering)
    instance = await instance_of(cluster, key, event.generation)
    if instance is None or instance.withdrawn or offering is None or instance.generation != event.generation:
        return None  # gone, or changed meanwhile: then its own event is on the way
    generation = instance.generation
    namespace = namespace_for(offering, instance)
    try:
        made = await make_namespace(cluster, key, namespace_object(key, offering, namespace))
    except Refused as refused:
        said = condition("Isolated", False, refused.reason, refused.message, generation)
        await report_instance(cluster, key, instance, "apply_policies", [said])
        return PoliciesRefused(instance=key, generation=generation, reason=refused.reason)
    objects = rights(key, namespace)
    # In a namespace made just now there is nothing to merge with, and a create costs half an apply.
    put = cluster.create if made else partial(cluster.apply, manager="apply_policies")
    try:
        await asyncio.gather(*[put(resource, body) for resource, body in objects])
    except Conflict as twice:
        raise RetryLater(f"{namespace} is being made by another event", after=0.1) from twice
    return PoliciesApplied(instance=key, generation=generation)


async def make_namespace(cluster: Cluster, key: InstanceKey, body: dict[str, Any]) -> bool:
    """Created (True), or brought back to what it should be; never taken from somebody else."""
    name = body["metadata"]["name"]
    try:
        await cluster.create(NAMESPACES, body)
        return True
    except Conflict:
        existing = await cluster.get(NAMESPACES, name)
    if existing is None:
        raise RetryLater(f"namespace {name} went away just now")
    metadata = existing["metadata"]
    if metadata.get("labels", {}).get(ownership.UID) != key.uid:
        raise Refused("NamespaceTaken", f"namespace {name} belongs to somebody else; change spec.release.namespace")
    if metadata.get("deletionTimestamp"):
        raise Refused("NamespaceTerminating", f"namespace {name} is being deleted; this goes on when it is gone")
    await cluster.apply(NAMESPACES, body, "apply_policies")
    return False


main = function(apply_policies, Cluster)
