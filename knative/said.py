"""What is said about a change. Pure: what was there and what is there now in, an event and its cause out."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from events.access import (
    ConsumerApplied,
    ConsumerKey,
    ConsumerWithdrawn,
    ProviderApplied,
    ProviderKey,
    ProviderWithdrawn,
)
from events.base import Event, InstanceKey, OfferingKey, event_id
from events.instances import InstanceRequested, InstancesChanged, InstanceWithdrawn
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.policies import PoliciesDrifted
from events.workloads import WorkloadsChanged
from knative.seen import Edition, Release, Seen, Served
from shared.resources import CONSUMERS, Resource

INSTEAD_OF: dict[type[Event], type[Event]] = {
    InstanceWithdrawn: InstanceRequested,
    OfferingWithdrawn: OfferingApplied,
    ConsumerWithdrawn: ConsumerApplied,
    ProviderWithdrawn: ProviderApplied,
}
"""A withdrawal takes the place of a request that was not sent yet, and is never sent beside it."""


@dataclass(frozen=True)
class Said:
    event: Event
    cause: tuple[object, ...]
    """Same cause, same id; something new needs another cause."""
    again: bool = False
    """Somebody's wish has been told before; something else is why it is told once more."""

    @property
    def id(self) -> str:
        return event_id(self.event.type, *self.cause)

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: of two events with one key only the newer counts."""
        kind = type(self.event)
        match self.event:
            case OfferingApplied() | OfferingWithdrawn():
                about = self.event.offering.uid
            case ConsumerApplied() | ConsumerWithdrawn():
                about = self.event.consumer.uid
            case ProviderApplied() | ProviderWithdrawn():
                about = self.event.provider.uid
            case InstanceRequested() | InstanceWithdrawn() | WorkloadsChanged() | PoliciesDrifted():
                about = self.event.instance.uid
            case _:
                about = self.event.subject
        return INSTEAD_OF.get(kind, kind).type, about


# Offerings


def about_offering(before: Seen | None, after: Seen | None) -> Said | None:
    """Nothing when it is gone: retire_offering let it go. On its way out every change counts: its last instance may
    have gone, which its numbers tell."""
    if after is None:
        return None
    if before and before.wish == after.wish:
        return offering_again(after, after.version) if after.deleting else None
    return offering_again(after)


def offering_again(offering: Seen, *why: object) -> Said:
    kind = OfferingWithdrawn if offering.deleting else OfferingApplied
    event = kind(offering=OfferingKey(name=offering.name, uid=offering.uid), generation=offering.generation)
    marks = (offering.marks,) if offering.marks else ()
    return Said(event, (offering.uid, offering.generation, *marks, *why), again=bool(why))


def about_api(before: Served | None, after: Served | None, offering: Seen | None) -> Said | None:
    """A CRD that went away while its Offering is there: what retire_offering waits for, or an accident to be mended."""
    if before is None or after is not None or offering is None:
        return None
    return offering_again(offering, before.uid)


# Consumers and Providers


def about_grantee(kind: Resource, before: Seen | None, after: Seen | None) -> Said | None:
    """Gone without its rights having been taken away: somebody took our finalizer from it."""
    if after is None:
        gone = before is not None and not before.deleting
        return Said(grantee_event(kind, before, withdrawn=True), (before.uid, "gone")) if before and gone else None
    if before and before.wish == after.wish:
        return None
    marks = (after.marks,) if after.marks else ()
    return Said(grantee_event(kind, after, withdrawn=after.deleting), (after.uid, after.generation, *marks))


def grantee_event(kind: Resource, seen: Seen, *, withdrawn: bool) -> Event:
    if kind == CONSUMERS:
        consumer = ConsumerKey(name=seen.name, uid=seen.uid)
        said = ConsumerWithdrawn if withdrawn else ConsumerApplied
        return said(consumer=consumer, generation=seen.generation)
    provider = ProviderKey(name=seen.name, uid=seen.uid)
    event = ProviderWithdrawn if withdrawn else ProviderApplied
    return event(provider=provider, generation=seen.generation)


# Instances


def about_instance(key: InstanceKey, before: Seen | None, after: Seen | None, *, has_namespace: bool) -> Said | None:
    if after is None:
        # Seen on its way out and with nothing left of it: remove_release let it go.
        let_go = before is None or (before.deleting and not has_namespace)
        return None if let_go else Said(InstanceWithdrawn(instance=key), (key.uid, "gone"))
    if before and before.wish == after.wish:
        return None
    return instance_again(key, after)


def instance_again(key: InstanceKey, instance: Seen, *why: object) -> Said:
    marks = (instance.marks,) if instance.marks else ()
    if instance.deleting:
        return Said(InstanceWithdrawn(instance=key), (key.uid, instance.generation, *marks))
    event = InstanceRequested(instance=key, generation=instance.generation)
    return Said(event, (key.uid, instance.generation, *marks, *why), again=bool(why))


def peers_changed(key: InstanceKey, before: Seen | None, after: Seen | None) -> Said | None:
    """The marks on an instance are no part of its spec: whom it is open to stands there."""
    if before is None or after is None or after.deleting or before.marks == after.marks:
        return None
    return Said(PoliciesDrifted(instance=key), (key.uid, after.version))


def republished(before: Edition | None, after: Edition | None) -> str | None:
    """The edition to tell all instances of. An Offering seen for the first time is none: they are being told anyway."""
    if before is None or after is None or before.published == after.published:
        return None
    return after.published


def instances_changed(offering: str, version: int) -> Said:
    return Said(InstancesChanged(offering=offering), (offering, version))


# Release namespaces


def leaving(before: Release | None, after: Release | None) -> bool:
    """Whether something changed in a namespace on its way out: remove_release tells what it waits for."""
    return after is not None and after.deleting and (before is None or before.deleting)


def still_leaving(release: Release, version: int) -> Said:
    return Said(InstanceWithdrawn(instance=release.instance), (release.uid, version))


def namespace_gone(release: Release, instance: Seen | None) -> Said:
    """The end that remove_release waits for; or, taken from a living instance, a reason to make it again."""
    if instance and not instance.deleting:
        return instance_again(release.instance, instance, release.uid)
    return Said(InstanceWithdrawn(instance=release.instance), (release.uid, "gone"))


def orphans(releases: Collection[Release], living: Collection[str]) -> Iterator[Said]:
    """Release namespaces whose instance went while nobody watched."""
    for release in releases:
        if release.instance.uid not in living:
            yield still_leaving(release, release.version)


def bounds_changed(release: Release | None, change_version: int) -> Said | None:
    """Somebody changed or deleted what bounds an instance. So do we: then all is found as it should be."""
    if release is None or release.deleting:
        return None
    return Said(PoliciesDrifted(instance=release.instance), (release.uid, change_version))


def workloads_changed(release: Release | None, version: int) -> Said | None:
    if release is None or release.deleting:
        return None
    return Said(WorkloadsChanged(instance=release.instance), (release.uid, version))
