"""Look for what is not where it should be and say so again: whatever an event lost, the next tick finds."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from events.base import Event, InstanceKey, OfferingKey, event_id
from events.catalog import BY_TYPE
from events.exports import ExportsAged
from events.instances import InstanceAdmitted, InstanceRequested, InstancesChanged, InstanceWithdrawn
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.releases import ReleaseStalled
from events.ticks import ResyncTicked
from events.workloads import WorkloadsChanged
from shared import finalizers, overdue, ownership
from shared.attempts import stalled
from shared.brokers import Brokers
from shared.cluster import Cluster
from shared.conditions import find
from shared.errors import NotFound
from shared.function import envelope_of, function
from shared.helm import seconds
from shared.instance import Instance, count, settled
from shared.offering import Metadata, Offering
from shared.resources import NAMESPACES, OFFERINGS, of_offering
from shared.secrets import versions_now
from shared.values import secret_references

AT_ONCE = 16
REPEAT_SECONDS = 300


def due(age: float, period: float) -> bool:
    """Whether something that failed `age` seconds ago is tried at this tick: ever more seldom, then every 5 minutes.

    The tries fall at ages 1, 2, 4, ... times the period; each tick knows by itself whether one lies behind it.
    """
    if age >= REPEAT_SECONDS:
        return age % REPEAT_SECONDS < period
    mark = period
    while mark * 2 <= age:
        mark *= 2
    return mark <= age < mark + period


def on_its_way(metadata: Metadata, now: datetime, period: float) -> bool:
    """Whether it changed since the last tick: its own events are likely still at work on it."""
    touched = metadata.touched_at
    return touched is not None and (now - touched).total_seconds() < period


def about_offering(offering: Offering, now: datetime, period: float) -> Event | None:
    key = OfferingKey(name=offering.metadata.name, uid=offering.metadata.uid)
    generation = offering.metadata.generation
    if offering.withdrawn:
        held = finalizers.API in offering.metadata.finalizers
        return OfferingWithdrawn(offering=key, generation=generation) if held else None
    ready = find(offering.status.conditions, "Ready")
    if ready and ready.observed_generation == generation:
        if ready.true:
            return None
        age = (now - datetime.fromisoformat(ready.last_transition_time)).total_seconds()
        if not due(age, period):
            return None
    return OfferingApplied(offering=key, generation=generation)


def about_instance(
    key: InstanceKey, instance: Instance, offering: Offering, now: datetime, *, housed: bool = True
) -> Event | None:
    """`housed`: its release namespace is there. One that was deleted by hand is made again, and the release in it."""
    if instance.withdrawn:
        held = finalizers.RELEASE in instance.metadata.finalizers
        return InstanceWithdrawn(instance=key) if held else None
    if not offering.published:
        return None  # its instances are told when it is
    if settled(instance, offering):
        if not housed:
            return InstanceAdmitted(instance=key, generation=instance.generation)
        ready = instance.condition("Ready")
        if ready and ready.true and ready.observed_generation == instance.generation:
            return None
        if stalled(instance, now, timedelta(seconds=seconds(offering.spec.release.timeout))):
            return ReleaseStalled(instance=key)
        return WorkloadsChanged(instance=key)
    retry_at = instance.status.release.retry_at
    if retry_at and not instance.holds("Deployed") and now < datetime.fromisoformat(retry_at):
        return None
    return InstanceRequested(instance=key, generation=instance.generation)


def orphans(namespaces: list[dict[str, Any]], living: set[str]) -> Iterator[Event]:
    """Release namespaces whose instance is gone."""
    for namespace in namespaces:
        key = ownership.instance_of(namespace)
        if key and key.uid not in living:
            yield InstanceWithdrawn(instance=key)


async def resync(event: ResyncTicked, cluster: Cluster, brokers: Brokers) -> None:
    now = datetime.now(UTC)
    # Namespaces first: an instance made after this list has no namespace in it.
    namespaces = (await cluster.list(NAMESPACES, labels={ownership.UID: ""}, metadata_only=True))["items"]
    housed = {namespace["metadata"]["labels"][ownership.UID] for namespace in namespaces}
    offerings = [Offering.model_validate(each) for each in (await cluster.list(OFFERINGS))["items"]]
    found: list[Event | None] = [
        about_offering(offering, now, event.seconds)
        for offering in offerings
        if not on_its_way(offering.metadata, now, event.seconds)
    ]
    living: set[str] = set()
    for offering in offerings:
        if not offering.status.api.crd:
            continue
        instances = await instances_of(offering, cluster)
        living |= {instance.metadata.uid for _, instance in instances}
        for key, instance in instances:
            if not on_its_way(instance.metadata, now, event.seconds):
                found.append(about_instance(key, instance, offering, now, housed=instance.metadata.uid in housed))
                if offering.spec.exports and instance.holds("Deployed"):
                    found.append(ExportsAged(instance=key))
                if await secrets_changed(cluster, key, instance, offering):
                    found.append(InstanceAdmitted(instance=key, generation=instance.generation))
        if count(instance for _, instance in instances) != offering.status.instances:
            found.append(InstancesChanged(offering=offering.metadata.name))
    found += orphans(namespaces, living)
    found += await overdue.about_access(cluster, now, event.seconds)
    turns = asyncio.Semaphore(AT_ONCE)

    async def send(said: Event) -> None:
        identity = event_id("resync", said.type, said.subject, now.isoformat())
        async with turns:
            await brokers.send(BY_TYPE[said.type].broker, envelope_of(said, "/chandlery/resync", identity))

    await asyncio.gather(*[send(each) for each in found if each])


async def secrets_changed(cluster: Cluster, key: InstanceKey, instance: Instance, offering: Offering) -> bool:
    """Whether a Secret that parameters were read from is another one by now; one that is gone changes nothing."""
    references = secret_references(offering.spec.parameters, instance.spec)
    if not references or instance.withdrawn or not settled(instance, offering):
        return False
    now = await versions_now(cluster, references, key.namespace)
    return now is not None and now != instance.status.release.secret_versions


async def instances_of(offering: Offering, cluster: Cluster) -> list[tuple[InstanceKey, Instance]]:
    kind = of_offering(offering)
    try:
        found = (await cluster.list(kind))["items"]
    except NotFound:
        return []  # the API is not served: there are none
    where = {"group": kind.group, "version": kind.version, "plural": kind.plural, "kind": kind.kind}
    instances = [Instance.model_validate(each) for each in found]
    return [
        (
            InstanceKey(
                offering=offering.metadata.name,
                namespace=instance.metadata.namespace or "",
                name=instance.metadata.name,
                uid=instance.metadata.uid,
                **where,
            ),
            instance,
        )
        for instance in instances
    ]


main = function(resync, Cluster, Brokers)
