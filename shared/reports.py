"""Writing status: each function applies its own conditions and fields under its own name, and only when they change."""

from collections.abc import Mapping
from typing import Any

from events.base import InstanceKey, OfferingKey
from shared.access import Grantee
from shared.cluster import Cluster
from shared.conditions import Condition, find
from shared.errors import NotFound
from shared.instance import Instance, address
from shared.offering import Offering
from shared.recorder import record
from shared.resources import OFFERINGS, Resource, of_instance


async def instance_of(cluster: Cluster, key: InstanceKey, generation: int | None = None) -> Instance | None:
    """The very instance of the key; a namesake made later is not it. From the API server's cache, where that has
    reached the `generation` asked for."""
    if generation is not None:
        instance = await _instance_of(cluster, key, cached=True)
        if instance and instance.generation >= generation:
            return instance
    return await _instance_of(cluster, key, cached=False)


async def _instance_of(cluster: Cluster, key: InstanceKey, *, cached: bool) -> Instance | None:
    found = await cluster.get(of_instance(key), key.name, key.namespace, cached=cached)
    instance = Instance.model_validate(found) if found else None
    return instance if instance and instance.metadata.uid == key.uid else None


async def offering_of(cluster: Cluster, key: OfferingKey | str) -> Offering | None:
    """By key for the steps of the Offering itself; by name for those of its instances, which may read the cache:
    they are told when it is published, by a watch that has passed the same cache."""
    name = key if isinstance(key, str) else key.name
    found = await cluster.get(OFFERINGS, name, cached=isinstance(key, str))
    offering = Offering.model_validate(found) if found else None
    if offering and isinstance(key, OfferingKey) and offering.metadata.uid != key.uid:
        return None
    return offering


async def report_instance(
    cluster: Cluster,
    key: InstanceKey,
    instance: Instance,
    by: str,
    conditions: list[Condition],
    *,
    unchanged: bool = False,
    **status: Any,
) -> None:
    """`unchanged`: raises Conflict when the instance is no longer as it was read."""
    metadata = address(key) | ({"resourceVersion": instance.metadata.resource_version} if unchanged else {})
    await _report(cluster, of_instance(key), metadata, instance, by, conditions, status)


async def report_offering(
    cluster: Cluster, offering: Offering, by: str, conditions: list[Condition], **status: Any
) -> None:
    metadata = {"name": offering.metadata.name, "uid": offering.metadata.uid}
    await _report(cluster, OFFERINGS, metadata, offering, by, conditions, status)


async def report_grantee(cluster: Cluster, who: Grantee, by: str, conditions: list[Condition], **status: Any) -> None:
    metadata = {"name": who.metadata.name, "uid": who.metadata.uid}
    await _report(cluster, who.RESOURCE, metadata, who, by, conditions, status)


async def _report(
    cluster: Cluster,
    resource: Resource,
    metadata: dict[str, Any],
    current: Instance | Offering | Grantee,
    by: str,
    conditions: list[Condition],
    status: dict[str, Any],
) -> None:
    known = current.status.conditions
    said_already = all(each.says_the_same(find(known, each.type)) for each in conditions)
    if said_already and covers(current.status.model_dump(by_alias=True, exclude_none=True), status):
        return
    written = [each.after(find(known, each.type)) for each in conditions]
    body = {"metadata": metadata, "status": {**status, "conditions": written}}
    try:
        await cluster.apply_status(resource, body, by)
    except NotFound:
        return  # deleted meanwhile: nobody is left to be told
    changed = [each for each in conditions if not each.says_the_same(find(known, each.type))]
    await record(cluster, resource, metadata, changed, by)


def covers(current: Any, wanted: Any) -> bool:
    """Whether `current` holds all that `wanted` says; maps may hold more."""
    if isinstance(wanted, Mapping):
        return isinstance(current, Mapping) and all(
            key in current and covers(current[key], value) for key, value in wanted.items()
        )
    return bool(current == wanted)
