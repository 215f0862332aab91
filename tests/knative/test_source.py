"""The source as a process: elections, probes, and its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from events.offerings import OfferingApplied
from knative.leader import LEASE, Lock, lead
from shared.cluster import Cluster
from shared.resources import LEASES, SYSTEM_NAMESPACE
from tests.knative.conftest import ControlPlane, Recorder
from tests.knative.kinds import make_offering
from tests.ports import free_port


class Process:
    def __init__(self, running: asyncio.subprocess.Process, port: int) -> None:
        self.running = running
        self._url = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self._url + path) as response:
            return response.status, await response.text()

    async def ready(self) -> None:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if (await self.get("/readyz"))[0] == 200:
                        return
                await asyncio.sleep(0.05)

    async def metrics_with(self, line: str) -> str:
        """Once they have it."""
        async with asyncio.timeout(30):
            while line not in (found := (await self.get("/metrics"))[1]):  # noqa: ASYNC110 -- each look is a request
                await asyncio.sleep(0.05)
        return found

    async def leads(self) -> bool:
        return "chandlery_source_leader 1.0" in (await self.get("/metrics"))[1]

    async def ended(self, how: signal.Signals) -> int:
        self.running.send_signal(how)
        async with asyncio.timeout(15):
            return await self.running.wait()


Start = Callable[[], contextlib.AbstractAsyncContextManager[Process]]


@pytest.fixture
def start(control_plane: ControlPlane, sink: Recorder) -> Start:
    @contextlib.asynccontextmanager
    async def started() -> AsyncIterator[Process]:
        port = free_port()
        environment = {
            **os.environ,
            "K_SINK": sink.url,
            "K_CE_OVERRIDES": '{"extensions": {"region": "here"}}',
            "KUBECONFIG": str(control_plane.layout.kubeconfig_of("offerings-source")),
        }
        command = [sys.executable, "-m", "knative.source", "offerings", f"--port={port}"]
        running = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            yield Process(running, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()

    return started


async def holder(admin: Cluster) -> str | None:
    lease = await admin.get(LEASES, "offerings-source", SYSTEM_NAMESPACE)
    return lease["spec"].get("holderIdentity") if lease else None


async def test_a_spare_takes_over_at_once_from_one_that_stops_and_after_a_while_from_one_that_dies(
    admin: Cluster, start: Start, sink: Recorder, name: str
) -> None:
    told = OfferingApplied(offering=await make_offering(admin, name), generation=1)

    def count() -> int:
        return [each.event for each in sink.taken].count(told)

    async with start() as first:
        await first.ready()
        await sink.hears(told)
        assert await first.leads()
        async with start() as second, start() as third:
            for spare in (second, third):
                await spare.ready()
                assert not await spare.leads()
            assert count() == 1
            await first.ended(signal.SIGTERM)
            await sink.until(lambda: count() == 2, limit=10)
            heir, spare = (second, third) if await second.leads() else (third, second)
            await heir.ended(signal.SIGKILL)
            await sink.until(lambda: count() == 3, limit=30)
            assert await spare.leads()
            assert (await spare.get("/healthz"))[0] == 200
            metrics = await spare.metrics_with('chandlery_source_watches{state="watching"} 4.0')
            assert 'chandlery_source_events_total{type="dev.chandlery.offering.applied.v1"}' in metrics
            await spare.ended(signal.SIGTERM)
    assert await holder(admin) is None


async def test_work_stops_before_the_lease_ends_and_starts_again_when_it_is_won(
    control_plane: ControlPlane, admin: Cluster, name: str
) -> None:
    """An API server that is away long enough for the lease to be lost ends no process."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    lock = Lock(admin, name, "somebody")
    task = asyncio.create_task(lead(lock, work))
    async with asyncio.timeout(60):
        await began.wait()
        began.clear()
        control_plane.stop("apiserver")
        async with asyncio.timeout(LEASE):
            await ended.wait()
        assert lock.trouble
        control_plane.start("apiserver")
        await control_plane.answers()
        await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    lease = await admin.get(LEASES, name, SYSTEM_NAMESPACE)
    assert lease and lease["spec"] == {}


async def test_a_bug_in_the_work_ends_it(admin: Cluster, name: str, control_plane: ControlPlane) -> None:
    async def work() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        await lead(Lock(admin, name, "somebody"), work)


async def test_only_one_of_many_holds_the_lease(admin: Cluster, name: str, control_plane: ControlPlane) -> None:
    working: set[str] = set()
    news = asyncio.Event()

    async def compete(identity: str) -> None:
        async def work() -> None:
            working.add(identity)
            news.set()
            await asyncio.Event().wait()

        await lead(Lock(admin, name, identity), work)

    tasks = [asyncio.create_task(compete(f"candidate-{number}")) for number in range(5)]
    async with asyncio.timeout(10):
        await news.wait()
        await asyncio.sleep(0.5)
    assert len(working) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
