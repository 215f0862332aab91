"""A web server on loopback that says what a test wants, and remembers what it was asked."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.ports import free_port
from tests.shared.archives import chart

ARCHIVE = chart()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A web server, and what it was asked: path and Authorization."""

    url: str
    routes: dict[str, Handler]
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Authorization")))
        handler = self.routes.get(request.path)
        return await handler(request) if handler else web.Response(status=404)


@asynccontextmanager
async def site(tls: ssl.SSLContext | None = None, **routes: Handler) -> AsyncIterator[Site]:
    """Keywords are paths; `a__tgz` is /a.tgz."""
    port = free_port()
    found = Site(
        f"{'https' if tls else 'http'}://127.0.0.1:{port}",
        {"/" + name.replace("__", "."): handler for name, handler in routes.items()},
    )
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield found
    finally:
        await runner.cleanup()


def says(body: bytes | str = ARCHIVE, status: int = 200, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        content = body.encode() if isinstance(body, str) else body
        return web.Response(body=content, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handler


def guarded(handler: Handler, needed: str, challenge: str = "") -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == needed:
            return await handler(request)
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    return checked
