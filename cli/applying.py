"""Putting manifests into a cluster and taking objects out of it, by whatever kinds are served there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from cli import bundle, kinds
from cli.bundle import Id, Object
from cli.kinds import Kind
from shared.cluster import Cluster
from shared.errors import ApiError, Invalid, NotFound, Refused, RetryLater
from shared.health import health
from shared.resources import Resource

AT_ONCE = 8
PAUSE = 0.3
PATIENCE = 60.0
BY = "install"
RECREATED = frozenset({"RoleBinding", "ClusterRoleBinding", "Trigger", "Job"})
"""Kinds with a part that can't be changed, and nothing in them that could be lost."""

Say = Callable[[str], None]


class Target:
    """The cluster, with what it serves; looked up again when a kind is missing, for a CRD may have come meanwhile."""

    def __init__(self, cluster: Cluster, served: list[Kind]) -> None:
        self.cluster = cluster
        self.served = served
        self._turns = asyncio.Semaphore(AT_ONCE)

    @classmethod
    async def of(cls, cluster: Cluster) -> "Target":
        return cls(cluster, await kinds.served(cluster))

    def known(self, group: str, kind: str, version: str | None = None) -> Resource | None:
        return next((each for each in self._named(group, kind) if version in (None, each.version)), None)

    def _named(self, group: str, kind: str) -> Iterator[Resource]:
        return (each.resource for each in self.served if (each.resource.group, each.resource.kind) == (group, kind))

    async def resource(self, group: str, kind: str, version: str | None = None) -> Resource:
        async for _ in trying(PATIENCE / 4):
            found = self.known(group, kind, version)
            if found:
                return found
            self.served = await kinds.served(self.cluster)
        raise unserved([f"{kind} ({group}/{version})"])

    # Putting in

    async def apply(self, body: Object) -> None:
        group, _, version = body["apiVersion"].rpartition("/")
        resource = await self.resource(group, body["kind"], version)
        async with self._turns:
            async for last in trying(PATIENCE):
                try:
                    await self._apply(resource, body)
                except RetryLater:  # a webhook that is only just starting
                    if last:
                        raise
                else:
                    return

    async def _apply(self, resource: Resource, body: Object) -> None:
        try:
            await self.cluster.apply(resource, body, BY)
        except Invalid:
            if resource.kind not in RECREATED:
                raise
            await self.delete(bundle.id_of(body))
            await self.cluster.apply(resource, body, BY)

    # Taking out

    async def delete(self, each: Id) -> bool:
        resource = self.known(each.group, each.kind)
        if resource is None:
            return False  # its kind is gone, and all of it
        async with self._turns:
            return await self.cluster.delete(resource, each.name, each.namespace or None)

    async def get(self, each: Id) -> Object | None:
        resource = self.known(each.group, each.kind)
        try:
            return await self.cluster.get(resource, each.name, each.namespace or None) if resource else None
        except NotFound:
            return None

    async def there(self, ids: Iterable[Id]) -> list[Id]:
        wanted = [*ids]
        found = await asyncio.gather(*[self.get(each) for each in wanted])
        return [each for each, body in zip(wanted, found, strict=True) if body]


def missing_kinds(bodies: Iterable[Object], target: Target) -> list[str]:
    """Kinds of the manifests that are neither served nor made by them."""
    bodies = [*bodies]
    made = {
        (each["spec"]["group"], each["spec"]["names"]["kind"])
        for each in bodies
        if each["kind"] == "CustomResourceDefinition"
    }
    wanted = {(each["apiVersion"], each["kind"]) for each in bodies}
    found = []
    for api_version, kind in sorted(wanted):
        group, _, version = api_version.rpartition("/")
        if (group, kind) not in made and not target.known(group, kind, version):
            found.append(f"{kind} ({api_version})")
    return found


def unserved(missing: list[str]) -> Refused:
    return Refused("NotServed", f"the cluster does not serve {', '.join(missing)}; `chandlery doctor` says why")


async def trying(limit: float) -> AsyncIterator[bool]:
    """Again and again; says when it is the last time."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        yield False
        await asyncio.sleep(PAUSE)
    yield True


# Waiting

WATCHED = ("Broker", "Trigger", "PingSource", "SinkBinding", "ContainerSource", "Subscription")
ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")


def unready(body: Object) -> str:
    """Why an object is not what it should be yet; nothing if it is, or if its kind has nothing to wait for."""
    kind = body["kind"]
    if kind in ROLLED_OUT:
        found = health(body)
        return "" if found.state == "Current" else found.message
    if kind == "CustomResourceDefinition":
        return said(body, "Established")
    if kind in WATCHED or (kind == "Service" and body["apiVersion"].startswith("serving.knative.dev/")):
        return said(body, "Ready")
    return ""


def said(body: Object, wanted: str) -> str:
    status = body.get("status") or {}
    found: Object = next((each for each in status.get("conditions") or () if each["type"] == wanted), {})
    seen = status.get("observedGeneration", body["metadata"].get("generation"))
    if found.get("status") == "True" and seen == body["metadata"].get("generation"):
        return ""
    return found.get("message") or found.get("reason") or f"is not {wanted} yet"


async def settled(target: Target, ids: Iterable[Id], limit: float, say: Say) -> None:
    """Waits until all are ready; tells what it waits for, when that changes."""
    waiting = [*ids]
    told = ""
    why: dict[Id, str] = {}
    async for last in trying(limit):
        bodies = await asyncio.gather(*[target.get(each) for each in waiting])
        found = [(each, unready(body) if body else "is not there") for each, body in zip(waiting, bodies, strict=True)]
        why = {each: reason for each, reason in found if reason}
        waiting = [*why]
        if not waiting:
            return
        told = tell(say, told, waiting, f"not ready: {why[waiting[0]]}")
        if last:
            break
    lines = "\n".join(f"  {each}: {reason}" for each, reason in why.items())
    raise RetryLater(
        f"not ready within {limit:g} s; `chandlery doctor` may know why, and this may be run again:\n{lines}"
    )


async def gone(target: Target, ids: Iterable[Id], limit: float, say: Say) -> list[Id]:
    """What is still there in the end."""
    waiting, told = [*ids], ""
    async for last in trying(limit):
        waiting = await target.there(waiting)
        if not waiting or last:
            break
        told = tell(say, told, waiting, "still there")
    return waiting


def tell(say: Say, before: str, waiting: list[Id], what: str) -> str:
    more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
    now = f"waiting for {waiting[0]}{more}: {what}"
    if now != before:
        say(now)
    return now


def refused(each: Id, error: ApiError) -> Refused:
    return Refused(error.reason, f"{each}: the API server refuses: {error.message}")
