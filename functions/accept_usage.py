"""Take what was counted elsewhere for an instance, from the Consumer whose it is or the Provider whose Offering it is.

Twice does no harm: what comes is how a counter stands, and the ledger works out what that adds up to.
"""

from datetime import UTC, datetime

from events.base import event_id
from events.readings import CUSTOM, Reading, Subject
from events.requests import RequestAnswered, UsageReported
from events.usage import UsageMeasured
from shared.access import CONSUMER, Consumer, Provider
from shared.answers import accepted, refused
from shared.brokers import Brokers
from shared.cluster import Cluster, Object
from shared.errors import ApiError, Refused
from shared.function import envelope_of, function
from shared.offering import Offering
from shared.resources import NAMESPACES
from shared.senders import kind_of, offering_for, retry_if_not_yet, sender_of

AHEAD_SECONDS = 300


def check(event: UsageReported, who: Consumer | Provider, offering: Offering, consumer: str) -> None:
    """Whether the sender may say anything about this instance."""
    if isinstance(who, Consumer) and consumer != who.metadata.name:
        raise Refused("Forbidden", f"namespace: {event.namespace} is not this Consumer's")
    if isinstance(who, Provider) and offering.spec.api.group not in who.spec.api_groups:
        raise Refused("Forbidden", f"offering: {offering.metadata.name} is not this Provider's")
    if event.metric in {each.name for each in offering.spec.metering.custom}:
        raise Refused("Measured", f"metric: {event.metric} is read from the instance itself; report another name")


def measured(event: UsageReported, offering: Offering, instance: Object, consumer: str) -> UsageMeasured:
    """A subject of its own for each sender: its counters begin again when it says so, and nobody else's with them."""
    uid = instance["metadata"]["uid"]
    subject = f"{event.sender}/{uid}/{event.metric}"
    whose = Subject(
        uid=subject,
        kind="instance",
        name=event.name,
        namespace=event.namespace,
        instance_uid=uid,
        instance=f"{event.namespace}/{event.name}",
        offering=offering.metadata.name,
        plan=instance.get("spec", {}).get("plan"),
        consumer_namespace=event.namespace,
        consumer=consumer or None,
        started_at=event.since,
        seen_last=event.at,
    )
    metric = f"{CUSTOM}{event.metric}"
    reading = Reading(
        subject=subject, kind="instance", metric=metric, at=event.at, value=event.value, counter=event.counter
    )
    return UsageMeasured(origin=event.sender, readings=[reading], subjects=[whose])


async def accept_usage(event: UsageReported, cluster: Cluster, brokers: Brokers) -> RequestAnswered:
    try:
        who = await sender_of(cluster, event.sender)
        if (event.at - datetime.now(UTC)).total_seconds() > AHEAD_SECONDS:
            raise Refused("InTheFuture", f"at: {event.at.isoformat()} is yet to come; send when it was read")
        offering = await offering_for(cluster, event)
        home = await cluster.get(NAMESPACES, event.namespace)
        consumer = ((home or {}).get("metadata", {}).get("labels") or {}).get(CONSUMER, "")
        check(event, who, offering, consumer)
        found = await instance_as(cluster, event, who, offering)
    except Refused as no:
        return refused(event, no)
    said = measured(event, offering, found, consumer)
    identity = event_id("accept_usage", event.sender, event.message.source, event.message.id)
    await brokers.send("usage", envelope_of(said, "/chandlery/accept_usage", identity))
    return accepted(event, "Measured", None)


async def instance_as(cluster: Cluster, event: UsageReported, who: Consumer | Provider, offering: Offering) -> Object:
    """As the sender sees it."""
    try:
        found = await cluster.get(kind_of(event, offering), event.name, event.namespace, impersonate=who.user)
    except ApiError as error:
        retry_if_not_yet(error, who)
        raise Refused(error.reason or "Refused", f"name: {error.message}") from error
    if found is None:
        raise Refused("NotFound", f"name: there is no {offering.spec.api.kind} {event.name} in {event.namespace}")
    return found


main = function(accept_usage, Cluster, Brokers)
