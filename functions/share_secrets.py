"""Copy what a consumer needs to use an instance, such as its password, from the release to beside the instance: what
the Offering exports, nothing else, and keep the copies in step."""

from events.base import InstanceKey
from events.exports import ExportsAged
from events.instances import InstanceReady
from shared import exports
from shared.cluster import Cluster, Object
from shared.conditions import condition
from shared.errors import Conflict, Refused, RetryLater
from shared.exports import Copy, copied, copies
from shared.function import function
from shared.grants import Released
from shared.instance import Instance, as_offered
from shared.offering import Offering
from shared.offerings import Offerings
from shared.releases import name_for
from shared.reports import instance_of, report_instance
from shared.resources import SECRETS


async def share_secrets(event: InstanceReady | ExportsAged, cluster: Cluster, offerings: Offerings) -> None:
    offering = await offerings.get(event.instance.offering)
    if offering is None:
        return
    key = as_offered(event.instance, offering)
    instance = await instance_of(cluster, key, 0)
    if instance is None or instance.withdrawn:
        return
    namespace = instance.status.release.namespace
    if namespace and (offering.spec.exports or instance.status.exports):
        await share(cluster, offering, instance, Released(namespace, key, name_for(offering, instance)))


async def share(cluster: Cluster, offering: Offering, instance: Instance, release: Released) -> None:
    key, wanted = release.instance, copies(offering, release)
    for name in exports.no_longer(instance.status.exports, wanted):
        await drop(cluster, key, name)
    made, refused = [], []
    for copy in wanted:
        try:
            await copy_one(cluster, copy, release)
            made.append(copy.name)
        except Refused as no:
            refused.append(no)
    said = condition("Shared", True, "Shared", "", instance.generation)
    if refused:
        said = condition("Shared", False, refused[0].reason, refused[0].message, instance.generation)
    known = sorted({*made, *({*instance.status.exports} & {copy.name for copy in wanted})})
    await report_instance(cluster, key, instance, "share_secrets", [said] if wanted else [], exports=known)


async def copy_one(cluster: Cluster, copy: Copy, release: Released) -> None:
    """Raises Refused with what stands in the way."""
    key = release.instance
    source = await cluster.get(SECRETS, copy.source, release.namespace)
    wanted = copied(copy, source, key)
    there = await cluster.get(SECRETS, copy.name, key.namespace)
    if there is None:
        await make(cluster, copy, wanted)
    elif not exports.is_ours(there, key):
        what = f"{key.namespace} has another Secret {copy.name}"
        raise Refused("NameTaken", f"{copy.field}.as: {what}; delete that, and this goes on by itself")
    elif not exports.stands(there, wanted):
        await bring_back(cluster, copy, there, wanted)


async def make(cluster: Cluster, copy: Copy, wanted: Object) -> None:
    try:
        await cluster.create(SECRETS, wanted)
    except Conflict as twice:
        raise RetryLater(f"Secret {copy.name} is being made by somebody else", after=0.1) from twice


async def bring_back(cluster: Cluster, copy: Copy, there: Object, wanted: Object) -> None:
    """All of its data at once: whatever else was put in is not there any more."""
    metadata, ours = there["metadata"], wanted["metadata"]
    labels, notes = (metadata.get(part) or {} for part in ("labels", "annotations"))
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/data", "value": wanted["data"]},
        {"op": "add", "path": "/metadata/labels", "value": labels | ours["labels"]},
        {"op": "add", "path": "/metadata/annotations", "value": notes | ours["annotations"]},
        {"op": "add", "path": "/metadata/ownerReferences", "value": ours["ownerReferences"]},
    ]
    await cluster.patch(SECRETS, copy.name, operations, metadata["namespace"])


async def drop(cluster: Cluster, key: InstanceKey, name: str) -> None:
    there = await cluster.get(SECRETS, name, key.namespace)
    if there and exports.is_ours(there, key):
        await cluster.delete(SECRETS, name, key.namespace, preconditions={"uid": there["metadata"]["uid"]})


main = function(share_secrets, Cluster, Offerings)
