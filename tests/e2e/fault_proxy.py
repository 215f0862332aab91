"""Stands between one function and the API server, and kills the function when its n-th write has been taken.

It forwards everything as it is (its own connection to the API server verifies TLS); only the moment of the kill is its.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, create_default_context
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from knative.local.stack import Stack

AS_IT_IS = ("Content-Type", "User-Agent", "Accept", "Accept-Encoding")
HOP_BY_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"}


@dataclass
class FaultProxy:
    stack: Stack
    name: str
    upstream: str
    tls: SSLContext
    kill_after: int
    writes: int = 0
    kills: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def before(cls, stack: Stack, name: str, kill_after: int) -> AsyncIterator["FaultProxy"]:
        """The function `name` talks through the proxy while the block runs."""
        path = stack.layout.kubeconfig_of(name)
        original = path.read_text()
        config: dict[str, Any] = yaml.safe_load(original)
        server: str = config["clusters"][0]["cluster"]["server"]
        authority = stack.layout.certificates / "ca.crt"
        proxy = cls(stack, name, server.rstrip("/"), create_default_context(cafile=authority), kill_after)
        async with proxy.serving() as url:
            config["clusters"][0]["cluster"]["server"] = url
            await proxy.use(path, yaml.safe_dump(config))
            try:
                yield proxy
            finally:
                await proxy.use(path, original)

    async def use(self, path: Path, kubeconfig: str) -> None:
        await asyncio.to_thread(path.write_text, kubeconfig)
        await asyncio.to_thread(self.stack.restart, self.name)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        connector = aiohttp.TCPConnector(ssl=self.tls, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, skip_auto_headers=AS_IT_IS
        ) as session:

            async def forward(request: web.Request) -> web.StreamResponse:
                return await self.forward(request, session)

            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{path:.*}", forward)
            runner = web.AppRunner(app, shutdown_timeout=0.1)  # watches never end by themselves
            await runner.setup()
            # The API server's own certificate: Helm gives its token to nobody without TLS.
            own = SSLContext(PROTOCOL_TLS_SERVER)
            certificates = self.stack.layout.certificates
            own.load_cert_chain(certificates / "server.crt", certificates / "server.key")
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=own)
            await site.start()
            try:
                yield f"https://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    async def forward(self, request: web.Request, session: aiohttp.ClientSession) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        target = f"{self.upstream}{request.rel_url}"
        async with session.request(
            request.method, target, headers=headers, data=await request.read() or None
        ) as answer:
            self.count(request)
            response = web.StreamResponse(status=answer.status)
            for key, value in answer.headers.items():
                if key.lower() not in HOP_BY_HOP - {"content-encoding"}:
                    response.headers[key] = value
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
        return response

    def count(self, request: web.Request) -> None:
        """A heartbeat is no step of anything."""
        if request.method == "GET" or "/leases" in request.path:
            return
        self.writes += 1
        if self.writes == self.kill_after:
            self.kills.append(f"{request.method} {request.path}")
            self.stack.signal(self.name, "KILL")
