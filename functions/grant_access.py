"""Put in force who may do what, and nobody else touches roles: for Consumers and Providers as an administrator wrote
them, whenever these change, or the Offerings and releases that their rights follow from."""

from events.access import ConsumerApplied, ConsumerWithdrawn, ProviderApplied, ProviderWithdrawn
from events.apis import ApiPublished, ApiRetired
from events.offerings import OfferingApplied
from events.releases import ReleaseDeployed, ReleaseFailed
from shared import granted
from shared.cluster import Cluster
from shared.function import function
from shared.grants import Released
from shared.instance import as_offered
from shared.releases import name_for, namespace_for
from shared.reports import instance_of, offering_of

Granting = (
    ConsumerApplied
    | ConsumerWithdrawn
    | ProviderApplied
    | ProviderWithdrawn
    | OfferingApplied
    | ApiPublished
    | ApiRetired
    | ReleaseDeployed
    | ReleaseFailed
)


async def grant_access(event: Granting, cluster: Cluster) -> None:
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
        case ApiPublished() | ApiRetired():
            await granted.reconsider(cluster, event.offering.name)
        case ReleaseDeployed() | ReleaseFailed():
            await open_release(event, cluster)


async def open_release(event: ReleaseDeployed | ReleaseFailed, cluster: Cluster) -> None:
    offering = await offering_of(cluster, event.instance.offering)
    if offering is None or not await granted.is_opened(cluster, offering):
        return
    instance = await instance_of(cluster, as_offered(event.instance, offering), 0)
    if instance is None or instance.withdrawn:
        return
    released = Released(namespace_for(offering, instance), event.instance, name_for(offering, instance))
    await granted.open_release(cluster, offering, released)


main = function(grant_access, Cluster)
