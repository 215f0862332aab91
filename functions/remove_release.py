"""Take down what an instance had, in reverse order: the release, its namespace, then the hold on the instance.

Before that it is read for the last time: only when the Broker has what was used, it is taken down.
Its rights in cluster scope go with the namespace, which owns their binding: Helm still has them when it uninstalls.
It never waits: when the namespace is gone the event source says so, and this step is taken again.
"""

from typing import Any

from events.instances import InstanceWithdrawn
from events.releases import ReleaseRemoved
from shared import finalizers, ownership
from shared.brokers import Brokers
from shared.cluster import Cluster
from shared.conditions import condition
from shared.errors import RetryLater
from shared.finalizers import let_go
from shared.function import function
from shared.helm import AT_ONCE, Helm, HelmFailed
from shared.metering.last import last_reading
from shared.metering.reader import Reader
from shared.releases import Release
from shared.reports import instance_of, report_instance
from shared.resources import NAMESPACES, of_instance

UNINSTALL_TIMEOUT = "5m"


def waits_for(namespace: dict[str, Any]) -> str:
    """What a namespace that is being deleted still holds, in the API server's words."""
    name = namespace["metadata"]["name"]
    told = [
        each["message"]
        for each in namespace.get("status", {}).get("conditions", [])
        if each["status"] == "True" and each.get("message")
    ]
    return f"waits for namespace {name} to go" + (": " + "; ".join(told) if told else "")


async def remove_release(
    event: InstanceWithdrawn, cluster: Cluster, helm: Helm, reader: Reader, brokers: Brokers
) -> ReleaseRemoved | None:
    key = event.instance
    instance = await instance_of(cluster, key)
    if instance and not instance.withdrawn:
        return None
    namespaces = (await cluster.list(NAMESPACES, labels={ownership.UID: key.uid}))["items"]

    async def tell(reason: str, message: str) -> None:
        if instance:
            said = [condition(kind, False, reason, message, instance.generation) for kind in ("Deployed", "Ready")]
            await report_instance(cluster, key, instance, "remove_release", said)

    for namespace in namespaces:
        metadata = namespace["metadata"]
        if metadata.get("deletionTimestamp"):
            await tell("Removing", waits_for(namespace))
            continue
        await last_reading(namespace, cluster, reader, brokers)
        try:
            await uninstall(helm, metadata["name"])
        except HelmFailed as failed:
            await tell("UninstallFailed", f"{failed.message}; it is tried again")
            return None
        await cluster.delete(NAMESPACES, metadata["name"], preconditions={"uid": metadata["uid"]})
        await tell("Removing", waits_for(namespace))
    if namespaces:
        return None
    if instance:
        await let_go(cluster, of_instance(key), instance.metadata, finalizers.RELEASE)
    return ReleaseRemoved(instance=key)


async def uninstall(helm: Helm, namespace: str) -> None:
    """Every release of ours in the namespace: the instance that knew its name may be gone."""
    for name in await helm.releases(namespace):
        release = Release(namespace, name, "", {}, UNINSTALL_TIMEOUT, "")
        async with helm.turn(release):
            history = await helm.history(release)
            if history and history[-1].pending and await helm.unfinished(history[-1]):
                raise RetryLater(f"{history[-1].holder} is at work on {namespace}/{name}", after=2)
            await helm.remove(release)


main = function(remove_release, Cluster, Helm, Reader, Brokers, at_once=AT_ONCE)
