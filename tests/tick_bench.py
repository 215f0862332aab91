"""What one tick of metering costs: `python -m tests.tick_bench`; the last line is JSON.

100 instances of 3 pods and a volume each, on 10 nodes with stand-in kubelets. The tick goes to the real Broker; it is
over when its readings are in the ledger and our processes are at rest. Requests are the lists and the kubelets' answers
that it asked the API server for (kwok's own node is asked, too, and has none), bytes what came back. The clocks stand
still meanwhile.
"""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from events.base import InstanceKey
from events.ticks import Ticked
from knative.local.layout import Layout
from knative.local.stack import Stack
from shared import ownership
from shared.brokers import Brokers
from shared.cluster import Cluster
from shared.function import envelope_of
from shared.resources import CLAIMS, NAMESPACES, PODS, SYSTEM_NAMESPACE, Resource
from tests.builders import KEY
from tests.kubelet import Kubelet
from tests.ports import free_range
from tests.shared.metering import stats

Object = dict[str, Any]

INSTANCES, PODS_EACH, NODES = 100, 3, 10
TICKS = 7
SETTLE_SECONDS, REST_SECONDS, PATIENCE = 5.0, 1.5, 120.0
AT_REST = 0.04
"""Seconds of CPU in that time: what our processes take that do nothing."""
AT_ONCE = 16
CLOCKS = Resource("sources.knative.dev", "v1", "pingsources", "PingSource")
NEVER = "0 0 29 2 *"
TICK_SECONDS = 30


def key(number: int) -> InstanceKey:
    return KEY.model_copy(update={"uid": f"uid-{number}", "name": f"orders-{number}"})


def home(number: int) -> str:
    return f"ticked-{number}"


def says(pod: Object, now: datetime, tick: int) -> Object:
    """As much as a kubelet says of a pod with one container."""
    metadata, at = pod["metadata"], stats.stamp(now)
    uid, name, namespace = metadata["uid"], metadata["name"], metadata["namespace"]
    cpu = {"time": at, "usageNanoCores": 1_234_567, "usageCoreNanoSeconds": 10**10 + tick * 10**8}
    memory = {"time": at, "usageBytes": 3 << 25, "workingSetBytes": 2 << 25, "rssBytes": 1 << 25, "pageFaults": 1234}
    disk = {"time": at, "availableBytes": 10**11, "capacityBytes": 10**12, "usedBytes": 40960, "inodesUsed": 9}
    interface = {"name": "eth0", "rxBytes": 10**6 + tick, "rxErrors": 0, "txBytes": 10**6 + tick, "txErrors": 0}
    container = {"name": "app", "startTime": at, "cpu": cpu, "memory": memory, "rootfs": disk, "logs": disk}
    found = stats.stats(uid=uid, name=name, home=namespace, containers=[container], cpu=cpu, memory=memory)
    found["startTime"] = pod["status"]["startTime"]
    found["network"] = {"time": at, **interface, "interfaces": [interface]}
    found["ephemeral-storage"] = disk
    found["process_stats"] = {"process_count": 3}
    if name.endswith("-0"):
        found["volume"] = [{**disk, "name": "data", "pvcRef": {"name": "data", "namespace": namespace}}]
    return found


def summary(node: str, pods: Iterable[Object], now: datetime, tick: int) -> Object:
    found = stats.summary(*[says(each, now, tick) for each in pods if each["spec"]["nodeName"] == node])
    at = stats.stamp(now)
    found["node"]["cpu"]["time"] = found["node"]["memory"]["time"] = at
    return found


