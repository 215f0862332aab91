"""The Kubernetes event source: what is asked for and what happens in the cluster, as events to a Broker.

A plain Knative source, one process for each domain: K_SINK says where to send. It keeps no state: it lists before it
watches, so a start, a lost watch or a change of leader loses nothing; what was said twice has the same id twice.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Protocol
from uuid import uuid4

import structlog
import uvicorn
from prometheus_client import Gauge
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from knative.instances import Instances
from knative.leader import Lock, lead
from knative.offerings import Offerings
from knative.outbox import Outbox
from knative.sink import Sink
from shared import logs, tracing
from shared.cluster import Cluster
from shared.function import probe
from shared.heartbeat import named_host

LEADER = Gauge("chandlery_source_leader", "Whether this process leads or is a spare")
DOMAINS: dict[str, type[Offerings | Instances]] = {"offerings": Offerings, "instances": Instances}

log = structlog.get_logger()


class Source:
    def __init__(self, domain: str, cluster: Cluster, sink: Sink) -> None:
        identity = f"{named_host()}-{uuid4().hex[:8]}"
        self._domain = domain
        self._cluster = cluster
        self._sink = sink
        self._lock = Lock(cluster, f"{domain}-source", identity)
        self._working = False
        self.listed = asyncio.Event()

    async def run(self) -> None:
        await lead(self._lock, self.work)

    @property
    def unready(self) -> str | None:
        """Why it is neither a source at work nor a spare that could be one."""
        if self._working:
            return None if self.listed.is_set() else "not everything has been listed yet"
        return self._lock.trouble

    async def work(self) -> None:
        self._working = True
        LEADER.set(1)
        try:
            outgoing = Outbox(self._sink.post, f"/chandlery/{self._domain}_source")
            async with outgoing as outbox, asyncio.TaskGroup() as tasks:
                await DOMAINS[self._domain](self._cluster, outbox, tasks).start()
                self.listed.set()
                log.info("everything has been listed")
        finally:
            self._working = False
            self.listed.clear()
            LEADER.set(0)


@contextlib.asynccontextmanager
async def running(domain: str) -> AsyncIterator[tuple[Source, asyncio.Task[None]]]:
    async with contextlib.AsyncExitStack() as stack:
        cluster, sink = await Cluster.open(), await Sink.open()
        stack.push_async_callback(cluster.close)
        stack.push_async_callback(sink.close)
        source = Source(domain, cluster, sink)
        task = asyncio.create_task(source.run())
        yield source, task
        task.cancel()
        await asyncio.wait([task])


class Working(Protocol):
    """A source, as its probes see it."""

    @property
    def unready(self) -> str | None: ...


Running = Callable[[], contextlib.AbstractAsyncContextManager[tuple[Working, asyncio.Task[None]]]]


def serve(running: Running, host: str, port: int) -> bool:
    """Until it is told to stop, which is fine, or until a bug ends it, which is not."""
    broken = False

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        def ended(task: asyncio.Task[None]) -> None:
            nonlocal broken
            if not task.cancelled():
                broken = True
                log.error("the source broke", exc_info=task.exception())
                server.should_exit = True

        async with running() as (app.state.source, task):
            task.add_done_callback(ended)
            yield
        await tracing.close()

    async def readyz(request: Request) -> Response:
        why = request.app.state.source.unready
        return PlainTextResponse(f"{why or 'ok'}\n", 503 if why else 200)

    async def probes(request: Request) -> Response:
        return probe(request)

    routes = [Route("/readyz", readyz), Route("/healthz", probes), Route("/metrics", probes)]
    app = Starlette(routes=routes, lifespan=lifespan)
    server = uvicorn.Server(
        uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    server.run()
    return not broken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m knative.source", description=__doc__)
    parser.add_argument("domain", choices=sorted(DOMAINS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    logs.configure()
    structlog.contextvars.bind_contextvars(source=arguments.domain)
    opening = partial(running, arguments.domain)
    sys.exit(0 if serve(opening, arguments.host, arguments.port) else 1)


if __name__ == "__main__":
    main()
