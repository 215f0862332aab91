"""Put in force who may do what, and nobody else touches roles: for Offerings what was reviewed, for Consumers and
Providers what an administrator wrote, whenever these change or the releases that their rights follow from.

When an Offering's roles are in force, and only then, it is Ready; or it says what stands in the way, whichever step
found it.
"""

from events.access import AccessGranted, ConsumerApplied, ConsumerWithdrawn, ProviderApplied, ProviderWithdrawn
from events.apis import ApiPublished, ApiRefused, ApiRetired
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.releases import ReleaseDeployed, ReleaseFailed
from shared import granted, granting
from shared.cluster import Cluster
from shared.conditions import Condition, condition, find
from shared.function import function
from shared.grants import Released
from shared.instance import as_offered
from shared.offering import Offering
from shared.offerings import Offerings
from shared.releases import name_for, namespace_for
from shared.reports import instance_of, offering_of, report_offering

Granting = (
    ConsumerApplied
    | ConsumerWithdrawn
    | ProviderApplied
    | ProviderWithdrawn
    | OfferingApplied
    | OfferingWithdrawn
    | ApiPublished
    | ApiRefused
    | ApiRetired
    | ReleaseDeployed
    | ReleaseFailed
)


def obstacle(offering: Offering) -> Condition | None:
    """The first step that refused it as it stands; None when all is well."""
    steps = [find(offering.status.conditions, kind) for kind in ("ChartReady", "Published")]
    return next((step for step in steps if step and not step.true), None)


def current(offering: Offering) -> bool:
    """Whether its steps before this one have spoken of it as it stands: up to the one that refused."""
    for kind in ("ChartReady", "Published"):
        step = find(offering.status.conditions, kind)
        if step is None or step.observed_generation != offering.metadata.generation:
            return False
        if not step.true:
            return True
    return True


async def grant_access(event: Granting, cluster: Cluster, offerings: Offerings) -> AccessGranted | None:
    match event:
        case ConsumerApplied():
            await granted.grant_consumer(cluster, event.consumer.name)
        case ConsumerWithdrawn():
            await granted.withdraw_consumer(cluster, event.consumer.name)
        case ProviderApplied():
            await granted.grant_provider(cluster, event.provider.name)
        case ProviderWithdrawn():
            await granted.withdraw_provider(cluster, event.provider.name)
        case OfferingApplied():
            await granted.reconsider_providers(cluster)
        case ApiPublished() | ApiRefused() | OfferingWithdrawn():
            said = await grant_offering(event, cluster)
            if said:
                await granted.reconsider(cluster, event.offering.name)
            return said
        case ApiRetired():
            await granted.reconsider(cluster, event.offering.name)
        case ReleaseDeployed() | ReleaseFailed():
            await open_release(event, cluster, offerings)
    return None


async def grant_offering(
    event: ApiPublished | ApiRefused | OfferingWithdrawn, cluster: Cluster
) -> AccessGranted | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None:
        return None
    if offering.withdrawn:
        await granting.grant_functions(cluster, offering)  # without them it could not be taken down
        return None
    if not current(offering):
        return None  # a newer one is on its way
    generation = offering.metadata.generation
    if said := obstacle(offering):
        await granting.grant_functions(cluster, offering)
        ready = condition("Ready", False, said.reason, said.message, generation)
        await report_offering(cluster, offering, "grant_access", [ready])
        return None
    await granting.grant(cluster, offering)
    ready = condition("Ready", True, "Published", f"consumers can order a {offering.spec.api.kind}", generation)
    await report_offering(cluster, offering, "grant_access", [ready])
    return AccessGranted(offering=event.offering, generation=generation)


async def open_release(event: ReleaseDeployed | ReleaseFailed, cluster: Cluster, offerings: Offerings) -> None:
    offering = await offerings.get(event.instance.offering)
    if offering is None or not await granted.is_opened(cluster, offering):
        return
    instance = await instance_of(cluster, as_offered(event.instance, offering), 0)
    if instance is None or instance.withdrawn:
        return
    released = Released(namespace_for(offering, instance), event.instance, name_for(offering, instance))
    await granted.open_release(cluster, offering, released)


main = function(grant_access, Cluster, Offerings)
