"""Do what an outside system asked for over NATS, in its own name: whether it may, the API server decides.

A message may come twice, and late: of an instance's orders the one that came last into the stream counts.
"""

from typing import Any

from events.requests import Found, InstanceCancelled, InstanceOrdered, RequestAnswered
from shared.access import Consumer
from shared.answers import accepted, refused
from shared.cluster import Cluster, Object
from shared.errors import ApiError, Conflict, Refused, RetryLater
from shared.function import function
from shared.offering import Offering
from shared.resources import Resource
from shared.senders import kind_of, offering_for, retry_if_not_yet, sender_of

ORDER = "chandlery.dev/order"
BY = "accept_request"


def position(found: Object | None) -> int:
    """Of the order that the object stands for; of one that was made in another way, before all others."""
    noted = ((found or {}).get("metadata", {}).get("annotations") or {}).get(ORDER, "")
    return int(noted) if noted.isdecimal() else 0


def body(event: InstanceOrdered, found: Object | None) -> dict[str, Any]:
    """Only on the object as it was looked at: what was written meanwhile is looked at again."""
    metadata = {"name": event.name, "namespace": event.namespace, "annotations": {ORDER: str(event.message.position)}}
    if found:
        metadata |= {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
    if found and not event.spec:  # where there was a spec, the API server makes null of an empty one, and refuses it
        return {"metadata": metadata}
    return {"metadata": metadata, "spec": event.spec}


def told(found: Object) -> Found:
    metadata = found["metadata"]
    return Found(
        api_version=found["apiVersion"], kind=found["kind"], uid=metadata["uid"], generation=metadata["generation"]
    )


async def order(cluster: Cluster, event: InstanceOrdered, resource: Resource, user: str) -> RequestAnswered:
    found = await cluster.get(resource, event.name, event.namespace, impersonate=user)
    if position(found) > event.message.position:
        raise Refused("Superseded", "name: a later order was carried out already; this one is left out")
    if found and "deletionTimestamp" in found["metadata"]:
        raise RetryLater("the instance that had this name is still being removed", after=5)
    made = await cluster.apply(resource, body(event, found), BY, impersonate=user)
    return accepted(event, "Changed" if found else "Ordered", told(made))


async def cancel(cluster: Cluster, event: InstanceCancelled, resource: Resource, user: str) -> RequestAnswered:
    found = await cluster.get(resource, event.name, event.namespace, impersonate=user)
    if found is None:
        return accepted(event, "Gone", None)
    if position(found) > event.message.position:
        raise Refused("Superseded", "name: it was ordered again after this; it stays")
    same = {"uid": found["metadata"]["uid"]}
    await cluster.delete(resource, event.name, event.namespace, preconditions=same, impersonate=user)
    return accepted(event, "Cancelled", told(found))


def explained(
    error: ApiError, event: InstanceOrdered | InstanceCancelled, who: Consumer, offering: Offering
) -> Refused:
    """The API server's refusal, with the field of the request that it is about."""
    if error.status == 403 and "cannot" in error.message:
        if event.namespace not in who.status.namespaces:
            having = ", ".join(who.status.namespaces) or "none"
            return Refused("Forbidden", f"namespace: {event.namespace} is not this Consumer's; it has {having}")
        return Refused("Forbidden", f"offering: {offering.metadata.name} is not for this Consumer: {error.message}")
    if error.status == 404:
        return Refused("NotFound", f"api_version: {error.message}")
    return Refused(error.reason or "Refused", f"{field_of(error)}: {error.message}")


def field_of(error: ApiError) -> str:
    causes = error.details.get("causes")
    fields = [str(each.get("field", "")) for each in causes] if isinstance(causes, list) else []
    return next((each for each in fields if each), "spec")


async def accept_request(event: InstanceOrdered | InstanceCancelled, cluster: Cluster) -> RequestAnswered:
    try:
        who = await sender_of(cluster, event.sender)
        if not isinstance(who, Consumer):
            raise Refused("NoConsumer", "subject: Providers order nothing; publish as a Consumer")
        offering = await offering_for(cluster, event)
        return await carry_out(cluster, event, who, offering)
    except Refused as no:
        return refused(event, no)


async def carry_out(
    cluster: Cluster, event: InstanceOrdered | InstanceCancelled, who: Consumer, offering: Offering
) -> RequestAnswered:
    resource = kind_of(event, offering)
    try:
        if isinstance(event, InstanceOrdered):
            return await order(cluster, event, resource, who.user)
        return await cancel(cluster, event, resource, who.user)
    except Conflict as meanwhile:
        raise RetryLater(f"it was changed meanwhile: {meanwhile}", after=0.1) from meanwhile
    except ApiError as error:
        retry_if_not_yet(error, who)
        raise explained(error, event, who, offering) from error


main = function(accept_request, Cluster)
