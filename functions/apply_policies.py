"""Make the release namespace of an instance, with Helm's own rights in it, before anything runs there."""

import asyncio
from dataclasses import dataclass
from typing import Any

from events.base import InstanceKey
from events.instances import InstanceAdmitted
from events.policies import PoliciesApplied, PoliciesDrifted, PoliciesRefused
from shared import ownership, policies
from shared.cluster import Cluster, Object
from shared.conditions import condition
from shared.errors import ApiError, Conflict, Refused, RetryLater
from shared.function import function
from shared.instance import Instance, as_offered
from shared.offering import Offering
from shared.offerings import Offerings
from shared.releases import namespace_for
from shared.reports import instance_of, report_instance
from shared.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    RELEASES_NAMESPACE,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    Resource,
)
from shared.rights import release_role, role_of
from shared.values import plan_of

BINDING = "chandlery:release"
BINDING_BEFORE = "chandlery-release"
"""Of earlier versions, whose Helm acted as an account in the namespace."""


def helm_account(namespace: str) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "name": namespace, "namespace": RELEASES_NAMESPACE}


def rights(key: InstanceKey, namespace: str) -> list[tuple[Resource, dict[str, Any]]]:
    """What Helm may do: all that the chart was seen to make, in this namespace only."""
    metadata = {"name": BINDING, "namespace": namespace, "labels": ownership.labels(key)}
    role = {"apiGroup": CLUSTER_ROLES.group, "kind": CLUSTER_ROLES.kind, "name": release_role(key.offering)}
    return [(ROLE_BINDINGS, {"metadata": metadata, "roleRef": role, "subjects": [helm_account(namespace)]})]


def cluster_rights(key: InstanceKey, offering: Offering, home: dict[str, Any]) -> list[tuple[Resource, dict[str, Any]]]:
    """On the cluster-scoped kinds that the Offering allows. Kubernetes drops the binding when the namespace is gone:
    that is after Helm took away what it made, and also when the Offering allows nothing any more."""
    if not offering.spec.policies.cluster_scoped:
        return []
    namespace, uid = home["metadata"]["name"], home["metadata"]["uid"]
    owner = {"apiVersion": NAMESPACES.api_version, "kind": NAMESPACES.kind, "name": namespace, "uid": uid}
    metadata = {"name": f"chandlery:{namespace}", "labels": ownership.labels(key), "ownerReferences": [owner]}
    role = {"apiGroup": CLUSTER_ROLES.group, "kind": CLUSTER_ROLES.kind, "name": role_of(offering.metadata.name)}
    return [(CLUSTER_ROLE_BINDINGS, {"metadata": metadata, "roleRef": role, "subjects": [helm_account(namespace)]})]


async def apply_policies(
    event: InstanceAdmitted | PoliciesDrifted, cluster: Cluster, offerings: Offerings
) -> PoliciesApplied | PoliciesRefused | None:
    offering = await offerings.get(event.instance.offering)
    key = as_offered(event.instance, offering)
    generation = event.generation if isinstance(event, InstanceAdmitted) else None
    instance = await instance_of(cluster, key, generation)
    if instance is None or instance.withdrawn or offering is None:
        return None
    if isinstance(event, PoliciesDrifted):
        await mend(cluster, offerings, key, offering, instance)
        return None
    if instance.generation != generation:
        return None  # changed meanwhile: then its own event is on the way
    namespace = namespace_for(offering, instance)
    try:
        plan = plan_of(offering, instance.spec)
        home, made = await make_namespace(cluster, key, policies.namespace_object(key, offering, namespace, plan))
    except Refused as refused:
        said = condition("Isolated", False, refused.reason, refused.message, generation)
        await report_instance(cluster, key, instance, "apply_policies", [said])
        return PoliciesRefused(instance=key, generation=generation, reason=refused.reason)
    await bound(cluster, key, offering, instance, home, made=made)
    return PoliciesApplied(instance=key, generation=generation)


