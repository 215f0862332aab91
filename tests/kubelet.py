"""A stand-in kubelet: /stats/summary over HTTPS, from a script, reached through a real API server's node proxy."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from knative.local.credentials import issue
from shared.cluster import Cluster
from shared.resources import NODES

Object = dict[str, Any]
HERE = "192.0.2.1"
"""This machine, as the local stack's API server is let through to it: it connects to no node on loopback."""
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "1000"}


@dataclass
class Kubelet:
    """What it answers is `summary`; while `hangs` is set it answers nothing. `asked` counts who came."""

    node: str
    summary: Object = field(default_factory=dict)
    hangs: bool = False
    asked: int = 0
    port: int = 0
    before: Callable[[], Awaitable[None]] | None = None
    _runner: web.AppRunner | None = None
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, certificates: Path) -> Self:
        app = web.Application()
        app.router.add_get("/stats/summary", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=secure(certificates, self.node)).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        self._released.set()
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.hangs:
            await self._released.wait()
        if self.before:
            await self.before()
        return web.json_response(self.summary)

    async def join(self, cluster: Cluster, *, schedulable: bool = False) -> None:
        """As a node that is ready already: kwok gives those that it makes ready itself a port of its own."""
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        status = {
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": HERE}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
        }
        taint = {"key": "stand-in", "value": self.node, "effect": "NoSchedule"}
        metadata = {"name": self.node, "labels": {"kubernetes.io/hostname": self.node}}
        spec = {"taints": [taint], "unschedulable": not schedulable}
        await cluster.create(NODES, {"metadata": metadata, "spec": spec, "status": status})

    async def leave(self, cluster: Cluster) -> None:
        await cluster.delete(NODES, self.node)


def secure(certificates: Path, node: str) -> ssl.SSLContext:
    """With a certificate of the stack's authority: its API server trusts no other kubelet."""
    issue(certificates, node, f"system:node:{node}", "system:nodes", addresses=[HERE])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / f"{node}.crt", certificates / f"{node}.key")
    return context
