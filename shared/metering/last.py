"""The last reading of an instance, right before it is taken down: what no tick would see any more."""

import asyncio
from datetime import UTC, datetime

import structlog

from shared.brokers import Brokers
from shared.cluster import Cluster, Object
from shared.errors import ApiError, RetryLater
from shared.function import envelope_of
from shared.metering.custom import targets
from shared.metering.measured import Measured, events
from shared.metering.owners import Owner
from shared.metering.reader import Reader, running_on
from shared.metering.summary import by_name, of_cluster, of_instance, of_node
from shared.resources import CLAIMS, PODS

SECONDS = 5.0

log = structlog.get_logger()


async def last_reading(home: Object, cluster: Cluster, reader: Reader, brokers: Brokers) -> None:
    """Returns when the Broker has it; RetryLater when it has not. A node that doesn't answer leaves a gap."""
    owners = await reader.owners([home])
    namespace = home["metadata"]["name"]
    owner = owners.get(namespace)
    if owner is None:
        return
    pods, claims = [(await cluster.list(kind, namespace, cached=True))["items"] for kind in (PODS, CLAIMS)]
    now = datetime.now(UTC)
    found = of_cluster(owners, claims, now)
    named, on = by_name(claims), running_on(pods, owners)

    async def node(name: str, its: list[Object]) -> Measured:
        return of_node(name, await reader.summary(name, SECONDS), its, owners, named)

    asked = [node(name, its) for name, its in on.items()]
    asked += [reader.custom(target, owner) for pod in pods for target in targets(pod, owner)]
    for part in await answers(asked, owner):
        found.add(part)
    close(found, owner, datetime.now(UTC))
    for identity, said in events(f"instance/{owner.instance_uid}", found):
        await brokers.send("usage", envelope_of(said, "/chandlery/remove_release", identity))


async def answers(asked: list, owner: Owner) -> list[Measured]:  # type: ignore[type-arg]
    """Those that came in time."""
    tasks = [asyncio.create_task(each) for each in asked]
    if not tasks:
        return []
    done, late = await asyncio.wait(tasks, timeout=SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found = []
    for task in done:
        error = task.exception()
        if error is None:
            found.append(task.result())
        elif not isinstance(error, RetryLater | ApiError):
            raise error
    if len(found) < len(tasks):
        log.warning("last reading lacks a node or a pod", instance=owner.instance, of=len(tasks), read=len(found))
    return found


def close(found: Measured, owner: Owner, now: datetime) -> None:
    """Whoever was read is told to be gone; the instance even if nothing of it was."""
    found.subjects = [
        each.model_copy(update={"ended": True, "seen_last": max(each.seen_last, now)}) for each in found.subjects
    ]
    if not any(each.kind == "instance" for each in found.subjects):
        found.tell(**of_instance(owner, now, ended=True))
