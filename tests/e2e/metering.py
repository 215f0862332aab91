"""A release namespace on nodes with stand-in kubelets, and the path from there to a ledger, by hand: the real functions
with real clients, and a Broker that does with events whatever a test is about."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
from aiohttp import web
from cloudevents.http import CloudEvent, from_http

from events.base import Event, InstanceKey
from events.ticks import Ticked
from events.usage import UsageMeasured, UsageRecorded
from functions.collect_usage import collect_usage
from functions.record_usage import record_usage
from shared import ownership
from shared.brokers import Brokers
from shared.cluster import Cluster
from shared.errors import RetryLater
from shared.metering.ledger import Ledger
from shared.metering.reader import Reader
from shared.metering.rounds import Rounds
from shared.resources import CLAIMS, NAMESPACES, PODS, Resource
from tests.builders import KEY
from tests.kubelet import Kubelet
from tests.shared.metering import stats

Object = dict[str, Any]
Said = TypeVar("Said", bound=Event)
TICK = 30
BINDINGS = Resource("", "v1", "bindings", "Binding")


class Sink:
    """A Broker that takes what it is sent, once it is willing."""

    def __init__(self) -> None:
        self.taken: list[CloudEvent] = []
        self.willing = True
        self.on_event: Callable[[CloudEvent], None] = lambda _: None
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        app = web.Application(client_max_size=1 << 20)  # what Knative's ingress takes, and not a byte more
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        if not self.willing:
            return web.Response(status=503)
        event = from_http(dict(request.headers), await request.read())
        self.taken.append(event)
        self.on_event(event)
        return web.Response(status=202)

    def said(self, kind: type[Said]) -> list[Said]:
        return [kind.model_validate(each.data) for each in self.taken if each["type"] == kind.type]


@dataclass
class Site:
    cluster: Cluster
    certificates: Path
    sink: Sink
    brokers: Brokers
    rounds: Rounds = field(default_factory=Rounds)
    kubelets: list[Kubelet] = field(default_factory=list)
    id: str = field(default_factory=lambda: uuid4().hex[:8])
    start: datetime = field(default_factory=lambda: at_an_hour(datetime.now(UTC) - timedelta(hours=6)))

    @property
    def key(self) -> InstanceKey:
        return KEY.model_copy(update={"uid": f"uid-{self.id}"})

    @property
    def home(self) -> str:
        return f"metered-{self.id}"

    async def open(self) -> None:
        notes = ownership.annotations(self.key) | {ownership.PLAN: "small"}
        metadata = {"name": self.home, "labels": ownership.labels(self.key), "annotations": notes}
        await self.cluster.create(NAMESPACES, {"metadata": metadata})

    async def close(self) -> None:
        for kubelet in self.kubelets:
            await kubelet.leave(self.cluster)
            await kubelet.stop()
        await self.cluster.delete(NAMESPACES, self.home)

    async def kubelet(self) -> Kubelet:
        name = f"kubelet-{self.id}-{len(self.kubelets)}"
        found = await Kubelet(name, {"pods": []}).start(self.certificates)
        await found.join(self.cluster)
        self.kubelets.append(found)
        return found

    def at(self, second: float) -> datetime:
        return self.start + timedelta(seconds=second)

    async def pod(self, name: str, kubelet: Kubelet, **spec: Any) -> str:
        """One that has run since the start; its uid. It is bound to its node last: kwok would say when it starts."""
        container = {"name": "app", "image": "none", "ports": [{"name": "web", "containerPort": 8080}]} | spec
        tolerations = [{"operator": "Exists"}]
        body = {
            "metadata": {"name": name, "namespace": self.home},
            "spec": {"schedulerName": "nobody", "tolerations": tolerations, "containers": [container]},
        }
        made = await self.cluster.create(PODS, body)
        await self.status(name, phase="Running", podIP="10.0.0.1", startTime=stats.stamp(self.start))
        target = {"kind": "Node", "name": kubelet.node}
        await self.cluster.create(BINDINGS, {"metadata": body["metadata"], "target": target})
        return str(made["metadata"]["uid"])

    async def status(self, name: str, **fields: Any) -> None:
        metadata = {"name": name, "namespace": self.home}
        await self.cluster.apply_status(PODS, {"metadata": metadata, "status": fields}, "test")

    async def claim(self, name: str, size: str) -> str:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        made = await self.cluster.create(CLAIMS, {"metadata": {"name": name, "namespace": self.home}, "spec": spec})
        await until(lambda: self.cluster.get(CLAIMS, name, self.home), bound)
        return str(made["metadata"]["uid"])

    def stats(self, second: float, uid: str, name: str, cpu: int, memory: int, sent: int, **more: Any) -> Object:
        """A pod's, at so many seconds after the start."""
        time = stats.stamp(self.at(second))
        began = more.pop("began", 0)
        found = stats.stats(uid=uid, name=name, home=self.home, **more)
        found["startTime"] = stats.stamp(self.at(began))
        found["cpu"] = {"time": time, "usageCoreNanoSeconds": cpu}
        found["memory"] = {"time": time, "workingSetBytes": memory}
        found["network"] = {"time": time, "rxBytes": 0, "txBytes": sent}
        found["ephemeral-storage"] = {"time": time, "usedBytes": 0}
        for volume in found.get("volume", ()):
            volume["time"] = time
        return found

    async def tick(self, seconds: float = TICK) -> None:
        await collect_usage(Ticked(seconds=seconds), self.cluster, Reader(self.cluster), self.brokers, self.rounds)

    def collector_dies(self) -> None:
        self.rounds = Rounds()

    def measured(self) -> list[UsageMeasured]:
        """What concerns this site: the stack has other nodes and other tests."""
        nodes = {f"node/{each.node}" for each in self.kubelets}
        return [each for each in self.sink.said(UsageMeasured) if each.origin in nodes or self.ours(each)]

    def ours(self, event: UsageMeasured) -> bool:
        return any(each.instance_uid == self.key.uid for each in event.subjects)

    def recorded(self) -> list[UsageRecorded]:
        return [each for each in self.sink.said(UsageRecorded) if each.instance_uid == self.key.uid]

    async def deliver(self, ledger: Ledger, told: list[UsageMeasured] | None = None) -> None:
        for event in self.measured() if told is None else told:
            await persist(ledger, event)

    async def used(self, ledger: Ledger) -> dict[str, tuple[int, int]]:
        """Of the instance: amount and gap, of everything since the start."""
        now = datetime.now(UTC)
        where = {"instance_uid": [self.key.uid]}
        found = await ledger.usage(self.start, at_an_hour(now) + timedelta(hours=1), where, live=now)  # type: ignore[arg-type]
        return {each.metric: (each.amount, each.gap_ms) for each in found}


