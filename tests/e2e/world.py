"""What a provider and a consumer do and see: on a real API server, through a real Broker, nothing called directly."""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.errors import NotFound, RetryLater
from shared.resources import NAMESPACES, OFFERINGS, SECRETS, Resource

Object = dict[str, Any]

PATIENCE = 90.0

T = TypeVar("T")

Serve = Callable[[bytes], str]
"""Puts an archive on a web server and says at which URL."""


def conditions(found: Object | None) -> dict[str, Object]:
    return {each["type"]: each for each in (found or {}).get("status", {}).get("conditions", [])}


def is_ready(found: Object | None) -> bool:
    """Ready, and for the spec as it stands."""
    ready = conditions(found).get("Ready")
    return bool(
        found
        and ready
        and ready["status"] == "True"
        and ready.get("observedGeneration") == found["metadata"]["generation"]
    )


@dataclass
class World:
    """One test's corner of the stack: an API group and a namespace that nobody else has."""

    stack: Stack
    cluster: Cluster
    id: str = field(default_factory=lambda: uuid4().hex[:8])

    @property
    def namespace(self) -> str:
        return f"team-{self.id}"

    def kind(self, kind: str) -> Resource:
        return Resource(f"t{self.id}.example.com", "v1alpha1", f"{kind.lower()}s", kind)

    def offering_name(self, kind: str) -> str:
        return f"{kind.lower()}-{self.id}"

    async def open(self) -> None:
        await self.cluster.apply(NAMESPACES, {"metadata": {"name": self.namespace}}, "test")

    async def close(self) -> None:
        """Ask for everything to be deleted; whether that works is what other tests are about."""
        offerings = (await self.cluster.list(OFFERINGS))["items"]
        for offering in offerings:
            api = offering["spec"]["api"]
            if api["group"] != f"t{self.id}.example.com":
                continue
            found = self.kind(api["kind"])
            served = offering.get("status", {}).get("api", {}).get("versions") or [found.version]
            resource = Resource(found.group, served[-1], found.plural, found.kind)
            with contextlib.suppress(NotFound):
                for instance in await self.listed(resource):
                    await self.cluster.delete(resource, instance["metadata"]["name"], instance["metadata"]["namespace"])
            await self.cluster.delete(OFFERINGS, offering["metadata"]["name"])
        await self.cluster.delete(NAMESPACES, self.namespace)

    async def listed(self, resource: Resource) -> list[Object]:
        """The API server takes a moment to serve a CRD again that has just changed."""

        async def found() -> list[list[Object]]:
            return [(await self.cluster.list(resource))["items"]]

        (items,) = await self.eventually(found, f"{resource.plural} can be listed")
        return items

    async def offer(self, kind: str, chart: str | Object, **spec: Any) -> str:
        """Register a chart of examples/charts (or a whole `chart` block); returns the Offering's name."""
        name = self.offering_name(kind)
        source = chart if isinstance(chart, dict) else {"url": f"file:///examples/charts/{chart}"}
        body = {
            "metadata": {"name": name},
            "spec": {"chart": source, "api": {"group": self.kind(kind).group, "kind": kind}} | spec,
        }
        await self.cluster.apply(OFFERINGS, body, "provider")
        return name

    async def offering(self, kind: str) -> Object | None:
        return await self.cluster.get(OFFERINGS, self.offering_name(kind))

    async def offered(self, kind: str, chart: str | Object, **spec: Any) -> str:
        name = await self.offer(kind, chart, **spec)

        async def published() -> bool:
            return is_ready(await self.offering(kind))

        await self.eventually(published, f"offering {name} is ready", lambda: self.offering(kind))
        return name

    async def order(self, kind: str, name: str, **spec: Any) -> Object:
        body = {"metadata": {"name": name, "namespace": self.namespace}, "spec": spec}
        return await self.cluster.apply(self.kind(kind), body, "consumer")

    async def order_as(self, version: str, kind: str, name: str, **spec: Any) -> Object:
        found = self.kind(kind)
        body = {"metadata": {"name": name, "namespace": self.namespace}, "spec": spec}
        return await self.cluster.apply(Resource(found.group, version, found.plural, kind), body, "consumer")

    async def instance(self, kind: str, name: str) -> Object | None:
        try:
            return await self.cluster.get(self.kind(kind), name, self.namespace)
        except NotFound:
            return None  # its API is gone, and it with it

    async def ready(self, kind: str, name: str, limit: float = PATIENCE) -> Object:
        async def settled() -> Object | None:
            found = await self.instance(kind, name)
            return found if is_ready(found) else None

        return await self.eventually(settled, f"{kind} {name} is ready", lambda: self.instance(kind, name), limit)

    async def says(self, kind: str, name: str, condition: str, reason: str, limit: float = PATIENCE) -> Object:
        """The condition of an instance, once it has this reason for the spec as it stands."""

        async def said() -> Object | None:
            found = await self.instance(kind, name)
            stated = conditions(found).get(condition)
            current = stated and stated["observedGeneration"] == (found or {})["metadata"]["generation"]
            return stated if stated and current and stated["reason"] == reason else None

        what = f"{condition} of {kind} {name} says {reason}"
        return await self.eventually(said, what, lambda: self.instance(kind, name), limit)

    async def offering_says(self, kind: str, condition: str, reason: str) -> Object:
        async def said() -> Object | None:
            stated = conditions(await self.offering(kind)).get(condition)
            return stated if stated and stated["reason"] == reason else None

        return await self.eventually(said, f"{condition} of {kind} says {reason}", lambda: self.offering(kind))

    async def delete(self, kind: str, name: str) -> None:
        await self.cluster.delete(self.kind(kind), name, self.namespace)

    async def gone(self, kind: str, name: str, uid: str) -> None:
        """The instance and all that was made for it."""

        async def nothing_left() -> bool:
            return await self.instance(kind, name) is None and not await self.release_namespaces(uid)

        await self.eventually(nothing_left, f"{kind} {name} is gone", lambda: self.instance(kind, name))

    async def retire(self, kind: str) -> None:
        await self.cluster.delete(OFFERINGS, self.offering_name(kind))

        async def retired() -> bool:
            return await self.offering(kind) is None

        await self.eventually(retired, f"offering {kind} is gone", lambda: self.offering(kind))

    async def release_namespaces(self, uid: str) -> list[str]:
        found = await self.cluster.list(NAMESPACES, labels={"chandlery.dev/instance-uid": uid})
        return [each["metadata"]["name"] for each in found["items"]]

    async def revisions(self, namespace: str) -> list[tuple[int, str]]:
        """(number, status) of every Helm revision in a namespace."""
        found = await self.cluster.list(SECRETS, namespace, labels={"owner": "helm"}, metadata_only=True)
        labels = [each["metadata"]["labels"] for each in found["items"]]
        return sorted((int(each["version"]), each["status"]) for each in labels)

    async def eventually(
        self,
        check: Callable[[], Awaitable[T | None]],
        what: str,
        show: Callable[[], Awaitable[Any]] | None = None,
        limit: float = PATIENCE,
    ) -> T:
        """The first thing `check` finds that is true; the API server may be away meanwhile."""
        try:
            async with asyncio.timeout(limit):
                while True:
                    try:
                        found = await check()
                        if found:
                            return found
                    except RetryLater:
                        pass
                    await asyncio.sleep(0.1)
        except TimeoutError:
            seen = json.dumps(await show(), indent=1, default=str) if show else ""
            raise AssertionError(f"not within {limit:g} s: {what}\n{seen}") from None

    def kubectl(self, *arguments: str, given: str | None = None, fails: bool = False) -> str:
        """As a person at a terminal; what it prints, errors included."""
        environment = {**os.environ, "KUBECONFIG": str(self.stack.layout.kubeconfig)}
        command = [str(self.stack.layout.bin / "kubectl"), *arguments]
        done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr
