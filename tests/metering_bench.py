"""What a tick of metering costs: 100 instances of 3 pods on 10 nodes, each with a kubelet that answers."""

import asyncio
import contextlib
import json
import statistics
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import aiohttp
from cloudevents.conversion import to_binary

from events.base import InstanceKey, event_id
from events.ticks import Ticked
from knative.local.stack import Stack
from shared import ownership
from shared.cluster import Cluster, Object
from shared.function import envelope_of
from shared.metering.ledger import Ledger
from shared.resources import NAMESPACES, PODS
from tests.kubelet import Kubelet
from tests.shared.metering import stats

INSTANCES, PODS_EACH, NODES, TICKS = 100, 3, 10, 5
SETTLE_SECONDS = 8

Measure = Callable[[], Coroutine[Any, Any, tuple[float, float]]]
"""CPU seconds of all our processes so far, and requests that the API server has answered."""


async def tick(stack: Stack, cluster: Cluster, offering: str, measure: Measure) -> dict[str, float]:
    """Medians; what the stack does anyway in the same time is taken off."""
    kubelets = [await Kubelet(f"bench-{number}").start(stack.layout.certificates) for number in range(NODES)]
    for kubelet in kubelets:
        await kubelet.join(cluster)
    pods = await populate(cluster, offering, kubelets)
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{stack.layout.ledger}")
    await asyncio.sleep(3 * SETTLE_SECONDS)  # pods start, and the sources hear of it
    idle = await spent(measure, lambda: asyncio.sleep(0))
    costs, sizes, read = [], [], []
    for number in range(TICKS):
        for kubelet in kubelets:
            kubelet.summary = stats.summary(*[says(pod, number) for pod in pods[kubelet.node]])
        before = await count(ledger)
        costs.append(await spent(measure, lambda number=number: post(stack, number)))  # type: ignore[misc]
        sizes.append(sum(len(json.dumps(kubelet.summary)) for kubelet in kubelets))
        read.append(await count(ledger) - before)
    await ledger.close()
    for kubelet in kubelets:
        await kubelet.leave(cluster)
        await kubelet.stop()
    return {
        "cpu_s": round(statistics.median(cost[0] - idle[0] for cost in costs), 3),
        "requests": round(statistics.median(cost[1] - idle[1] for cost in costs)),
        "bytes": round(statistics.median(sizes)),
        "readings": round(statistics.median(read)),
    }


async def spent(measure: Measure, work: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[float, float]:
    before = await measure()
    await work()
    await asyncio.sleep(SETTLE_SECONDS)
    after = await measure()
    return after[0] - before[0], after[1] - before[1]


async def populate(cluster: Cluster, offering: str, kubelets: list[Kubelet]) -> dict[str, list[Object]]:
    """Release namespaces and pods as instances would leave them; by node."""
    made: dict[str, list[Object]] = {kubelet.node: [] for kubelet in kubelets}

    async def one(number: int) -> None:
        key = InstanceKey(
            offering=offering,
            group="bench.example.com",
            version="v1",
            plural="benches",
            kind="Bench",
            namespace="bench",
            name=f"i-{number}",
            uid=f"bench-{number}",
        )
        home = f"metered-{number}"
        metadata = {"name": home, "labels": ownership.labels(key), "annotations": ownership.annotations(key)}
        await cluster.create(NAMESPACES, {"metadata": metadata})
        for each in range(PODS_EACH):
            kubelet = kubelets[(number * PODS_EACH + each) % len(kubelets)]
            container = {"name": "app", "image": "none", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
            spec = {"nodeName": kubelet.node, "tolerations": [{"operator": "Exists"}], "containers": [container]}
            body = {"metadata": {"name": f"pod-{each}", "namespace": home}, "spec": spec}
            made[kubelet.node].append(await cluster.create(PODS, body))

    await asyncio.gather(*[one(number) for number in range(INSTANCES)])
    return made


def says(pod: Object, number: int) -> Object:
    metadata, now = pod["metadata"], stats.stamp(datetime.now(UTC))
    found = stats.stats(uid=metadata["uid"], name=metadata["name"], home=metadata["namespace"])
    for part in ("cpu", "memory", "network", "ephemeral-storage"):
        found[part]["time"] = now
    found["startTime"] = metadata["creationTimestamp"]
    found["cpu"]["usageCoreNanoSeconds"] = (number + 1) * 10**9
    return found


async def count(ledger: Ledger) -> int:
    return await ledger.readings()


async def post(stack: Stack, number: int) -> None:
    said = Ticked(seconds=30)
    headers, body = to_binary(envelope_of(said, "/chandlery/bench", event_id("bench", number)))
    url = f"http://{stack.layout.address('ingress')}/chandlery/usage"
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientError):
            await session.post(url, data=body, headers=headers)
