"""Decide whether an instance may be had as it is asked for, and take hold of it so that it can't go unnoticed.

A refusal is written here and now. Acceptance is the event that follows; its condition is written with the release's:
each write of a status costs the API server as much as five reads.
"""

import asyncio
from typing import Any

from events.base import InstanceKey
from events.instances import InstanceAdmitted, InstanceRefused, InstanceRequested
from shared import finalizers, limits, versions
from shared.cluster import Cluster
from shared.conditions import condition
from shared.errors import Refused
from shared.function import function
from shared.instance import Instance, as_offered, settled
from shared.offering import Offering, Values
from shared.offerings import Offerings
from shared.releases import Release, release_for
from shared.reports import instance_of, report_instance
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, of_instance
from shared.schemas import Schemas
from shared.secrets import read_secrets
from shared.values import secret_references


def admit(instance: Instance, offering: Offering | None, name: str) -> Release:
    """Raises Refused with what to change."""
    if offering is None or offering.withdrawn:
        raise Refused("OfferingWithdrawn", f"offering {name} is no longer on offer")
    if not offering.published:
        raise Refused("OfferingNotReady", f"offering {name} is not ready; this goes on by itself when it is")
    return release_for(offering, instance)


async def check_values(release: Release, offering: Offering, instance: Instance, schemas: Schemas) -> None:
    """Against the chart's own schemas, as far as the consumer API can't say them. Raises Refused."""
    found = await schemas.of(release.chart_digest)
    if found is None or not found.documents:
        return
    fixed = release_for(offering, instance.model_copy(update={"spec": plan_only(instance.spec)})).values
    if objections := await asyncio.to_thread(found.objections, fixed, release.values):
        raise Refused("ValuesRefused", f"the chart's schema says {'; '.join(objections)}")


def plan_only(spec: Values) -> Values:
    return {key: value for key, value in spec.items() if key == "plan"}


def check_version(key: InstanceKey, instance: Instance, crd: dict[str, Any] | None) -> None:
    """The API server has checked it in the version it was written in; the newest is the one that counts."""
    annotations = instance.metadata.annotations
    api_version = f"{key.group}/{key.version}"
    found = {"apiVersion": api_version, "metadata": {"annotations": annotations}, "spec": instance.spec}
    if crd and (faults := versions.faults(found, crd)):
        raise Refused("InvalidInVersion", f"as {api_version}, the newest: {versions.first(faults)}; write it as that")


async def check_spec(cluster: Cluster, key: InstanceKey, offering: Offering, instance: Instance) -> None:
    if len(offering.status.api.versions) > 1:
        check_version(key, instance, await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, offering.crd, cached=True))


async def admit_instance(
    event: InstanceRequested, cluster: Cluster, schemas: Schemas, offerings: Offerings
) -> InstanceAdmitted | InstanceRefused | None:
    offering = await offerings.get(event.instance.offering)
    key = as_offered(event.instance, offering)
    instance = await instance_of(cluster, key, event.generation)
    if instance is None or instance.withdrawn:
        return None
    if offering and offering.published and settled(instance, offering):
        return None
    try:
        release = admit(instance, offering, key.offering)
        if offering:
            await check_spec(cluster, key, offering, instance)
            await read_secrets(cluster, secret_references(offering.spec.parameters, instance.spec), key.namespace)
            await check_values(release, offering, instance, schemas)
            await limits.take_place(cluster, key, instance, offering)
    except Refused as refused:
        said = condition("Accepted", False, refused.reason, refused.message, instance.generation)
        await report_instance(cluster, key, instance, "admit_instance", [said])
        return InstanceRefused(
            instance=key, generation=instance.generation, reason=refused.reason, message=refused.message
        )
    await finalizers.hold(cluster, of_instance(key), instance.metadata, finalizers.RELEASE, "admit_instance")
    return InstanceAdmitted(instance=key, generation=instance.generation)


main = function(admit_instance, Cluster, Schemas, Offerings)
