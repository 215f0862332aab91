"""Known consumption in, exactly that out: a real API server, stand-in kubelets behind its proxy, a real ledger."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from events.readings import (
    CPU,
    INSTANCE_PRESENT,
    MEMORY,
    NETWORK_TRANSMITTED,
    VOLUME_CAPACITY,
    VOLUME_USED,
)
from events.ticks import Ticked
from events.usage import UsageMeasured
from functions.close_windows import close_windows
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.metering.ledger import Ledger
from shared.resources import PODS
from tests.e2e.metering import TICK, Site, disturbed, persist, site_of, until
from tests.e2e.world import World
from tests.kubelet import Kubelet
from tests.shared.metering import stats
from tests.shared.metering.databases import Postgres

TICKS = 24
SECONDS = TICKS * TICK
MIB = 1 << 20


@pytest.fixture
async def site(cluster: Cluster, stack: Stack) -> AsyncIterator[Site]:
    async with site_of(cluster, stack.layout.certificates) as found:
        yield found


async def run(site: Site, after: Callable[[int], Any] = lambda _: None) -> None:
    """A pod that uses half a core and 10 MiB, sends 1 KiB a second, and has its sandbox made anew half way."""
    kubelet = await site.kubelet()
    uid = await site.pod("orders-0", kubelet)
    for tick in range(1, TICKS + 1):
        second = tick * TICK
        began = 0 if tick <= TICKS // 2 else TICKS // 2 * TICK
        sent = (second - began) * 1024
        told = site.stats(second, uid, "orders-0", second * 5 * 10**8, 10 * MIB, sent, began=began)
        kubelet.summary = {"pods": [told]}
        await site.tick()
        if dead := after(tick):
            await dead


USED = {
    CPU: (SECONDS * 5 * 10**8, 0),
    MEMORY: (SECONDS * 1000 * 10 * MIB, 0),
    NETWORK_TRANSMITTED: (SECONDS * 1024, 0),
}


async def assert_used(site: Site, ledger: Ledger, expected: dict[str, tuple[int, int]]) -> None:
    used = await site.used(ledger)
    assert {metric: used.get(metric) for metric in expected} == expected


async def test_known_consumption_comes_out_however_its_events_are_disturbed(site: Site, ledger: Ledger) -> None:
    await run(site)
    told = [each for each in site.measured() if each.readings]
    await site.deliver(ledger, disturbed(told, 1))
    await assert_used(site, ledger, USED)
    await ledger.materialise()
    await site.deliver(ledger, disturbed(told, 2))
    await ledger.materialise()
    await assert_used(site, ledger, USED)


async def test_ticks_that_were_missed_lose_nothing(site: Site, ledger: Ledger) -> None:
    """Four in a row, which is no gap yet; before a sandbox goes there must have been one."""
    await run(site)
    node = [each for each in site.measured() if each.origin.startswith("node/")]
    kept = [each for tick, each in enumerate(node, 1) if tick % 4 == 0]
    await site.deliver(ledger, kept)
    await assert_used(site, ledger, USED)


async def test_a_tick_that_comes_twice_is_the_same_event(site: Site) -> None:
    await run(site, lambda tick: site.tick() if tick % 3 == 0 else None)
    ids = [each["id"] for each in site.sink.taken if each.data["origin"] == f"node/{site.kubelets[0].node}"]
    assert (len(ids), len(set(ids))) == (TICKS + TICKS // 3, TICKS)


async def test_a_collector_killed_between_reading_and_sending_loses_nothing(site: Site, ledger: Ledger) -> None:
    async def killed(tick: int) -> None:
        """One that has read the next tick, and takes it to its grave."""
        if tick % 5 != 1:
            return
        read = asyncio.Event()

        async def told() -> None:
            read.set()
            await asyncio.sleep(0.01)

        site.kubelets[0].before = told
        dying = asyncio.create_task(site.tick())
        await asyncio.wait_for(read.wait(), 10)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        site.kubelets[0].before = None
        site.collector_dies()

    await run(site, killed)
    await site.deliver(ledger)
    await assert_used(site, ledger, USED)


async def test_what_no_broker_took_is_told_in_the_next_round(site: Site, ledger: Ledger) -> None:
    def away(tick: int) -> None:
        site.sink.willing = not 6 <= tick <= 15

    await run(site, away)
    assert not site.rounds.unsent
    await site.deliver(ledger)
    await assert_used(site, ledger, USED)


async def test_a_database_that_is_down_for_ten_ticks_loses_nothing(
    site: Site,
    postgres: Postgres,
) -> None:
    async with AsyncExitStack() as last:
        folder = last.enter_context(TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True))
        Path(folder).chmod(0o755)  # noqa: ASYNC240 -- a moment
        server = Postgres(postgres.programs, Path(folder) / "s")
        server.make()
        server.start()
        last.callback(server.stop)
        ledger = await Ledger.open(server.database())
        last.push_async_callback(ledger.close)
        recording: list[asyncio.Task[None]] = []
        site.sink.on_event = lambda event: (
            recording.append(asyncio.create_task(persist(ledger, UsageMeasured.model_validate(event.data))))
            if event["type"] == UsageMeasured.type
            else None
        )
        await run(site, lambda tick: server.stop() if tick == 6 else server.start() if tick == 16 else None)
        await asyncio.gather(*recording)
        await assert_used(site, ledger, USED)


async def test_a_pod_that_is_replaced_counts_to_its_end_and_the_next_from_its_start(site: Site, ledger: Ledger) -> None:
    kubelet = await site.kubelet()
    for number in range(3):
        name = f"orders-{number}"
        uid = await site.pod(name, kubelet)
        began = number * 300
        await site.status(name, startTime=stats.stamp(site.at(began)))
        for second in range(TICK, 300, TICK):
            told = site.stats(began + second, uid, name, second * 10**9, MIB, second, began=began)
            kubelet.summary = {"pods": [told]}
            await site.tick()
        kubelet.summary = {"pods": []}
        await site.cluster.delete(PODS, name, site.home)
        await until(partial(site.cluster.get, PODS, name, site.home), lambda found: found is None)
        await site.tick()
    await site.deliver(ledger)
    used = await site.used(ledger)
    assert used[CPU][0] == 3 * 270 * 10**9
    assert used[NETWORK_TRANSMITTED][0] == 3 * 270
    assert used[MEMORY][0] == 3 * 270 * 1000 * MIB
    gone = {each.name for event in site.measured() for each in event.subjects if each.ended and each.kind == "pod"}
    assert gone == {f"orders-{number}" for number in range(3)}


async def test_a_volume_counts_once_and_also_while_no_pod_runs(site: Site, ledger: Ledger) -> None:
    kubelets = [await site.kubelet(), await site.kubelet()]
    claim = await site.claim("data", "1Gi")
    await site.tick()
    for tick in (1, 2):
        for number, kubelet in enumerate(kubelets):
            volume = {"pvcRef": {"name": "data", "namespace": site.home}, "usedBytes": 7 * MIB}
            uid = f"pod-{number}-{site.id}"
            kubelet.summary = {"pods": [site.stats(tick * TICK, uid, f"p{number}", 0, 0, 0, volume=[volume])]}
        await site.tick()
    await site.deliver(ledger)
    used = await site.used(ledger)
    assert used[VOLUME_USED][0] == TICK * 1000 * 7 * MIB
    ours = [each for event in site.measured() for each in event.subjects if each.instance_uid == site.key.uid]
    assert {each.uid for each in ours if each.kind == "volume"} == {claim}
    read = [each for event in site.measured() for each in event.readings if each.subject == claim]
    assert [each.units for each in read if each.metric == VOLUME_CAPACITY] == [1 << 30] * 3
    assert used[INSTANCE_PRESENT][0] > 0


async def test_a_node_that_hangs_delays_nobody_and_the_next_tick_neither(site: Site) -> None:
    hanging, healthy = await site.kubelet(), await site.kubelet()
    uid = await site.pod("orders-0", healthy)
    healthy.summary = {"pods": [site.stats(TICK, uid, "orders-0", 7, 7, 7)]}
    hanging.hangs = True
    arrived: list[float] = []
    site.sink.on_event = lambda event: (
        arrived.append(time.monotonic()) if event.data["origin"] == f"node/{healthy.node}" else None
    )
    for _ in range(2):
        begun = time.monotonic()
        await site.tick(seconds=5)
        assert time.monotonic() - begun < 5
        assert arrived.pop() - begun < 2
    assert site.rounds.slow >= {hanging.node}
    assert healthy.node not in site.rounds.slow
    assert hanging.asked >= 2


async def test_hours_that_were_written_are_told_once_and_corrections_in_a_revision_more(
    site: Site, ledger: Ledger
) -> None:
    await run(site)
    told = site.measured()
    site.sink.taken.clear()
    await site.deliver(ledger, told[:-4])
    both = [close_windows(Ticked(seconds=30), ledger, site.brokers) for _ in range(2)]
    await asyncio.gather(*both)
    first = {(each["id"], each.data["revision"]) for each in site.sink.taken}
    assert {(each.start, each.revision) for each in site.recorded()} == {(site.start, 1)}
    await close_windows(Ticked(seconds=30), ledger, site.brokers)
    assert {(each["id"], each.data["revision"]) for each in site.sink.taken} == first
    await site.deliver(ledger, told)
    await close_windows(Ticked(seconds=30), ledger, site.brokers)
    last = max(site.recorded(), key=lambda each: each.revision)
    assert last.revision == 2
    assert {each.metric: each.amount for each in last.amounts}[CPU] == USED[CPU][0]


@dataclass
class Metered:
    """An instance whose pods run on a node with a stand-in kubelet, metered by the stack itself."""

    world: World
    kubelet: Kubelet
    uid: str
    home: str

    async def used_so_far(self, cpu: int) -> list[str]:
        """From now on its kubelet says that each pod has used so much; their uids."""
        found = (await self.world.cluster.list(PODS, self.home))["items"]
        now = datetime.now(UTC)
        self.kubelet.summary = {"pods": [says(each, now, cpu) for each in found]}
        return [each["metadata"]["uid"] for each in found]

    async def ledger(self) -> dict[str, int]:
        async with asyncio.timeout(30):
            ledger = await Ledger.open(f"sqlite+aiosqlite:///{self.world.stack.layout.ledger}")
        now = datetime.now(UTC)
        start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        found = await ledger.usage(start, start + timedelta(hours=3), {"instance_uid": [self.uid]}, live=now)
        await ledger.close()
        assert {each.tenure.consumer_namespace for each in found} <= {self.world.namespace}
        return {each.metric: each.amount for each in found}


def says(pod: dict[str, Any], now: datetime, cpu: int) -> dict[str, Any]:
    metadata = pod["metadata"]
    began = datetime.fromisoformat(pod["status"]["startTime"])
    found = stats.stats(uid=metadata["uid"], name=metadata["name"], home=metadata["namespace"])
    time = stats.stamp(now)
    found["startTime"] = stats.stamp(began)
    found["cpu"] = {"time": time, "usageCoreNanoSeconds": cpu}
    found["memory"] = {"time": time, "workingSetBytes": MIB}
    found["network"], found["ephemeral-storage"] = {}, {}
    return found


@pytest.fixture
async def metered(world: World, tmp_path: Path) -> AsyncIterator[Metered]:
    kubelet = await Kubelet(f"kubelet-{world.id}").start(world.stack.layout.certificates)
    await kubelet.join(world.cluster, schedulable=True)
    pods = {
        "nodeSelector": {"kubernetes.io/hostname": kubelet.node},
        "tolerations": [{"key": "stand-in", "operator": "Exists"}],
    }
    await world.offered("Small", "small", policies={"pods": pods}, plans=[{"name": "tiny"}])
    await world.order("Small", "one")
    ready = await world.ready("Small", "one")
    yield Metered(world, kubelet, ready["metadata"]["uid"], ready["status"]["release"]["namespace"])
    await kubelet.leave(world.cluster)
    await kubelet.stop()


async def test_an_instance_deleted_between_ticks_has_its_last_reading_in_the_ledger(metered: Metered) -> None:
    world = metered.world
    pods = await metered.used_so_far(10**9)

    async def read() -> bool:
        return (await metered.ledger()).get(CPU) == len(pods) * 10**9

    await world.eventually(read, "a tick has read it", metered.ledger)
    await metered.used_so_far(5 * 10**9)
    begun = datetime.now(UTC)
    await world.delete("Small", "one")
    await world.gone("Small", "one", metered.uid)

    async def told() -> bool:
        return (await metered.ledger()).get(CPU) == len(pods) * 5 * 10**9

    await world.eventually(told, "the last reading is in the ledger", metered.ledger)
    used = await metered.ledger()
    assert used[INSTANCE_PRESENT] > 0
    assert (datetime.now(UTC) - begun).total_seconds() < 60


async def test_a_kubelet_that_does_not_answer_does_not_stop_a_removal(metered: Metered) -> None:
    metered.kubelet.hangs = True
    await metered.world.delete("Small", "one")
    await metered.world.gone("Small", "one", metered.uid)
    assert metered.kubelet.asked
