"""Serve functions over HTTP: all of them in one process under /<function> (a laptop), or the ones named (a pod each).

Each is loaded by functions-framework from its own file, exactly as when it is served alone.
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import functions_framework.aio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from shared import logs, tracing
from shared.function import probe
from shared.lifetime import close_all

FUNCTIONS = Path(__file__).parent.parent / "functions"


def names() -> list[str]:
    return sorted(path.stem for path in FUNCTIONS.glob("[!_]*.py"))


def app(wanted: list[str]) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await close_all()
        await tracing.close()

    async def probes(request: Request) -> Response:
        return probe(request)

    functions = {
        name: functions_framework.aio.create_asgi_app("main", str(FUNCTIONS / f"{name}.py"), "http") for name in wanted
    }
    routes: list[Route | Mount] = [Route(path, probes, methods=["GET"]) for path in ("/healthz", "/metrics")]
    routes += [Mount(f"/{name}", function) for name, function in functions.items()]
    if len(wanted) == 1:
        routes.append(Mount("/", functions[wanted[0]]))
    return Starlette(routes=routes, lifespan=lifespan)


async def serve(*configs: uvicorn.Config) -> None:
    """Several servers around one app, in one process; they end together."""
    servers = [uvicorn.Server(config) for config in configs]

    async def run(server: uvicorn.Server) -> None:
        await server.serve()
        for other in servers:
            other.should_exit = True

    await asyncio.gather(*[run(server) for server in servers])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.serve", description=__doc__)
    parser.add_argument("function", nargs="*", choices=[*names(), []], help="default: all of them")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--tls-port", type=int, help="HTTPS on another port too, for whom the API server calls")
    parser.add_argument("--tls-cert", help="default: /etc/chandlery/tls/tls.crt", default="/etc/chandlery/tls/tls.crt")
    parser.add_argument("--tls-key", help="default: /etc/chandlery/tls/tls.key", default="/etc/chandlery/tls/tls.key")
    parser.add_argument("--grace", type=int, default=10, help="seconds to finish what is in hand when told to stop")
    arguments = parser.parse_args()
    logs.configure()
    common: dict[str, Any] = {
        "app": app(arguments.function or names()),
        "host": arguments.host,
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": arguments.grace,
    }
    configs = [uvicorn.Config(port=arguments.port, **common)]
    if arguments.tls_port:
        files = {"ssl_certfile": arguments.tls_cert, "ssl_keyfile": arguments.tls_key}
        configs.append(uvicorn.Config(port=arguments.tls_port, lifespan="off", **common, **files))
    asyncio.run(serve(*configs))


if __name__ == "__main__":
    main()
