"""Read what every instance uses, from the kubelets of all nodes, and tell it as it comes: a slow node delays nobody."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter

from events.ticks import Ticked
from shared import ownership
from shared.brokers import Brokers
from shared.cluster import Cluster, Object
from shared.errors import ApiError, RetryLater
from shared.function import envelope_of, function
from shared.metering.custom import Target, targets
from shared.metering.measured import Measured, events
from shared.metering.owners import Owner, Owners
from shared.metering.reader import Reader, running_on
from shared.metering.rounds import Rounds
from shared.metering.summary import Claims, by_name, capacity, of_cluster, of_node
from shared.resources import CLAIMS, NAMESPACES, NODES, PODS

NODES_AT_ONCE, SLOW_AT_ONCE = 32, 4
NODE_SECONDS, SLOW_SECONDS = 5.0, 10.0
PODS_AT_ONCE = 16
OF_THE_TICK = 0.8
"""After this part of a tick it ends, whoever is still waited for: the next one must not wait for it."""

READ = Counter("chandlery_usage_nodes", "Nodes read, by what came of it", ["outcome"])
SCRAPED = Counter("chandlery_usage_custom", "Pods asked for metrics of their own, by what came of it", ["outcome"])
READINGS = Counter("chandlery_usage_readings", "Readings told, and what was odd and left out", ["outcome"])

log = structlog.get_logger()


class Round:
    """One tick's work."""

    def __init__(self, reader: Reader, brokers: Brokers, rounds: Rounds, owners: Owners) -> None:
        self._reader, self._brokers, self._rounds, self._owners = reader, brokers, rounds, owners
        self._fast, self._slow = asyncio.Semaphore(NODES_AT_ONCE), asyncio.Semaphore(SLOW_AT_ONCE)
        self._scraping = asyncio.Semaphore(PODS_AT_ONCE)
        self.read: set[str] = set()

    async def node(self, node: Object, pods: list[Object], claims: Claims) -> None:
        name = node["metadata"]["name"]
        slow = name in self._rounds.slow
        self._rounds.slow.add(name)  # until it has answered
        try:
            async with self._slow if slow else self._fast:
                summary = await self._reader.summary(name, SLOW_SECONDS if slow else NODE_SECONDS)
        except (RetryLater, ApiError) as error:
            READ.labels("failed").inc()
            if not slow:  # once, until it answers again
                log.warning("a node can't be read", node=name, error=str(error))
            return
        self._rounds.slow.discard(name)
        READ.labels("read").inc()
        found = of_node(name, summary, pods, self._owners, claims)
        self.read |= {each.uid for each in found.subjects}
        found.add(capacity(node, summary))
        await self.tell(f"node/{name}", found)

    async def custom(self, target: Target, owner: Owner) -> None:
        try:
            async with self._scraping:
                found = await self._reader.custom(target, owner)
        except (RetryLater, ApiError) as error:
            SCRAPED.labels("failed").inc()
            log.info("a pod can't be asked", instance=owner.instance, pod=target.pod, error=str(error))
            return
        SCRAPED.labels("read" if found.readings else "nothing").inc()
        self.read |= {each.uid for each in found.subjects}
        await self.tell(f"instance/{owner.instance_uid}", found)

    async def tell(self, origin: str, found: Measured) -> None:
        """What no Broker takes now is kept for the next round."""
        self._rounds.seen(found.subjects)
        READINGS.labels("odd").inc(found.odd)
        READINGS.labels("told").inc(len(found.readings))
        for identity, said in events(origin, found):
            event = envelope_of(said, "/chandlery/collect_usage", identity)
            try:
                await self._brokers.send("usage", event)
            except RetryLater as later:
                self._rounds.unsent.append(event)
                log.warning("readings are kept for later", origin=origin, error=str(later))

    async def once_more(self) -> None:
        while self._rounds.unsent:
            event = self._rounds.unsent.popleft()
            try:
                await self._brokers.send("usage", event)
            except RetryLater:
                self._rounds.unsent.appendleft(event)
                return


async def collect_usage(event: Ticked, cluster: Cluster, reader: Reader, brokers: Brokers, rounds: Rounds) -> None:
    now = datetime.now(UTC)
    namespaces, nodes, pods, claims = await lists(cluster)
    owners = await reader.owners(namespaces)
    work = Round(reader, brokers, rounds, owners)
    on, named = running_on(pods, owners), by_name(claims)
    tasks = [work.once_more(), work.tell("cluster", of_cluster(owners, claims, now))]
    tasks += [work.node(node, on.get(node["metadata"]["name"], []), named) for node in nodes]
    for pod in pods:
        if owner := owners.get(pod["metadata"]["namespace"]):
            tasks += [work.custom(target, owner) for target in targets(pod, owner)]
    await within(event.seconds * OF_THE_TICK, tasks)
    there: dict[str, Object | None] = {each["metadata"]["uid"]: each for each in [*pods, *claims]}
    there |= {owner.instance_uid: {} for owner in owners.values() if not owner.leaving}
    await work.tell("cluster", rounds.ended(there, work.read, now))


async def lists(cluster: Cluster) -> list[list[Object]]:
    found = await asyncio.gather(
        cluster.list(NAMESPACES, labels={ownership.UID: ""}, metadata_only=True, cached=True),
        *[cluster.list(kind, cached=True) for kind in (NODES, PODS, CLAIMS)],
    )
    return [each["items"] for each in found]


async def within(seconds: float, work: list[Coroutine[None, None, None]]) -> None:
    """As much of it as is done by then; what fails, fails alone."""
    tasks = [asyncio.create_task(each) for each in work]
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    READ.labels("late").inc(len(late))
    for failed in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(failed, Exception):
            log.error("failed", exc_info=failed)


main = function(collect_usage, Cluster, Reader, Brokers, Rounds, at_once=1)
