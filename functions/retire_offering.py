"""Take an Offering's API away, once nobody uses it any more. Its roles belong to it, and go with it."""

from events.apis import ApiRetired
from events.offerings import OfferingWithdrawn
from shared import finalizers, ownership, prerequisites
from shared.cluster import Cluster
from shared.conditions import condition
from shared.errors import ApiError, RetryLater
from shared.finalizers import let_go
from shared.function import function
from shared.offering import Offering
from shared.reports import offering_of, report_offering
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, OFFERINGS, of_offering
from shared.store import ChartStore

NAMED = 5


def instances_remain(living: list[str]) -> str:
    shown = ", ".join(living[:NAMED]) + (f" and {len(living) - NAMED} more" if len(living) > NAMED else "")
    return f"waits for {len(living)} instance{'s' if len(living) > 1 else ''} to be deleted: {shown}"


async def retire_offering(event: OfferingWithdrawn, cluster: Cluster, store: ChartStore) -> ApiRetired | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or not offering.withdrawn or finalizers.API not in offering.metadata.finalizers:
        return None
    if not await api_is_gone(offering, cluster):
        return None  # the event source says when the CRD is gone, or the number of instances changes
    if staying := await prerequisites.withdraw(cluster, offering.metadata.name):
        message = f"waits for objects of its chart's kinds to be deleted: {'; '.join(staying)}"
        said = condition("Ready", False, "ObjectsRemain", message, offering.metadata.generation)
        await report_offering(cluster, offering, "retire_offering", [said])
        return None  # the resync looks again
    await forget_chart(offering, cluster, store)
    await let_go(cluster, OFFERINGS, offering.metadata, finalizers.API)
    key = {"name": offering.metadata.name, "uid": offering.metadata.uid}
    return ApiRetired.model_validate({"offering": key, "generation": offering.metadata.generation})


async def api_is_gone(offering: Offering, cluster: Cluster) -> bool:
    crd = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, offering.crd)
    if crd is None or crd["metadata"].get("labels", {}).get(ownership.OFFERING) != offering.metadata.name:
        return True
    try:
        found = await cluster.list(of_offering(offering), metadata_only=True)
    except ApiError as error:
        if error.status == 403:  # grant_access heard of the withdrawal too
            raise RetryLater(f"the right to list {offering.plural} is not in force yet") from error
        raise
    living = [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in found["items"]]
    if living:
        said = condition("Ready", False, "InstancesRemain", instances_remain(living), offering.metadata.generation)
        await report_offering(cluster, offering, "retire_offering", [said])
        return False
    await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, offering.crd, preconditions={"uid": crd["metadata"]["uid"]})
    return await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, offering.crd) is None


async def forget_chart(offering: Offering, cluster: Cluster, store: ChartStore) -> None:
    """Unless another Offering uses the same archive."""
    digest = offering.status.chart.digest
    others = (await cluster.list(OFFERINGS))["items"]
    used = [each.get("status", {}).get("chart", {}).get("digest") for each in others]
    if digest and used.count(digest) <= 1:
        await store.delete(digest)


main = function(retire_offering, Cluster, ChartStore)
