"""Knative Eventing: whether it is there, and carries our events."""

import asyncio
import re

from cli.checks.finding import Finding, limited, missing, ok, unknown
from shared.cluster import Cluster, Object
from shared.errors import ApiError, NotFound
from shared.resources import BROKERS, NAMESPACES, SYSTEM_NAMESPACE, Resource

SUBJECT = "eventing"
TRIGGERS = Resource(BROKERS.group, "v1", "triggers", "Trigger")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
NAMESPACE = "knative-eventing"
VERSION = "app.kubernetes.io/version"
CLASS = "eventing.knative.dev/broker.class"
OLDEST = (1, 15)
"""The first with Triggers that filter by `filters`, on by themselves."""
DURABLE = ("NatsJetStreamBroker", "Kafka", "KafkaNamespaced", "RabbitMQBroker")
UNSEEN = "nothing has looked at it yet"
INSTALL = "install Knative Eventing: https://knative.dev/docs/install/yaml-install/eventing/"


async def look(cluster: Cluster) -> list[Finding]:
    try:
        brokers, triggers = await asyncio.gather(
            cluster.list(BROKERS, SYSTEM_NAMESPACE), cluster.list(TRIGGERS, SYSTEM_NAMESPACE)
        )
    except NotFound:
        return [missing(SUBJECT, "Knative Eventing is not installed: there are no Brokers and Triggers", INSTALL)]
    return [
        version(await labels(cluster)),
        *classes(brokers["items"]),
        ready("Broker", brokers["items"]),
        ready("Trigger", triggers["items"]),
    ]


async def labels(cluster: Cluster) -> dict[str, str] | None:
    """Of its namespace and its controller, which know the version; None where they can't be seen."""
    try:
        found = [await cluster.get(NAMESPACES, NAMESPACE)]
        found.append(await cluster.get(DEPLOYMENTS, "eventing-controller", NAMESPACE))
    except ApiError:
        return None
    said: dict[str, str] = {}
    for each in found:
        said |= ((each or {}).get("metadata") or {}).get("labels") or {}
    return said


def version(labels: dict[str, str] | None) -> Finding:
    said = (labels or {}).get(VERSION, "")
    found = re.match(r"v?(\d+)\.(\d+)", said)
    if not found:
        where = f"it says {said}" if said else f"namespace {NAMESPACE} does not say which, or is not visible to you"
        return unknown(SUBJECT, f"Knative Eventing is installed, in a version that is not known: {where}")
    least = ".".join(map(str, OLDEST))
    if (int(found[1]), int(found[2])) < OLDEST:
        return missing(SUBJECT, f"Knative Eventing {said} is older than {least}", "upgrade Knative Eventing")
    return ok(SUBJECT, f"Knative Eventing {said}")


def classes(brokers: list[Object]) -> list[Finding]:
    found = {(each["metadata"].get("annotations") or {}).get(CLASS, "the default") for each in brokers}
    return [of_class(each) for each in sorted(found)]


def of_class(name: str) -> Finding:
    if name in DURABLE:
        return ok(SUBJECT, f"Broker class {name} keeps what it took")
    if name == "MTChannelBasedBroker":
        return limited(
            SUBJECT,
            "Broker class MTChannelBasedBroker: with its in-memory channel an event may be lost when Knative restarts,"
            " and what it stood for waits for the next resync",
            "for production, a class that stores: overlay production",
        )
    return unknown(SUBJECT, f"Broker class {name}: whether it keeps what it took is not known")


def ready(kind: str, found: list[Object]) -> Finding:
    if not found:
        return missing(SUBJECT, f"there are no {kind}s in namespace {SYSTEM_NAMESPACE}", "chandlery install")
    not_ready = [each for each in found if condition(each).get("status") != "True"]
    if not not_ready:
        return ok(SUBJECT, f"{len(found)} {kind}s are Ready")
    first = not_ready[0]
    said, name = condition(first), first["metadata"]["name"]
    why = ": ".join(part for part in (said.get("reason"), said.get("message")) if part) or UNSEEN
    more = f" (and {len(not_ready) - 1} more)" if len(not_ready) > 1 else ""
    fix = f"kubectl -n {SYSTEM_NAMESPACE} describe {kind.lower()} {name}"
    if why == UNSEEN:
        fix = f"is there a controller for its class? {fix}"
    return missing(SUBJECT, f"{kind} {name} is not Ready{more}: {why}", fix)


def condition(found: Object) -> Object:
    conditions = found.get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == "Ready"), {})
