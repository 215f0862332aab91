"""How fast it is, beside plain Helm in the same run: `make bench` (N=50), `python -m tests.bench --help`.

The last line is one line of JSON; its keys are fixed. Times are seconds, memory is MB (10^6 bytes), cpu_s is CPU
time of each process (its ended children, such as Helm, included) while the N instances became ready.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from knative.local.layout import REPOSITORY, SOURCES
from knative.local.processes import function_processes
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.resources import NAMESPACES, Resource
from tests import ledger_bench
from tests.e2e.world import World, conditions, is_ready
from tests.ports import free_range
from tests.registration import OFFERINGS, SHAPES, registration
from tests.tick_bench import tick

CHART = REPOSITORY / "examples/charts/small"
AT_ONCE = 2
SINGLES = 9
IDLE_SECONDS = 20
SETTLE_SECONDS = 5
READINGS = 360_000
TICKS = os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS


def rss_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_of(stack: Stack) -> dict[str, int]:
    """Of our processes and the API server."""
    watched = ours(stack) | {name: pid for name, pid in processes(stack).items() if name == "apiserver"}
    return {name: rss_of(pid) for name, pid in watched.items()}


def processes(stack: Stack) -> dict[str, int]:
    return {process["name"]: process["pid"] for process in stack.status() if process["pid"]}


def cpu(stack: Stack) -> dict[str, float]:
    return {name: cpu_of(pid) for name, pid in processes(stack).items()}


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: round(after[name] - before[name], 2) for name in after if name in before}


def ours(stack: Stack) -> dict[str, int]:
    names = {*function_processes(each=stack.each), *SOURCES}
    return {name: pid for name, pid in processes(stack).items() if name in names}


async def requests(cluster: Cluster) -> float:
    """Every request the API server answered, watches left out: they are as long as the run."""
    text = await cluster.text("/metrics")
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "apiserver_request"
        for sample in family.samples
        if sample.name == "apiserver_request_total" and sample.labels["verb"] != "WATCH"
    )


async def helm(stack: Stack, name: str, namespace: str) -> float:
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(str(stack.layout.bin / "helm"), "install", name, str(CHART), "--namespace", namespace),
        "--disable-openapi-validation",
        env={**os.environ, "KUBECONFIG": str(stack.layout.kubeconfig)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait():
        raise RuntimeError(f"helm install {name} failed")
    return time.perf_counter() - started


async def plain_helm(stack: Stack, cluster: Cluster, n: int) -> float:
    """N installs, two at a time, into ready-made namespaces, until every Deployment is available."""
    names = [f"plain-{number}" for number in range(n)]
    for name in names:
        await cluster.apply(NAMESPACES, {"metadata": {"name": name}}, "bench")
    await asyncio.sleep(SETTLE_SECONDS)
    slots = asyncio.Semaphore(AT_ONCE)

    async def install(name: str) -> None:
        async with slots:
            await helm(stack, name, name)

    started = time.perf_counter()
    await asyncio.gather(*[install(name) for name in names])
    while not await available(cluster, names):  # noqa: ASYNC110 - each look is a request
        await asyncio.sleep(0.05)
    took = time.perf_counter() - started
    await asyncio.gather(*[cluster.delete(NAMESPACES, name) for name in names])
    await nothing_of(cluster, "plain-")
    return took


async def available(cluster: Cluster, names: list[str]) -> bool:
    deployments = (await cluster.list(Resource("apps", "v1", "deployments", "Deployment"), cached=True))["items"]
    up = {
        each["metadata"]["namespace"]
        for each in deployments
        if each.get("status", {}).get("availableReplicas", 0) >= each["spec"]["replicas"]
    }
    return set(names) <= up


async def nothing_of(cluster: Cluster, prefix: str) -> None:
    while True:
        found = (await cluster.list(NAMESPACES, metadata_only=True))["items"]
        if not any(each["metadata"]["name"].startswith(prefix) for each in found):
            return
        await asyncio.sleep(0.5)


@contextmanager
def step(title: str) -> Iterator[None]:
    say(f"{title} ...")
    started = time.perf_counter()
    yield
    say(f"  {time.perf_counter() - started:.1f} s")


async def order(world: World, names: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """All at once; for each the seconds from its apply to Deployed and to Ready, as a watch saw them."""
    kind = world.kind("Small")
    # A kind that was published just now may be answered with "storage is (re)initializing".
    listed = await world.eventually(partial(world.cluster.list, kind, metadata_only=True), f"{kind.plural} are served")
    version = listed["metadata"]["resourceVersion"]
    applied: dict[str, float] = {}
    deployed: dict[str, float] = {}
    ready: dict[str, float] = {}

    async def seen() -> None:
        async with world.cluster.watch(kind, version) as changes:
            async for _, found in changes:
                name, now = found["metadata"]["name"], time.perf_counter()
                if name in applied and conditions(found).get("Deployed", {}).get("status") == "True":
                    deployed.setdefault(name, now - applied[name])
                if name in applied and is_ready(found):
                    ready.setdefault(name, now - applied[name])
                if len(ready) == len(names):
                    return

    async def apply(name: str) -> None:
        applied[name] = time.perf_counter()
        await world.order("Small", name, message=name)

    watching = asyncio.create_task(seen())
    await asyncio.sleep(0.2)
    await asyncio.gather(*[apply(name) for name in names])
    await asyncio.wait_for(watching, 600)
    first = min(applied.values())
    return deployed, {name: took + applied[name] - first for name, took in ready.items()}


async def remove(world: World, names: list[str]) -> None:
    await asyncio.gather(*[world.delete("Small", name) for name in names])
    while (await world.cluster.list(world.kind("Small"), metadata_only=True))["items"]:  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.5)
    await asyncio.sleep(SETTLE_SECONDS)


async def measure(stack: Stack, n: int) -> dict[str, Any]:
    cluster = await Cluster.open(str(stack.layout.kubeconfig))
    world = World(stack, cluster)
    await world.open()
    await world.offered("Small", "small", parameters=[{"path": "message"}])
    with step("one instance, to warm up"):
        await order(world, ["warm"])
        await remove(world, ["warm"])
    with step(f"{SINGLES} single instances on an idle stack, and Helm alone beside each"):
        over = []
        for number in range(SINGLES):
            alone = f"alone-{number}"
            await cluster.apply(NAMESPACES, {"metadata": {"name": alone}}, "bench")
            await asyncio.sleep(1)
            by_helm = await helm(stack, alone, alone)
            deployed, _ = await order(world, [f"single-{number}"])
            over.append(deployed[f"single-{number}"] - by_helm)
            await cluster.delete(NAMESPACES, alone)
        await remove(world, [f"single-{number}" for number in range(SINGLES)])
        await nothing_of(cluster, "alone-")
    with step(f"plain Helm, {n} releases, {AT_ONCE} at a time"):
        helm_s = await plain_helm(stack, cluster, n)
        await asyncio.sleep(SETTLE_SECONDS)
    with step(f"{n} instances at once"):
        asked, before = await requests(cluster), cpu(stack)
        deployed, ready = await order(world, [f"i-{number}" for number in range(n)])
        after, answered = cpu(stack), await requests(cluster)
    with step(f"idle for {IDLE_SECONDS} s"):
        await asyncio.sleep(SETTLE_SECONDS)
        resting = {name: cpu_of(pid) for name, pid in ours(stack).items()}
        await asyncio.sleep(IDLE_SECONDS)
        rested = {name: cpu_of(pid) for name, pid in ours(stack).items()}
        memory = sum(rss_of(pid) for pid in ours(stack).values())
    await remove(world, [f"i-{number}" for number in range(n)])
    with step(f"{len(SHAPES)} large charts, then {OFFERINGS} Offerings"):
        registered = await registration(world, stack, partial(memory_of, stack))
    await cluster.close()
    all_ready = max(ready.values())
    return {
        "n": n,
        "all_ready_s": round(all_ready, 2),
        "helm_s": round(helm_s, 2),
        "ratio_to_helm": round(all_ready / helm_s, 2),
        "deployed_p50_s": round(statistics.median(deployed.values()), 2),
        "deployed_p95_s": round(statistics.quantiles(deployed.values(), n=20)[-1], 2),
        "single_over_helm_s": round(statistics.median(over), 3),
        "cpu_s": spent(before, after),
        "requests_per_instance": round((answered - asked) / n, 1),
        "idle_cpu_pct": round(sum(spent(resting, rested).values()) / IDLE_SECONDS * 100, 2),
        "rss_mb": round(memory / 1e6),
        "registration": registered,
    }


def metering(readings: int) -> dict[str, Any]:
    with step("ticks of metering"):
        ticked = tick(lambda stack: sum(cpu_of(pid) for pid in ours(stack).values()))
    with step(f"a ledger with {readings} readings"):
        found = ledger_bench.both(readings)
    return {
        **ticked,
        "readings_per_s": min(each["readings_per_s"] for each in found.values()),
        "invoice_s": max(each["invoice_s"] for each in found.values()),
        "ledger": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("-n", type=int, default=int(os.environ.get("N", "50")), help="instances (default: $N or 50)")
    parser.add_argument("--readings", type=int, default=int(os.environ.get("LEDGER", READINGS)), help="in the ledger")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chandlery-bench-") as folder:
        stack = Stack(Path(folder) / "stack", free_range())
        stack.up()
        try:
            found = asyncio.run(measure(stack, arguments.n))
        finally:
            stack.down()
    print(json.dumps(found | metering(arguments.readings)))


if __name__ == "__main__":
    main()
