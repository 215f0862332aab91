"""Keep an Offering's numbers: how many instances it has, how many are ready, how many failed."""

from events.instances import InstancesChanged
from shared.cluster import Cluster
from shared.errors import ApiError, NotFound, RetryLater
from shared.function import function
from shared.instance import Instance, count
from shared.reports import offering_of, report_offering
from shared.resources import of_offering


async def count_instances(event: InstancesChanged, cluster: Cluster) -> None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or not offering.status.api.crd:
        return
    try:
        found = (await cluster.list(of_offering(offering), cached=True))["items"]
    except NotFound:
        return  # the API is going, and its numbers with it
    except ApiError as error:
        if error.status == 403:
            raise RetryLater(f"the right to list {offering.plural} is not in force yet") from error
        raise
    counts = count(Instance.model_validate(each) for each in found)
    await report_offering(cluster, offering, "count_instances", [], instances=counts.model_dump())


main = function(count_instances, Cluster)