async def persist(ledger: Ledger, event: UsageMeasured) -> None:
    """As the Broker does."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(RetryLater):
                return await record_usage(event, ledger)
            await asyncio.sleep(0.05)


async def until(look: Callable[[], Awaitable[Object | None]], done: Callable[[Object | None], bool]) -> None:
    async with asyncio.timeout(60):
        while not done(await look()):  # noqa: ASYNC110 -- each look is a request
            await asyncio.sleep(0.05)


def bound(claim: Object | None) -> bool:
    return (claim or {}).get("status", {}).get("phase") == "Bound"


def at_an_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def disturbed(told: list[UsageMeasured], seed: int) -> list[UsageMeasured]:
    """Each once at least, some twice, in any order."""
    chance = random.Random(seed)  # noqa: S311 -- nothing secret about it
    more = [*told, *chance.choices(told, k=len(told) // 2)]
    chance.shuffle(more)
    return more


@contextlib.asynccontextmanager
async def site_of(cluster: Cluster, certificates: Path) -> AsyncIterator[Site]:
    sink = Sink()
    async with aiohttp.ClientSession() as session:
        brokers = Brokers(cluster, session, {"usage": await sink.start()})
        site = Site(cluster, certificates, sink, brokers)
        await site.open()
        yield site
        await site.close()
    await sink.stop()
