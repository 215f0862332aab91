"""How many instances there may be: of an Offering, in a namespace, and of a Consumer. And until when.

Who was let in stands in one object for each Offering that has limits: of several who take the last place at once, only
one changes it first, whichever process they are in. Who looks first and writes later could let in two.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from weakref import WeakValueDictionary

from events.base import InstanceKey
from shared import finalizers, ownership
from shared.access import CONSUMER, Consumer
from shared.cluster import Cluster, Object
from shared.errors import Conflict, Invalid, NotFound, Refused, RetryLater
from shared.instance import Instance
from shared.offering import Limits, Offering
from shared.resources import CONFIG_MAPS, CONSUMERS, NAMESPACES, OFFERINGS, SYSTEM_NAMESPACE, of_instance

TRIES = 30

_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""Of this process: those who wait here don't get in each other's way there."""


@dataclass(frozen=True)
class Bound:
    """A limit, and the namespaces whose instances count; None is all of them."""

    most: int
    what: str
    namespaces: frozenset[str] | None


def check_date(limits: Limits, offering: str, today: date) -> None:
    """The day itself is included, by UTC. What lives runs on."""
    if limits.expires and today > limits.expires:
        fix = "its provider can move spec.policies.limits.expires"
        raise Refused("Expired", f"offering {offering} takes no new instances since {limits.expires}; {fix}")


def bounds(limits: Limits, offering: str, namespace: str, consumer: Consumer | None) -> list[Bound]:
    found = []
    if limits.instances is not None:
        found.append(Bound(limits.instances, f"offering {offering} allows", None))
    if limits.instances_per_namespace is not None:
        what = f"offering {offering} allows each namespace"
        found.append(Bound(limits.instances_per_namespace, what, frozenset([namespace])))
    if consumer and offering in consumer.spec.limits:
        what = f"consumer {consumer.metadata.name} may have, of {offering},"
        found.append(Bound(consumer.spec.limits[offering], what, frozenset(consumer.namespaces)))
    return found


def check_room(bounds: list[Bound], admitted: Mapping[str, str]) -> None:
    """`admitted` are the namespaces of all who were let in and live, by uid. Raises Refused with the numbers."""
    for bound in bounds:
        taken = sum(bound.namespaces is None or namespace in bound.namespaces for namespace in admitted.values())
        if taken >= bound.most:
            plural = "instance" if bound.most == 1 else "instances"
            fix = "this goes on by itself when one is deleted or the limit is raised"
            raise Refused("LimitReached", f"{bound.what} {bound.most} {plural}, and there are {taken}; {fix}")


async def take_place(cluster: Cluster, key: InstanceKey, instance: Instance, offering: Offering) -> None:
    """Raises Refused when there is none left. Who was let in keeps the place, also when the limits are lowered."""
    if finalizers.RELEASE in instance.metadata.finalizers:
        return
    limits = offering.spec.policies.limits
    check_date(limits, offering.metadata.name, datetime.now(UTC).date())
    found = bounds(limits, offering.metadata.name, key.namespace, await consumer_of(cluster, key.namespace))
    if not found:
        return
    async with _turns.setdefault(offering.metadata.name, asyncio.Lock()):
        for _ in range(TRIES):
            try:
                await _take(cluster, key, offering, found)
                return
            except (Conflict, Invalid):
                continue  # somebody else was first
    raise RetryLater(f"too many want a place of offering {offering.metadata.name} at once", after=1)


async def _take(cluster: Cluster, key: InstanceKey, offering: Offering, found: list[Bound]) -> None:
    name = f"limits-{offering.metadata.name}"
    known = await cluster.get(CONFIG_MAPS, name, SYSTEM_NAMESPACE)
    # After that: who is in it and not in this list is gone, not new.
    living = {each["metadata"]["uid"]: each["metadata"] for each in await instances(cluster, key)}
    told = ((known or {}).get("data") or {}).keys()
    held = (uid for uid, each in living.items() if finalizers.RELEASE in each.get("finalizers", []))
    admitted = {uid: str(living[uid]["namespace"]) for uid in {*held, *(told & living.keys())}}
    if key.uid in admitted:
        return
    check_room(found, admitted)
    data = admitted | {key.uid: key.namespace}
    if known is None:
        await cluster.create(CONFIG_MAPS, {"metadata": metadata(offering, name), "data": data})
        return
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": known["metadata"]["resourceVersion"]}
    operations = [version, {"op": "add", "path": "/data", "value": data}]
    await cluster.patch(CONFIG_MAPS, name, operations, SYSTEM_NAMESPACE)


def metadata(offering: Offering, name: str) -> Object:
    labels = {ownership.MANAGED_BY: ownership.MANAGER, ownership.OFFERING: ownership.shortened(offering.metadata.name)}
    owner = {"apiVersion": OFFERINGS.api_version, "kind": OFFERINGS.kind}
    owner |= {"name": offering.metadata.name, "uid": offering.metadata.uid}
    return {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels, "ownerReferences": [owner]}


async def instances(cluster: Cluster, key: InstanceKey) -> list[Object]:
    return list((await cluster.list(of_instance(key), metadata_only=True))["items"])


async def consumer_of(cluster: Cluster, namespace: str) -> Consumer | None:
    home = await cluster.get(NAMESPACES, namespace, cached=True)
    name = ((home or {}).get("metadata", {}).get("labels") or {}).get(CONSUMER)
    if name is None:
        return None
    try:
        found = await cluster.get(CONSUMERS, name, cached=True)
    except NotFound:
        return None
    return Consumer.model_validate(found) if found else None
