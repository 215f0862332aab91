"""Say on an instance whether what it runs is ready, where it can be reached, and if not, why not."""

import asyncio
from typing import Any

from events.base import InstanceKey
from events.instances import InstanceDegraded, InstanceReady, InstanceRefused
from events.policies import PoliciesRefused
from events.releases import ReleaseDeployed, ReleaseFailed
from events.workloads import WorkloadsChanged
from shared.cluster import Cluster
from shared.conditions import Condition, condition
from shared.function import function
from shared.health import Health, endpoints, overall
from shared.instance import Instance
from shared.reports import instance_of, report_instance
from shared.resources import PODS, WORKLOADS

Happened = InstanceRefused | PoliciesRefused | ReleaseDeployed | ReleaseFailed | WorkloadsChanged

# Rolling out a change is no degradation.
PROGRESSING = "Progressing"

BY_KIND = {
    (f"{resource.kind.lower()}.{resource.group}" if resource.group else resource.kind.lower()): resource
    for resource in WORKLOADS
}


def obstacle(instance: Instance) -> Condition | None:
    """The first step that did not succeed for the newest spec."""
    for kind in ("Accepted", "Isolated", "Deployed"):
        found = instance.condition(kind)
        if found and not found.true and found.observed_generation == instance.generation:
            return found
    return None


def ready(instance: Instance, found: Health) -> Condition:
    """Of the spec that is deployed: `observedGeneration` says which that is."""
    stopped_by = obstacle(instance)
    if stopped_by:
        return condition("Ready", False, stopped_by.reason, stopped_by.message, instance.generation)
    deployed = instance.condition("Deployed")
    generation = deployed.observed_generation if deployed else 0
    if found.state == "Current":
        return condition("Ready", True, "Ready", "", generation)
    return condition("Ready", False, found.reason, found.message, generation)


def news(key: InstanceKey, before: Condition | None, after: Condition) -> InstanceReady | InstanceDegraded | None:
    """Told only when it changes: nobody wants a page for each pod."""
    generation = after.observed_generation
    if after.true and not (before and before.true and before.observed_generation == generation):
        return InstanceReady(instance=key, generation=generation)
    if before and before.true and not after.true and after.reason != PROGRESSING:
        return InstanceDegraded(instance=key, generation=generation, reason=after.reason)
    return None


async def report_health(event: Happened, cluster: Cluster) -> InstanceReady | InstanceDegraded | None:
    key = event.instance
    instance = await instance_of(cluster, key)
    if instance is None or instance.withdrawn:
        return None
    if instance.condition("Deployed") is None and obstacle(instance) is None:
        return None  # nothing to judge yet; release.deployed comes
    objects = await objects_of(instance, cluster)
    found = overall(objects, [])
    if found.state != "Current" and instance.status.release.namespace:
        pods = (await cluster.list(PODS, instance.status.release.namespace))["items"]
        found = overall(objects, pods)
    if isinstance(event, ReleaseDeployed) and found.state == "InProgress":
        return None  # its workloads will tell in a moment
    said = ready(instance, found)
    status: dict[str, Any] = {"observedGeneration": said.observed_generation, "endpoints": endpoints(objects)}
    revision = instance.status.release.revision if said.true else instance.status.ready_revision
    if revision:
        status["readyRevision"] = revision
    await report_instance(cluster, key, instance, "report_health", [said], **status)
    return news(key, instance.condition("Ready"), said)


async def objects_of(instance: Instance, cluster: Cluster) -> list[dict[str, Any]]:
    """What the release made, of the kinds that have a health; one call a kind. What was deleted by hand is missed."""
    namespace = instance.status.release.namespace
    wanted: dict[str, set[str]] = {}
    for each in instance.status.release.resources:
        kind, _, name = each.partition("/")
        if kind in BY_KIND:
            wanted.setdefault(kind, set()).add(name)
    if not namespace or not wanted:
        return []
    lists = await asyncio.gather(*[cluster.list(BY_KIND[kind], namespace) for kind in wanted])
    objects: list[dict[str, Any]] = []
    for kind, found in zip(wanted, lists, strict=True):
        resource = BY_KIND[kind]
        there = {item["metadata"]["name"]: item for item in found["items"]}
        for name in sorted(wanted[kind]):
            # A list leaves out each item's kind; an object that is gone has no status, which is not ready.
            item = there.get(name) or {"metadata": {"name": name, "namespace": namespace, "generation": 1}}
            objects.append({**item, "kind": resource.kind})
    return objects


main = function(report_health, Cluster)