async def bound(
    cluster: Cluster, key: InstanceKey, offering: Offering, instance: Instance, home: Object, *, made: bool
) -> None:
    """Everything in one burst: nothing runs before the event that follows."""
    namespace = home["metadata"]["name"]
    peers = [peer.namespace for peer in await peers_of(cluster, key, instance) if peer.mutual]
    objects = policies.wanted(key, offering, instance, namespace, peers)
    objects += rights(key, namespace) + cluster_rights(key, offering, home)
    # In a namespace made just now there is nothing to compare with, and a create costs half an apply.
    put = begin if made else keep
    unwanted = [] if made else [kind for kind in policies.BOUNDS if kind not in dict(objects)]
    try:
        await asyncio.gather(
            *[put(cluster, resource, body) for resource, body in objects],
            *[cluster.delete(resource, policies.NAME, namespace) for resource in unwanted],
        )
    except Conflict as twice:
        raise RetryLater(f"{namespace} is being made by another event", after=0.1) from twice
    except ApiError as error:
        if error.status == 403:
            raise RetryLater(f"the right to bind the offering's role is not in force yet: {error}") from error
        raise
    if not made:
        await cluster.delete(ROLE_BINDINGS, BINDING_BEFORE, namespace)


async def begin(cluster: Cluster, resource: Resource, body: Object) -> None:
    if resource == SERVICE_ACCOUNTS:  # Kubernetes makes it too, and is mostly first
        await cluster.apply(resource, body, "apply_policies")
    else:
        await cluster.create(resource, body)


async def keep(cluster: Cluster, resource: Resource, body: Object) -> None:
    """A spec is replaced as a whole: what others put in must go."""
    metadata = body["metadata"]
    if resource == CLUSTER_ROLE_BINDINGS:  # may be written, not read
        await cluster.apply(resource, body, "apply_policies")
        return
    found = await cluster.get(resource, metadata["name"], metadata["namespace"])
    if found is not None and policies.in_force(found, body):
        return
    if found is not None and "spec" in body:
        labels = (found["metadata"].get("labels") or {}) | metadata["labels"]
        change = {"/spec": body["spec"], "/metadata/labels": labels}
        operations = [{"op": "add", "path": path, "value": value} for path, value in change.items()]
        await cluster.patch(resource, metadata["name"], operations, metadata["namespace"])
    else:
        await cluster.apply(resource, body, "apply_policies")


@dataclass(frozen=True)
class Neighbour:
    key: InstanceKey
    instance: Instance
    namespace: str
    mutual: bool


async def peers_of(cluster: Cluster, key: InstanceKey, instance: Instance) -> list[Neighbour]:
    """Those it names, and whether they name it."""
    names = policies.names_of(instance)
    if not names:
        return []
    ours = {ownership.MANAGED_BY: ownership.MANAGER, ownership.UID: ""}
    found = []
    for home in (await cluster.list(NAMESPACES, labels=ours, metadata_only=True))["items"]:
        other = ownership.instance_of(home)
        if other is None or policies.name_of(other) not in names or "deletionTimestamp" in home["metadata"]:
            continue
        if there := await instance_of(cluster, other):
            found.append(Neighbour(other, there, home["metadata"]["name"], policies.open_to(there, key)))
    return found


async def mend(
    cluster: Cluster, offerings: Offerings, key: InstanceKey, offering: Offering, instance: Instance
) -> None:
    """Bring back what should be there, here and at those it names: a pair is open from both ends, or not at all."""
    neighbours = [(each.key, each.instance) for each in await peers_of(cluster, key, instance)]
    for where, who in [(key, instance), *neighbours]:
        offered = offering if who is instance else await offerings.get(where.offering)
        home = await cluster.get(NAMESPACES, namespace_for(offered, who)) if offered else None
        if offered is None or home is None or home["metadata"].get("deletionTimestamp"):
            continue
        if home["metadata"].get("labels", {}).get(ownership.UID) == where.uid:
            plan = plan_of(offered, who.spec)
            wanted = policies.namespace_object(where, offered, home["metadata"]["name"], plan)
            home = await cluster.apply(NAMESPACES, wanted, "apply_policies")
            await bound(cluster, as_offered(where, offered), offered, who, home, made=False)


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


main = function(apply_policies, Cluster, Offerings)
