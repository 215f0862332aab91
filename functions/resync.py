"""Look for what is not where it should be and say so again: whatever an event lost, the next tick finds."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from events.base import Event, InstanceKey, OfferingKey, event_id
from events.catalog import BY_TYPE
from events.exports import ExportsAged
from events.instances import InstanceAdmitted, InstanceRequested, InstancesChanged, InstanceWithdrawn
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.policies import PoliciesDrifted
from events.releases import ReleaseStalled
from events.ticks import Ticked
from events.workloads import WorkloadsChanged
from shared import finalizers, overdue, ownership, policies, statuses
from shared.attempts import stalled
from shared.brokers import Brokers
from shared.cluster import Cluster, Object
from shared.conditions import find
from shared.errors import ApiError, NotFound
from shared.function import envelope_of, function
from shared.helm import seconds
from shared.instance import Instance, count, settled
from shared.offering import Metadata, Offering
from shared.resources import NAMESPACES, OFFERINGS, Resource, of_offering
from shared.secrets import versions_now
from shared.values import secret_references

AT_ONCE = 16
OURS = {ownership.MANAGED_BY: ownership.MANAGER, ownership.UID: ""}
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
    outdated = offering.status.api.crd and offering.status.api.status_edition != statuses.EDITION
    if ready and ready.observed_generation == generation and not outdated:
        if ready.true and priced(offering):
            return None
        age = (now - datetime.fromisoformat(ready.last_transition_time)).total_seconds()
        if not due(age, period):
            return None
    return OfferingApplied(offering=key, generation=generation)


def priced(offering: Offering) -> bool:
    """Whether its prices were spoken of as they stand; the ledger may have been away when it was published."""
    said = find(offering.status.conditions, "Priced")
    if said is None:
        return not offering.spec.metering.prices
    return said.observed_generation == offering.metadata.generation and said.reason != "NoLedger"


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
    done = instance.holds("Accepted") and instance.holds("Deployed")
    if retry_at and not done and now < datetime.fromisoformat(retry_at):
        return None
    return InstanceRequested(instance=key, generation=instance.generation)


def once_more(offering: Offering, now: datetime, period: float) -> Iterator[Event]:
    """An Offering whose roles are lost, or were never made, goes all the way again."""
    if not offering.withdrawn and not on_its_way(offering.metadata, now, period):
        key = OfferingKey(name=offering.metadata.name, uid=offering.metadata.uid)
        yield OfferingApplied(offering=key, generation=offering.metadata.generation)


def orphans(namespaces: list[dict[str, Any]], living: set[str]) -> Iterator[InstanceWithdrawn]:
    """Release namespaces whose instance is gone."""
    for namespace in namespaces:
        key = ownership.instance_of(namespace)
        if key and key.uid not in living:
            yield InstanceWithdrawn(instance=key)


async def resync(event: Ticked, cluster: Cluster, brokers: Brokers) -> None:
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
    told: list[tuple[InstanceKey, Instance, Offering]] = []
    living: set[str] = set()
    unseen: set[str] = set()
    for offering in offerings:
        if not offering.status.api.crd:
            continue
        instances = await instances_of(offering, cluster)
        if instances is None:
            unseen.add(offering.metadata.name)
            found += once_more(offering, now, event.seconds)
            continue
        living |= {instance.metadata.uid for _, instance in instances}
        told += [(key, instance, offering) for key, instance in instances if settled(instance, offering)]
        for key, instance in instances:
            if not on_its_way(instance.metadata, now, event.seconds):
                found.append(about_instance(key, instance, offering, now, housed=instance.metadata.uid in housed))
                if (offering.spec.exports or instance.status.exports) and instance.holds("Deployed"):
                    found.append(ExportsAged(instance=key))
                if await secrets_changed(cluster, key, instance, offering):
                    found.append(InstanceAdmitted(instance=key, generation=instance.generation))
        if count(instance for _, instance in instances) != offering.status.instances:
            found.append(InstancesChanged(offering=offering.metadata.name))
    found += await drifts(cluster, told)
    found += [each for each in orphans(namespaces, living) if each.instance.offering not in unseen]
    found += await overdue.about_access(cluster, now, event.seconds)
    turns = asyncio.Semaphore(AT_ONCE)

    async def send(said: Event) -> None:
        identity = event_id("resync", said.type, said.subject, now.isoformat())
        async with turns:
            await brokers.send(BY_TYPE[said.type].broker, envelope_of(said, "/chandlery/resync", identity))

    await asyncio.gather(*[send(each) for each in found if each])


async def drifts(cluster: Cluster, told: list[tuple[InstanceKey, Instance, Offering]]) -> list[Event | None]:
    """Settled instances that are not bounded as they should be."""
    lists = [(kind, await cluster.list(kind, labels=OURS, cached=True)) for kind in policies.BOUNDS if told]
    there: dict[str, dict[Resource, Object]] = defaultdict(dict)
    for kind, found in lists:
        for each in found["items"]:
            there[each["metadata"]["namespace"]][kind] = each
    named = {policies.name_of(key): (key, instance) for key, instance, _ in told}

    def wanted(key: InstanceKey, instance: Instance, offering: Offering) -> list[tuple[Resource, Object]]:
        others = [named[each][1] for each in policies.names_of(instance) if each in named]
        peers = [other.status.release.namespace or "" for other in others if policies.open_to(other, key)]
        return policies.wanted(key, offering, instance, instance.status.release.namespace or "", peers)

    return [
        PoliciesDrifted(instance=key)
        for key, instance, offering in told
        if not instance.withdrawn
        and policies.drifted(wanted(key, instance, offering), there[instance.status.release.namespace or ""])
    ]


async def secrets_changed(cluster: Cluster, key: InstanceKey, instance: Instance, offering: Offering) -> bool:
    """Whether a Secret that parameters were read from is another one by now; one that is gone changes nothing."""
    references = secret_references(offering.spec.parameters, instance.spec)
    if not references or instance.withdrawn or not settled(instance, offering):
        return False
    now = await versions_now(cluster, references, key.namespace)
    return now is not None and now != instance.status.release.secret_versions


async def instances_of(offering: Offering, cluster: Cluster) -> list[tuple[InstanceKey, Instance]] | None:
    """None when we may not know: the rights on a kind are lost, or not there yet."""
    kind = of_offering(offering)
    try:
        found = (await cluster.list(kind))["items"]
    except NotFound:
        return []  # the API is not served: there are none
    except ApiError as error:
        if error.status == 403:
            return None
        raise
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
