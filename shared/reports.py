"""Writing status: each function applies its own conditions and fields under its own name, and only when they change."""

from collections.abc import Mapping
from typing import Any

from events.base import InstanceKey, OfferingKey
from shared.cluster import Cluster
from shared.conditions import Condition, find
from shared.errors import NotFound
from shared.instance import Instance, address
from shared.offering import Offering
from shared.resources import OFFERINGS, Resource, of_instance


async def instance_of(cluster: Cluster, key: InstanceKey) -> Instance | None:
    """The very instance of the key; a namesake made later is not it."""
    found = await cluster.get(of_instance(key), key.name, key.namespace)
    instance = Instance.model_validate(found) if found else None
    return instance if instance and instance.metadata.uid == key.uid else None


async def offering_of(cluster: Cluster, key: OfferingKey | str) -> Offering | None:
    name = key if isinstance(key, str) else key.name
    found = await cluster.get(OFFERINGS, name)
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
    **status: Any,
) -> None:
    await _report(cluster, of_instance(key), address(key), instance, by, conditions, status)


async def report_offering(
    cluster: Cluster, offering: Offering, by: str, conditions: list[Condition], **status: Any
) -> None:
    metadata = {"name": offering.metadata.name, "uid": offering.metadata.uid}
    await _report(cluster, OFFERINGS, metadata, offering, by, conditions, status)


async def _report(
    cluster: Cluster,
    resource: Resource,
    metadata: dict[str, Any],
    current: Instance | Offering,
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


def covers(current: Any, wanted: Any) -> bool:
    """Whether `current` holds all that `wanted` says; maps may hold more."""
    if isinstance(wanted, Mapping):
        return isinstance(current, Mapping) and all(
            key in current and covers(current[key], value) for key, value in wanted.items()
        )
    return bool(current == wanted)
