"""A control plane without functions, so that a source is heard saying everything and answered by nobody; and a sink."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from events.base import Event
from events.catalog import BY_TYPE
from knative.local.layout import REPOSITORY
from knative.local.stack import Stack
from knative.local.waiting import answers
from knative.sink import Sink
from knative.source import Source
from shared.cluster import Cluster
from shared.resources import OFFERINGS
from tests.knative.kinds import served, until
from tests.ports import free_range

BASE = REPOSITORY / "knative/base"


class ControlPlane(Stack):
    def up(self) -> None:
        self.control_plane("controller-manager")  # for the life and death of namespaces
        files = [BASE / "namespace.yaml", BASE / "rbac.yaml", *sorted((BASE / "crds").glob("*.yaml"))]
        self._apply("our kinds and rights", *(f"--filename={file}" for file in files))

    async def answers(self) -> None:
        """When it is back after it was killed."""
        url, ca = f"https://{self.layout.address('apiserver')}/readyz", self.layout.certificates / "ca.crt"
        await asyncio.to_thread(self._wait, "apiserver", lambda: answers(url, ca))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    found = ControlPlane(tmp_path_factory.mktemp("cp") / "s", free_range())
    found.up()
    yield found
    found.down()


@pytest.fixture(scope="session")
async def admin(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    found = await Cluster.open(str(control_plane.layout.kubeconfig))
    await until(lambda: served(found, OFFERINGS))
    yield found
    await found.close()


@pytest.fixture
def name() -> str:
    """Of everything a test makes: other tests' objects are in the same cluster."""
    return f"t{uuid4().hex[:8]}"


@dataclass(frozen=True)
class Heard:
    id: str
    event: Event


class Recorder:
    """A sink on the loopback that tells what it took. `answer` says what to answer to the n-th post of an event."""

    def __init__(self) -> None:
        self.url = ""
        self.posts: list[Heard] = []
        self.taken: list[Heard] = []
        self.answer: Callable[[int], int] = lambda _: 204
        self._counter = itertools.count(1)
        self._news = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        event = BY_TYPE[request.headers["ce-type"]].event.model_validate(await request.json())
        heard = Heard(request.headers["ce-id"], event)
        status = self.answer(next(self._counter))
        async with self._news:
            self.posts.append(heard)
            if status == 204:
                self.taken.append(heard)
            self._news.notify_all()
        return web.Response(status=status)

    def about(self, name: str) -> list[Event]:
        """What was taken about the test's own objects, repeats left out."""
        heard = {each.id: each.event for each in self.taken if name in str(each.event)}
        return list(heard.values())

    async def until(self, said: Callable[[], bool], limit: float = 30) -> None:
        async with asyncio.timeout(limit), self._news:
            await self._news.wait_for(said)

    async def hears(self, *events: Event) -> None:
        """Waits until each of them was taken, whatever else is."""
        try:
            await self.until(lambda: all(event in [each.event for each in self.taken] for event in events))
        except TimeoutError:
            raise AssertionError(f"not heard: {events}; heard: {[each.event for each in self.taken]}") from None


@pytest.fixture
async def sink() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    app = web.Application()
    app.router.add_post("/", recorder.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    recorder.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield recorder
    await runner.cleanup()


Running = Callable[[str], contextlib.AbstractAsyncContextManager[Source]]


@pytest.fixture
def source(control_plane: ControlPlane, sink: Recorder) -> Running:
    """A source at work with the rights it has in a cluster, without an election; it has listed everything."""

    @contextlib.asynccontextmanager
    async def running(domain: str) -> AsyncIterator[Source]:
        kubeconfig: Path = control_plane.layout.kubeconfig_of(f"{domain}-source")
        cluster = await Cluster.open(str(kubeconfig))
        async with aiohttp.ClientSession() as session:
            found = Source(domain, cluster, Sink(sink.url, session, {}))
            work = asyncio.create_task(found.work())
            try:
                listed = asyncio.create_task(found.listed.wait())
                await asyncio.wait((listed, work), timeout=30, return_when=asyncio.FIRST_COMPLETED)
                listed.cancel()
                yield found
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                await cluster.close()
            assert work.cancelled(), work.exception()

    return running
