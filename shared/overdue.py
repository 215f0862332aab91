"""What Consumers and Providers lack, as the resync sees it: rights that drifted, credentials that end soon or are gone,
and rights that are left of somebody who is not there any more."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime

from events.access import (
    ConsumerApplied,
    ConsumerKey,
    ConsumerWithdrawn,
    ProviderApplied,
    ProviderKey,
    ProviderWithdrawn,
)
from events.base import Event
from shared import finalizers, granted, grants, kubeconfigs
from shared.access import Consumer, Grantee, Provider, secret_of
from shared.cluster import Cluster, Object
from shared.conditions import find
from shared.granted import Scene
from shared.grants import Owned
from shared.resources import NAMESPACES, SECRETS, SYSTEM_NAMESPACE


async def about_access(cluster: Cluster, now: datetime, period: float) -> list[Event]:
    # Rights first: those of somebody who is made after this are of nobody who is unknown.
    consumers_found = await granted.found_of(cluster, {Consumer.MARK: ""})
    providers_found = await granted.found_of(cluster, {Provider.MARK: ""})
    scene = await granted.scene(cluster)
    consumers = [Consumer.model_validate(each) for each in (await cluster.list(Consumer.RESOURCE))["items"]]
    providers = [Provider.model_validate(each) for each in (await cluster.list(Provider.RESOURCE))["items"]]
    homes = (await cluster.list(NAMESPACES, labels={Consumer.MARK: ""}, metadata_only=True))["items"]
    everyone: list[tuple[Grantee, bool]] = [
        *[(each, lost(each, homes) or drifted(each, scene, of(each, consumers_found))) for each in consumers],
        *[(each, drifted(each, scene, of(each, providers_found))) for each in providers],
    ]
    late = await asyncio.gather(*[expiring(cluster, who, now) for who, _ in everyone])
    said = [
        again(who, wrong=wrong or ends)
        for (who, wrong), ends in zip(everyone, late, strict=True)
        if not touched(who, now, period)
    ]
    return [
        *[each for each in said if each],
        *[left(Consumer, name) for name in unknown(Consumer.MARK, consumers_found, consumers)],
        *[left(Provider, name) for name in unknown(Provider.MARK, providers_found, providers)],
    ]


def again(who: Grantee, *, wrong: bool) -> Event | None:
    if who.withdrawn:
        held = finalizers.ACCESS in who.metadata.finalizers
        return withdrawn(type(who), who.metadata.name, who.metadata.uid, who.metadata.generation) if held else None
    ready = find(who.status.conditions, "Ready")
    well = ready is not None and ready.true and ready.observed_generation == who.metadata.generation
    return None if well and not wrong else applied(who)


def lost(consumer: Consumer, homes: Iterable[Object]) -> bool:
    """Whether a namespace of it is gone, or is its no more."""
    marked = {home["metadata"]["name"]: home["metadata"]["labels"][Consumer.MARK] for home in homes}
    ours = {name for name, owner in marked.items() if owner == consumer.metadata.name}
    return not ours.issuperset(consumer.status.namespaces)


def drifted(who: Grantee, scene: Scene, found: Iterable[Owned]) -> bool:
    return bool(grants.changes(wanted(who, scene), found))


def wanted(who: Grantee, scene: Scene) -> list[Owned]:
    if isinstance(who, Consumer):
        return grants.of_consumer(who, who.status.namespaces, scene.offerings, scene.releases)
    if isinstance(who, Provider):
        return grants.of_provider(who, scene.offerings, scene.releases)
    raise TypeError(type(who))


async def expiring(cluster: Cluster, who: Grantee, now: datetime) -> bool:
    if who.withdrawn:
        return False
    secret = await cluster.get(SECRETS, secret_of(who.account), SYSTEM_NAMESPACE)
    return kubeconfigs.needs_renewal(secret, now)


def touched(who: Grantee, now: datetime, period: float) -> bool:
    """Whether its own event is likely still at work on it."""
    at = who.metadata.touched_at
    return at is not None and (now - at).total_seconds() < period


def of(who: Grantee, found: Iterable[Owned]) -> Iterator[Owned]:
    return (each for each in found if each.body["metadata"]["labels"][who.MARK] == who.metadata.name)


def unknown(mark: str, found: Iterable[Owned], known: Iterable[Grantee]) -> list[str]:
    names = {each.body["metadata"]["labels"][mark] for each in found}
    return sorted(names - {who.metadata.name for who in known})


def applied(who: Grantee) -> Event:
    name, uid, generation = who.metadata.name, who.metadata.uid, who.metadata.generation
    if isinstance(who, Consumer):
        return ConsumerApplied(consumer=ConsumerKey(name=name, uid=uid), generation=generation)
    return ProviderApplied(provider=ProviderKey(name=name, uid=uid), generation=generation)


def left(kind: type[Grantee], name: str) -> Event:
    return withdrawn(kind, name, "", 0)


def withdrawn(kind: type[Grantee], name: str, uid: str, generation: int) -> Event:
    if kind is Consumer:
        return ConsumerWithdrawn(consumer=ConsumerKey(name=name, uid=uid), generation=generation)
    return ProviderWithdrawn(provider=ProviderKey(name=name, uid=uid), generation=generation)
