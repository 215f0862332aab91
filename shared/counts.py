"""How many instances a namespace may hold, as the API server itself counts them: a ResourceQuota for each Offering in
each namespace of a Consumer. Pure.

Where the quota controller does not know a kind yet (it looks every 30 s), a count on it refuses every create; so a kind
is left alone while it is young.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from shared import ownership
from shared.access import CONSUMER, Consumer
from shared.cluster import Object
from shared.conditions import find
from shared.offering import Offering

KNOWN_AFTER = timedelta(seconds=40)
COUNTS = {ownership.MANAGED_BY: ownership.MANAGER, "chandlery.dev/counts": "instances"}

Place = tuple[str, str]
"""Namespace and name of a quota."""


class Changes(NamedTuple):
    made: list[Object]
    changed: list[Object]
    dropped: list[Object]


def most(offering: Offering, consumer: Consumer | None) -> int | None:
    """The smaller of what the Offering allows each namespace and its Consumer of this Offering."""
    limits = [offering.spec.policies.limits.instances_per_namespace]
    limits.append(consumer.spec.limits.get(offering.metadata.name) if consumer else None)
    return min((limit for limit in limits if limit is not None), default=None)


def countable(offering: Offering, now: datetime) -> bool:
    """Whether its kind has been served for long enough."""
    published = find(offering.status.conditions, "Published")
    if offering.withdrawn or not offering.status.api.crd or published is None or not published.true:
        return False
    return now - datetime.fromisoformat(published.last_transition_time) >= KNOWN_AFTER


def wanted(
    offerings: Iterable[Offering], consumers: Iterable[Consumer], namespaces: Iterable[Object], now: datetime
) -> dict[Place, Object]:
    """`namespaces` are those that bear the name of a Consumer."""
    by_name = {each.metadata.name: each for each in consumers if not each.withdrawn}
    found: dict[Place, Object] = {}
    counted = [each for each in offerings if countable(each, now)]
    for namespace in namespaces:
        metadata = namespace["metadata"]
        consumer = by_name.get((metadata.get("labels") or {}).get(CONSUMER, ""))
        if metadata.get("deletionTimestamp"):
            continue
        for offering in counted:
            limit = most(offering, consumer)
            if limit is not None:
                body = quota(offering, metadata["name"], limit)
                found[metadata["name"], body["metadata"]["name"]] = body
    return found


def quota(offering: Offering, namespace: str, limit: int) -> Object:
    name = ownership.shortened(f"chandlery-{offering.metadata.name}")
    labels = COUNTS | {ownership.OFFERING: ownership.shortened(offering.metadata.name)}
    hard = {f"count/{offering.crd}": str(limit)}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"hard": hard}}


def changes(there: Iterable[Object], wanted: dict[Place, Object]) -> Changes:
    known = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in there}
    return Changes(
        [body for place, body in wanted.items() if place not in known],
        [body for place, body in wanted.items() if place in known and known[place].get("spec") != body["spec"]],
        [each for place, each in known.items() if place not in wanted],
    )


def counts(found: Object | None) -> bool:
    """Whether Kubernetes has begun to count; until then it lets nobody in."""
    hard = (found or {}).get("spec", {}).get("hard", {})
    used = (found or {}).get("status", {}).get("used", {})
    return bool(found) and set(hard) <= set(used)
