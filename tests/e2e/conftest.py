"""Every test has an API group and a namespace of its own, and leaves nothing behind."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from knative.local.stack import Stack
from shared.cluster import Cluster
from tests.e2e.world import Serve, World
from tests.shared.metering.conftest import ledger, postgres, url

__all__ = ["ledger", "postgres", "serve", "url", "world"]


@pytest.fixture
async def world(stack: Stack, cluster: Cluster) -> AsyncIterator[World]:
    found = World(stack, cluster)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Puts bytes on a real web server and says at which URL."""
    kept: dict[str, bytes] = {}

    async def give(request: web.Request) -> web.Response:
        body = kept.get(request.path)
        return web.Response(body=body) if body is not None else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]

    def put(body: bytes) -> str:
        kept[f"/{len(kept)}.tgz"] = body
        return f"http://127.0.0.1:{port}/{len(kept) - 1}.tgz"

    yield put
    await runner.cleanup()
