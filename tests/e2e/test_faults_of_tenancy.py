"""The steps that isolate an instance, killed between two writes: it ends as if nothing had been."""

import asyncio
from typing import Any

import pytest

from shared import policies
from shared.counts import COUNTS, counts
from shared.resources import (
    CONSUMERS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from tests.e2e.fault_proxy import FaultProxy
from tests.e2e.test_faults import PARAMETERS, fault_cluster, ticking, world
from tests.e2e.test_policies import BOUNDED
from tests.e2e.world import World, conditions

__all__ = ["fault_cluster", "ticking", "world"]

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

STRICT: dict[str, Any] = BOUNDED | {"network": {"isolation": "Strict"}}
KEPT = (RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES)


async def bounded(world: World) -> None:
    """Ready, installed once, and everything in force."""
    ready = await world.ready("Small", "one")
    home = ready["status"]["release"]["namespace"]
    assert await world.revisions(home) == [(1, "deployed")]
    found = [await world.cluster.get(kind, policies.NAME, home) for kind in KEPT]
    assert all(found)
    assert found[0]
    assert found[0]["spec"]["hard"] == BOUNDED["quota"]
    account = await world.cluster.get(SERVICE_ACCOUNTS, "default", home)
    assert account
    assert account["automountServiceAccountToken"] is False
    namespace = await world.cluster.get(NAMESPACES, home)
    assert namespace
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("after", [1, 2, 4, 6])
async def test_apply_policies_is_killed_right_after_a_write(world: World, after: int) -> None:
    await world.offered("Small", "small", policies=STRICT)
    async with FaultProxy.before(world.stack, "apply-policies", kill_after=after) as proxy:
        await world.order("Small", "one")
        await bounded(world)
        assert proxy.kills


@pytest.mark.usefixtures("ticking")
async def test_install_release_is_killed_while_helm_waits_for_its_review(world: World) -> None:
    await world.offered("Small", "small", policies=STRICT)
    async with FaultProxy.before(world.stack, "install-release", kill_after=1) as proxy:
        await world.order("Small", "one")
        await bounded(world)
        assert [kill.rpartition("/")[2] for kill in proxy.kills] == ["pods"]  # a dry run, which Pod Security judges


@pytest.mark.usefixtures("ticking")
async def test_a_refused_release_stays_refused_when_its_review_is_killed(world: World) -> None:
    await world.offered("Hello", "hello", parameters=PARAMETERS, policies=STRICT)
    async with FaultProxy.before(world.stack, "install-release", kill_after=1) as proxy:
        await world.order("Hello", "one", replicas=20)  # of 10 pods

        async def refused() -> bool:
            found = await world.instance("Hello", "one")
            return conditions(found).get("Accepted", {}).get("status") == "False"

        await world.eventually(refused, "it is refused", lambda: world.instance("Hello", "one"))
        assert proxy.kills
    found = await world.instance("Hello", "one")
    assert found
    (home,) = await world.release_namespaces(found["metadata"]["uid"])
    assert await world.revisions(home) == []


@pytest.mark.usefixtures("ticking")
async def test_share_secrets_is_killed_right_after_it_made_a_copy(world: World) -> None:
    exports = [{"secret": "$(release.name)-postgres", "keys": ["password"], "as": "login"}]
    await world.offered("Database", "postgres", exports=exports)
    async with FaultProxy.before(world.stack, "share-secrets", kill_after=1) as proxy:
        await world.order("Database", "one")
        ready = await world.ready("Database", "one")

        async def told() -> bool:
            found = await world.instance("Database", "one")
            return bool((found or {}).get("status", {}).get("exports") == ["one-login"])

        await world.eventually(told, "the copy is told of", lambda: world.instance("Database", "one"))
        assert proxy.kills
    copy = await world.cluster.get(SECRETS, "one-login", world.namespace)
    source = await world.cluster.get(SECRETS, "one-postgres", ready["status"]["release"]["namespace"])
    assert copy
    assert source
    assert copy["data"] == {"password": source["data"]["password"]}


@pytest.mark.usefixtures("ticking")
async def test_limit_namespaces_is_killed_before_it_knows_whether_kubernetes_counts(world: World) -> None:
    name = await world.offered("Small", "small", policies={"limits": {"instancesPerNamespace": 2}})
    home = f"counted-{world.id}"
    consumer = {"metadata": {"name": home}, "spec": {"offerings": [name]}}
    await world.cluster.apply(CONSUMERS, consumer, "admin")
    try:
        async with FaultProxy.before(world.stack, "limit-namespaces", kill_after=1) as proxy:

            async def counted() -> bool:
                found = (await world.cluster.list(RESOURCE_QUOTAS, home, labels=COUNTS))["items"]
                await asyncio.sleep(1)
                return bool(proxy.kills) and bool(found) and all(counts(each) for each in found)

            await world.eventually(counted, "Kubernetes counts", limit=150)
    finally:
        await world.cluster.delete(CONSUMERS, home)
