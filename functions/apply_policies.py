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
from shared.errors import ApiError, Conflict, Refused, RetryLater
from shared.function import function
from shared.helm import SERVICE_ACCOUNT
from shared.instance import as_offered
from shared.offering import Offering
from shared.placement import marks
from shared.releases import namespace_for
from shared.reports import instance_of, offering_of, report_instance
from shared.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    Resource,
)
from shared.rights import role_of

HELM_ROLE = "chandlery-release"


def namespace_object(key: InstanceKey, offering: Offering, name: str) -> dict[str, Any]:
    level = offering.spec.policies.pod_security
    security = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn", "audit")}
    labels = ownership.labels(key) | security
    told = ownership.annotations(key) | marks(offering.spec.policies.pods)
    return {"metadata": {"name": name, "labels": labels, "annotations": told}}


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


def cluster_rights(key: InstanceKey, offering: Offering, home: dict[str, Any]) -> list[tuple[Resource, dict[str, Any]]]:
    """On the cluster-scoped kinds that the Offering allows. Kubernetes drops the binding when the namespace is gone:
    that is after Helm took away what it made, and also when the Offering allows nothing any more."""
    if not offering.spec.policies.cluster_scoped:
        return []
    namespace, uid = home["metadata"]["name"], home["metadata"]["uid"]
    owner = {"apiVersion": NAMESPACES.api_version, "kind": NAMESPACES.kind, "name": namespace, "uid": uid}
    metadata = {"name": f"chandlery:{namespace}", "labels": ownership.labels(key), "ownerReferences": [owner]}
    role = {"apiGroup": CLUSTER_ROLES.group, "kind": CLUSTER_ROLES.kind, "name": role_of(offering.metadata.name)}
    subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}
    return [(CLUSTER_ROLE_BINDINGS, {"metadata": metadata, "roleRef": role, "subjects": [subject]})]


async def apply_policies(event: InstanceAdmitted, cluster: Cluster) -> PoliciesApplied | PoliciesRefused | None:
    offering = await offering_of(cluster, event.instance.offering)
    key = as_offered(event.instance, offering)
    instance = await instance_of(cluster, key, event.generation)
    if instance is None or instance.withdrawn or offering is None or instance.generation != event.generation:
        return None  # gone, or changed meanwhile: then its own event is on the way
    generation = instance.generation
    namespace = namespace_for(offering, instance)
    try:
        home, made = await make_namespace(cluster, key, namespace_object(key, offering, namespace))
    except Refused as refused:
        said = condition("Isolated", False, refused.reason, refused.message, generation)
        await report_instance(cluster, key, instance, "apply_policies", [said])
        return PoliciesRefused(instance=key, generation=generation, reason=refused.reason)
    objects = rights(key, namespace) + cluster_rights(key, offering, home)
    # In a namespace made just now there is nothing to merge with, and a create costs half an apply.
    put = cluster.create if made else partial(cluster.apply, manager="apply_policies")
    try:
        await asyncio.gather(*[put(resource, body) for resource, body in objects])
    except Conflict as twice:
        raise RetryLater(f"{namespace} is being made by another event", after=0.1) from twice
    except ApiError as error:
        if error.status == 403 and offering.spec.policies.cluster_scoped:
            raise RetryLater("the right to bind the offering's role is not in force yet") from error
        raise
    return PoliciesApplied(instance=key, generation=generation)


async def make_namespace(cluster: Cluster, key: InstanceKey, body: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Created (True), or brought back to what it should be; never taken from somebody else."""
    name = body["metadata"]["name"]
    try:
        return await cluster.create(NAMESPACES, body), True
    except Conflict:
        existing = await cluster.get(NAMESPACES, name)
    if existing is None:
        raise RetryLater(f"namespace {name} went away just now")
    metadata = existing["metadata"]
    if metadata.get("labels", {}).get(ownership.UID) != key.uid:
        raise Refused("NamespaceTaken", f"namespace {name} belongs to somebody else; change spec.release.namespace")
    if metadata.get("deletionTimestamp"):
        raise Refused("NamespaceTerminating", f"namespace {name} is being deleted; this goes on when it is gone")
    return await cluster.apply(NAMESPACES, body, "apply_policies"), False


main = function(apply_policies, Cluster)
