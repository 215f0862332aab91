"""Show on an instance what it used in the last hour that was recorded."""

from events.base import InstanceKey
from events.usage import UsageRecorded
from shared.cluster import Cluster
from shared.errors import ApiError, Conflict, NotFound, RetryLater
from shared.function import function
from shared.metering.told import newer, status_of
from shared.offering import Offering
from shared.reports import instance_of, offering_of, report_instance


def key_of(event: UsageRecorded, offering: Offering) -> InstanceKey:
    namespace, _, name = event.instance.partition("/")
    api = offering.spec.api
    return InstanceKey(
        offering=event.offering,
        group=api.group,
        version=offering.version,
        plural=offering.plural,
        kind=api.kind,
        namespace=namespace,
        name=name,
        uid=event.instance_uid,
    )


async def report_usage(event: UsageRecorded, cluster: Cluster) -> None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or not offering.status.api.crd:
        return
    key = key_of(event, offering)
    try:
        instance = await instance_of(cluster, key)
    except NotFound:
        return  # its API is gone, and it with it
    except ApiError as error:
        if error.status == 403:
            raise RetryLater(f"the right to read {offering.plural} is not in force yet") from error
        raise
    if instance is None or not newer(event, instance.status.usage):
        return
    try:
        await report_instance(cluster, key, instance, "report_usage", [], unchanged=True, usage=status_of(event))
    except Conflict as error:
        raise RetryLater(f"{event.instance} changed meanwhile") from error


main = function(report_usage, Cluster)
