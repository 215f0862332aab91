"""Who may do what, tried with the kubeconfigs that were issued: two consumers, two providers."""

import asyncio
import base64
import os
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from events.ticks import ResyncTicked
from shared.access import CONSUMER
from shared.cluster import Cluster
from shared.errors import ApiError
from shared.resources import (
    CONSUMERS,
    NAMESPACES,
    OFFERINGS,
    PROVIDERS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SYSTEM_NAMESPACE,
    Resource,
)
from tests.e2e.test_faults import post
from tests.e2e.world import World, is_ready

Object = dict[str, Any]

KUBECONFIG = "kubeconfig"


class Access:
    """Consumers and Providers of one test, and what they hold."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.opened: list[Cluster] = []

    def name(self, short: str) -> str:
        return f"{short}-{self.world.id}"

    async def consumer(self, short: str, *offerings: str, **spec: Any) -> Object:
        return await self.grantee(CONSUMERS, short, offerings=[*offerings], **spec)

    async def provider(self, short: str, *groups: str, **spec: Any) -> Object:
        return await self.grantee(PROVIDERS, short, apiGroups=[*groups], **spec)

    async def grantee(self, resource: Resource, short: str, **spec: Any) -> Object:
        await self.world.cluster.apply(resource, {"metadata": {"name": self.name(short)}, "spec": spec}, "admin")
        return await self.settled(resource, short, is_ready)

    async def settled(self, resource: Resource, short: str, holds: Any) -> Object:
        async def found() -> Object | None:
            there = await self.world.cluster.get(resource, self.name(short))
            return there if there and holds(there) else None

        what = f"{resource.kind} {short}"
        return await self.world.eventually(found, what, lambda: self.world.cluster.get(resource, self.name(short)))

    async def kubeconfig(self, resource: Resource, short: str) -> Path:
        """Written out as a person would."""
        name = f"{resource.kind.lower()}-{self.name(short)}-kubeconfig"
        secret = await self.world.cluster.get(SECRETS, name, SYSTEM_NAMESPACE)
        assert secret
        path = self.folder / f"{name}-{secret['metadata']['resourceVersion']}"
        path.write_bytes(base64.b64decode(secret["data"][KUBECONFIG]))
        return path

    async def as_(self, resource: Resource, short: str) -> Cluster:
        found = await Cluster.open(str(await self.kubeconfig(resource, short)))
        self.opened.append(found)
        return found

    async def kubectl(self, resource: Resource, short: str, *arguments: str, given: str | None = None) -> str:
        path = await self.kubeconfig(resource, short)
        command = [str(self.world.stack.layout.bin / "kubectl"), *arguments]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env={**os.environ, "KUBECONFIG": str(path), "HOME": str(self.folder)},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    async def tick(self, count: int = 0) -> None:
        """A resync, as if a long time had passed since the last."""
        await post(self.world, ResyncTicked(seconds=0.1), self.world.id, datetime.now(UTC), count)

    async def close(self) -> None:
        for each in self.opened:
            await each.close()
        for resource in (CONSUMERS, PROVIDERS):
            for body in (await self.world.cluster.list(resource))["items"]:
                name = body["metadata"]["name"]
                if name.endswith(self.world.id):
                    await self.world.cluster.delete(resource, name)
        homes = await self.world.cluster.list(NAMESPACES, labels={CONSUMER: ""})
        for home in homes["items"]:
            if home["metadata"]["name"].endswith(self.world.id):
                await self.world.cluster.delete(NAMESPACES, home["metadata"]["name"])


@pytest.fixture
async def access(world: World, tmp_path: Path) -> AsyncIterator[Access]:
    found = Access(world, tmp_path)
    yield found
    await found.close()


async def refused(call: Any) -> None:
    with pytest.raises(ApiError) as error:
        await call
    assert error.value.status == 403, error.value.message


def order(name: str, namespace: str, **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


async def test_a_consumer_reaches_what_it_ordered_and_nothing_else(access: Access) -> None:
    world = access.world
    database = await world.offered("Database", "hello")
    await world.offered("Cache", "hello")
    a, b = await access.consumer("a", database), await access.consumer("b", world.offering_name("Cache"))
    assert a["status"]["namespaces"] == [access.name("a")]
    ours, theirs = access.name("a"), access.name("b")
    alice, bob = await access.as_(CONSUMERS, "a"), await access.as_(CONSUMERS, "b")
    databases, caches = world.kind("Database"), world.kind("Cache")

    await alice.create(databases, order("one", ours))
    await bob.create(caches, order("one", theirs))

    async def ready() -> Object | None:
        found = await alice.get(databases, "one", ours)
        return found if is_ready(found) else None

    found = await world.eventually(ready, "alice's database is ready", lambda: alice.get(databases, "one", ours))
    release = found["status"]["release"]["namespace"]
    assert (await alice.list(databases, ours))["items"]
    await alice.list(Resource("", "v1", "events", "Event"), ours)
    await alice.list(Resource("", "v1", "resourcequotas", "ResourceQuota"), ours)
    mine = {"metadata": {"name": "one", "namespace": ours}}

    for call in (
        alice.list(databases),
        alice.get(caches, "one", theirs),
        alice.create(caches, order("two", ours)),
        alice.create(databases, order("two", theirs)),
        alice.list(Resource("", "v1", "pods", "Pod"), release),
        alice.list(SECRETS, release),
        alice.list(SECRETS, ours),
        alice.list(SECRETS, SYSTEM_NAMESPACE),
        alice.get(SECRETS, a["status"]["kubeconfig"]["secretName"], SYSTEM_NAMESPACE),
        alice.get(SECRETS, b["status"]["kubeconfig"]["secretName"], SYSTEM_NAMESPACE),
        alice.create(ROLES, {"metadata": {"name": "mine", "namespace": ours}, "rules": []}),
        alice.get(ROLE_BINDINGS, "chandlery:consumer", ours),
        alice.apply_status(databases, mine | {"status": {"notes": "forged"}}, "alice"),
        alice.list(OFFERINGS),
        alice.get(OFFERINGS, database),
        alice.get(CONSUMERS, access.name("a")),
        alice.list(NAMESPACES),
        alice.list(Resource("", "v1", "nodes", "Node", namespaced=False)),
        alice.list(databases, ours, impersonate="admin"),
    ):
        await refused(call)

    await alice.delete(databases, "one", ours)

    listed = await access.kubectl(CONSUMERS, "a", "auth", "can-i", "--list", "--no-headers")
    rows = {line.split()[0] for line in listed.splitlines() if line and not line.startswith(("[", " ", "W"))}
    everybody = {"selfsubjectreviews.authentication.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io"}
    everybody |= {"selfsubjectrulesreviews.authorization.k8s.io"}
    granted = {f"{databases.plural}.{databases.group}", f"{databases.plural}.{databases.group}/status"}
    assert rows == everybody | granted | {"events", "events.events.k8s.io", "resourcequotas"}
    assert "forbidden" in (await access.kubectl(CONSUMERS, "a", "get", "pods", "-n", release)).lower()
