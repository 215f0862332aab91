"""Let the API server itself count the instances in each Consumer's namespace: then no race lets in one too many.

At each tick of the resync, for what a count follows from changes seldom and must not be told in time: until it is in
force, admit_instance holds the same limits.
"""

import asyncio
from datetime import UTC, datetime

import structlog

from events.ticks import Ticked
from shared.access import CONSUMER, Consumer
from shared.cluster import Cluster, Object
from shared.counts import COUNTS, changes, counts, wanted
from shared.errors import Conflict, NotFound
from shared.function import function
from shared.offering import Offering
from shared.resources import CONSUMERS, NAMESPACES, OFFERINGS, RESOURCE_QUOTAS

TRIES, PAUSE = 10, 0.3

log = structlog.get_logger()


async def limit_namespaces(_event: Ticked, cluster: Cluster) -> None:
    offerings, consumers, namespaces, there = await asyncio.gather(
        cluster.list(OFFERINGS, cached=True),
        cluster.list(CONSUMERS, cached=True),
        cluster.list(NAMESPACES, labels={CONSUMER: ""}, metadata_only=True, cached=True),
        cluster.list(RESOURCE_QUOTAS, labels=COUNTS),
    )
    bounds = wanted(
        [Offering.model_validate(each) for each in offerings["items"]],
        [Consumer.model_validate(each) for each in consumers["items"]],
        namespaces["items"],
        datetime.now(UTC),
    )
    todo = changes(there["items"], bounds)
    dead = [each for each in there["items"] if not counts(each)]
    await asyncio.gather(
        *[begin(cluster, body) for body in todo.made],
        *[change(cluster, body) for body in todo.changed],
        *[drop(cluster, each) for each in todo.dropped],
        *[watch_over(cluster, each["metadata"]) for each in dead if each not in todo.dropped],
    )


async def begin(cluster: Cluster, body: Object) -> None:
    try:
        made = await cluster.create(RESOURCE_QUOTAS, body)
    except (Conflict, NotFound):
        return  # another tick was first, or the namespace went
    await watch_over(cluster, made["metadata"])


async def watch_over(cluster: Cluster, metadata: Object) -> None:
    """Gone again before anybody is kept out for long by a count that does not begin."""
    for _ in range(TRIES):
        found = await cluster.get(RESOURCE_QUOTAS, metadata["name"], metadata["namespace"])
        if found is None or counts(found):
            return
        await asyncio.sleep(PAUSE)
    log.info("Kubernetes does not count this kind yet; it is tried again", quota=metadata["name"])
    await drop(cluster, {"metadata": metadata})


async def change(cluster: Cluster, body: Object) -> None:
    metadata = body["metadata"]
    replaced = [{"op": "add", "path": "/spec", "value": body["spec"]}]
    await cluster.patch(RESOURCE_QUOTAS, metadata["name"], replaced, metadata["namespace"])


async def drop(cluster: Cluster, found: Object) -> None:
    metadata = found["metadata"]
    uid = {"uid": metadata["uid"]}
    await cluster.delete(RESOURCE_QUOTAS, metadata["name"], metadata["namespace"], preconditions=uid)


main = function(limit_namespaces, Cluster, at_once=1)