async def all_of(work: Iterable[Callable[[], Awaitable[object]]]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(do: Callable[[], Awaitable[object]]) -> None:
        async with slots:
            await do()

    await asyncio.gather(*[one(do) for do in work])


async def releases(cluster: Cluster, nodes: list[str]) -> None:
    """Made by hand: what is measured reads only what a release leaves behind."""

    async def namespace(number: int) -> None:
        notes = ownership.annotations(key(number)) | {ownership.PLAN: "small"}
        labels = ownership.labels(key(number))
        await cluster.create(NAMESPACES, {"metadata": {"name": home(number), "labels": labels, "annotations": notes}})

    async def filled(number: int) -> None:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        await cluster.create(CLAIMS, {"metadata": {"name": "data", "namespace": home(number)}, "spec": spec})
        for pod in range(PODS_EACH):
            await cluster.create(PODS, body(number, pod, nodes[(number * PODS_EACH + pod) % len(nodes)]))

    numbers = range(INSTANCES)
    await all_of([partial(namespace, number) for number in numbers])
    await asyncio.sleep(SETTLE_SECONDS)  # until each has its service account
    await all_of([partial(filled, number) for number in numbers])


def body(number: int, pod: int, node: str) -> Object:
    asked = {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
    container = {"name": "app", "image": "none", "resources": asked}
    spec = {"nodeName": node, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    return {"metadata": {"name": f"orders-{pod}", "namespace": home(number)}, "spec": spec}


def is_ours(pod: Object) -> bool:
    return str(pod["metadata"]["namespace"]).startswith("ticked-")


async def ready(cluster: Cluster) -> list[Object]:
    """All pods, once they run, and all volumes are bound."""
    async with asyncio.timeout(PATIENCE):
        while True:
            pods = [
                each for each in (await cluster.list(PODS))["items"] if is_ours(each) and "startTime" in each["status"]
            ]
            claims = [each for each in (await cluster.list(CLAIMS))["items"] if each["status"]["phase"] == "Bound"]
            if (len(pods), len(claims)) == (INSTANCES * PODS_EACH, INSTANCES):
                return pods
            await asyncio.sleep(0.5)


async def stop_clocks(cluster: Cluster) -> None:
    stop = [{"op": "replace", "path": "/spec/schedule", "value": NEVER}]
    for clock in (await cluster.list(CLOCKS, SYSTEM_NAMESPACE))["items"]:
        await cluster.patch(CLOCKS, clock["metadata"]["name"], stop, SYSTEM_NAMESPACE)


async def asked(cluster: Cluster) -> tuple[float, float]:
    """Lists and proxied calls so far, and the bytes of the lists."""
    count = size = 0.0
    for family in text_string_to_metric_families(await cluster.text("/metrics")):
        for sample in family.samples:
            proxied = sample.labels.get("subresource", "") in ("proxy", "nodes/proxy")
            if sample.name == "apiserver_request_total" and (sample.labels["verb"] == "LIST" or proxied):
                count += sample.value
            if sample.name == "apiserver_response_sizes_sum" and sample.labels["verb"] == "LIST":
                size += sample.value
    return count, size


class Recorded:
    """How many readings the stack's ledger has: asked beside our processes, so that it costs them nothing."""

    def __init__(self, layout: Layout) -> None:
        self._url = f"file:{layout.ledger}?mode=ro"

    def count(self) -> int:
        """None in a ledger that isn't made yet."""
        try:
            with closing(sqlite3.connect(self._url, uri=True)) as connection:
                return int(connection.execute("SELECT count(*) FROM readings").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    async def reaches(self, wanted: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.count() < wanted:  # noqa: ASYNC110 -- each look is a query
                await asyncio.sleep(0.02)


async def at_rest(cpu: Callable[[], float]) -> float:
    """The CPU spent so far, once next to none is added to it."""
    async with asyncio.timeout(PATIENCE):
        before = cpu()
        while True:
            await asyncio.sleep(REST_SECONDS)
            after = cpu()
            if after - before < AT_REST:
                return after
            before = after


@dataclass
class Site:
    cluster: Cluster
    kubelets: list[Kubelet]
    pods: list[Object]
    brokers: Brokers
    recorded: Recorded
    cpu: Callable[[], float]

    def say(self, number: int) -> int:
        """What all kubelets answer from now on; its size."""
        now = datetime.now(UTC)
        for kubelet in self.kubelets:
            kubelet.summary = summary(kubelet.node, self.pods, now, number)
        return sum(len(json.dumps(kubelet.summary)) for kubelet in self.kubelets)

    async def tick(self, number: int, expected: int) -> Object:
        said, had = self.say(number), self.recorded.count()
        (count, size), before = await asked(self.cluster), await at_rest(self.cpu)
        started = time.perf_counter()
        await self.brokers.send("usage", envelope_of(Ticked(seconds=TICK_SECONDS), "/bench", str(uuid4())))
        await self.recorded.reaches(had + expected)
        took = time.perf_counter() - started
        after = await at_rest(self.cpu)
        counted, sized = await asked(self.cluster)
        return {
            "cpu_s": after - before,
            "s": took,
            "requests": counted - count,
            "bytes": sized - size + said,
            "readings": self.recorded.count() - had,
        }

    async def measured(self) -> Object:
        """Medians of several. The first makes every series known, and says how many readings a tick has."""
        first = await self.tick(0, 1)
        ticks = [await self.tick(number, first["readings"]) for number in range(1, TICKS + 1)]
        return {name: statistics.median(tick[name] for tick in ticks) for name in first}


async def measured(stack: Stack, cpu: Callable[[], float]) -> Object:
    cluster = await Cluster.open(str(stack.layout.kubeconfig))
    kubelets = [await Kubelet(f"ticked-{number}").start(stack.layout.certificates) for number in range(NODES)]
    address = f"http://{stack.layout.address('ingress')}/{SYSTEM_NAMESPACE}/usage"
    try:
        await stop_clocks(cluster)
        for kubelet in kubelets:
            await kubelet.join(cluster)
        await releases(cluster, [kubelet.node for kubelet in kubelets])
        pods = await ready(cluster)
        async with aiohttp.ClientSession() as session:
            brokers = Brokers(cluster, session, {"usage": address})
            return await Site(cluster, kubelets, pods, brokers, Recorded(stack.layout), cpu).measured()
    finally:
        for kubelet in kubelets:
            await kubelet.stop()
        await cluster.close()


def rounded(found: Object) -> Object:
    """As they stand in the bench's line."""
    counts = {name: round(found[name]) for name in ("requests", "bytes", "readings")}
    return {"tick_cpu_s": round(found["cpu_s"], 2), "tick": {"s": round(found["s"], 2), **counts}}


def tick(cpu_of: Callable[[Stack], float]) -> Object:
    """On a stack of its own: what it makes would stand in the way of the other measurements."""
    with tempfile.TemporaryDirectory(prefix="chandlery-tick-") as folder:
        stack = Stack(Path(folder) / "stack", free_range())
        stack.up()
        try:
            return rounded(asyncio.run(measured(stack, lambda: cpu_of(stack))))
        finally:
            stack.down()


if __name__ == "__main__":
    from tests.bench import cpu_of, ours  # which needs this module

    print(json.dumps(tick(lambda stack: sum(cpu_of(pid) for pid in ours(stack).values()))))
