"""The part of a kubelet that people read: logs and statistics, over the API that the API server asks it by."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from cli.applying import trying
from shared.cluster import Cluster
from shared.resources import NODES
from tests.kubelet import HERE, secure


class Kubelet:
    def __init__(self) -> None:
        self.said: dict[tuple[str, str], list[str]] = {}
        """By pod, and whether it was before the restart (`previous`) or not (``)."""
        self.asked: list[str] = []

    async def logs(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.query_string)
        before = "previous" if request.query.get("previous") == "true" else ""
        lines = self.said.get((request.match_info["pod"], before), [])
        tail = request.query.get("tailLines")
        shown = lines[-int(tail) :] if tail else lines
        return web.Response(text="".join(f"{line}\n" for line in shown))

    async def stats(self, _: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"node": {"nodeName": "x"}, "pods": []}))


async def initialised(cluster: Cluster, node: str) -> bool:
    """By kwok, which looks after all nodes, and says nothing of addresses."""
    found = await cluster.get(NODES, node) or {}
    return any(each["type"] == "Ready" for each in found.get("status", {}).get("conditions") or ())


@asynccontextmanager
async def kubelet(cluster: Cluster, node: str, certificates: Path) -> AsyncIterator[Kubelet]:
    """As a Node that takes no pods by itself."""
    found = Kubelet()
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", found.logs)
    app.router.add_get("/stats/summary", found.stats)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secure(certificates, node))
    await site.start()
    port = runner.addresses[0][1]
    await cluster.apply(NODES, {"metadata": {"name": node}, "spec": {"unschedulable": True}}, "test")
    status = {
        "addresses": [{"type": "InternalIP", "address": HERE}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    async for _ in trying(30):
        if await initialised(cluster, node):
            break
    try:
        await cluster.apply_status(NODES, {"metadata": {"name": node}, "status": status}, "test")
        yield found
    finally:
        await cluster.delete(NODES, node)
        await runner.cleanup()
