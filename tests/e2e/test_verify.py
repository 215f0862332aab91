"""Isolation is looked at, not believed: what is broken by hand is named, on the instance and in the terminal."""

import asyncio
import json
from typing import Any

from functions.verify_isolation import due
from shared.isolation import RBAC
from shared.resources import CONSUMERS, NETWORK_POLICIES, ROLE_BINDINGS, Resource
from tests.e2e.test_access import Access, access, chandlery, order
from tests.e2e.world import conditions

__all__ = ["access"]

SERVICES = Resource("", "v1", "services", "Service")


def test_of_all_ticks_one_in_ten_minutes_counts() -> None:
    assert [second for second in range(0, 1800, 30) if due(second, 30)] == [0, 600, 1200]
    assert due(601, 3600)


async def two(access: Access) -> tuple[str, str]:
    """Two consumers' instances of two Offerings; their namespaces."""
    world = access.world
    for kind in ("Database", "Cache"):
        await world.offered(kind, "small")
    await access.consumer("a", world.offering_name("Database"))
    await access.consumer("b", world.offering_name("Cache"))
    for who, kind in (("a", "Database"), ("b", "Cache")):
        theirs = await access.as_(CONSUMERS, who)
        await theirs.create(world.kind(kind), order("one", access.name(who)))
    return access.name("a"), access.name("b")


async def ready(access: Access, kind: str, namespace: str) -> dict[str, Any]:
    async def settled() -> dict[str, Any] | None:
        found = await access.world.cluster.get(access.world.kind(kind), "one", namespace)
        return found if conditions(found).get("Ready", {}).get("status") == "True" else None

    return await access.world.eventually(settled, f"{kind} is ready")


async def look(access: Access, instance: str) -> list[dict[str, str]]:
    return list(json.loads(await chandlery(access.world, "verify", "isolation", instance, "--output", "json")))


async def test_what_is_broken_is_named(access: Access) -> None:
    world = access.world
    ours, theirs = await two(access)
    mine = await ready(access, "Database", ours)
    await ready(access, "Cache", theirs)
    home = mine["status"]["release"]["namespace"]

    async def as_promised() -> bool:
        return not [each for each in await look(access, f"{ours}/one") if each["verdict"] == "wrong"]

    await world.eventually(as_promised, "everything is as promised")
    told = {each["verdict"] for each in await look(access, f"{ours}/one")}
    assert told == {"allowed", "denied"}

    alice = {"kind": "ServiceAccount", "name": f"consumer-{access.name('a')}", "namespace": "chandlery"}
    admin = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": "by-hand", "namespace": home}, "roleRef": admin, "subjects": [alice]}
    await world.cluster.create(ROLE_BINDINGS, binding)
    for namespace in (home, str((await ready(access, "Cache", theirs))["status"]["release"]["namespace"])):
        spec = {"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}
        await world.cluster.create(
            NETWORK_POLICIES, {"metadata": {"name": "open", "namespace": namespace}, "spec": spec}
        )

    wrong = [each["what"] for each in await look(access, f"{ours}/one") if each["verdict"] == "wrong"]
    assert any(each.startswith("may read the Secrets of the release") and "by-hand" in each for each in wrong)
    assert any(each.startswith(f"{home} reaches ") for each in wrong)

    said = await _verified(access, "Database", ours, "NotIsolated")
    assert "reaches" in said["message"] or "may " in said["message"]
    assert (await ready(access, "Database", ours))["metadata"]["uid"] == mine["metadata"]["uid"]  # and it runs on


async def test_the_condition_says_that_all_is_well(access: Access) -> None:
    ours, theirs = await two(access)
    await ready(access, "Database", ours)
    await ready(access, "Cache", theirs)
    said = await _verified(access, "Database", ours, "AsPromised")
    assert said["message"] == "rights, bounds and network are as promised"


async def _verified(access: Access, kind: str, namespace: str, reason: str) -> dict[str, Any]:
    world = access.world

    async def said() -> dict[str, Any] | None:
        await access.tick(seconds=3600)
        await asyncio.sleep(1)
        found = await world.cluster.get(world.kind(kind), "one", namespace)
        verified = conditions(found).get("Verified")
        return verified if verified and verified["reason"] == reason else None

    return await world.eventually(said, f"Verified says {reason}")


async def test_whoever_may_not_see_is_told_so(access: Access) -> None:
    ours, _ = await two(access)
    await ready(access, "Database", ours)
    path = str(await access.kubeconfig(CONSUMERS, "a"))
    said = await chandlery(access.world, "verify", "isolation", KUBECONFIG=path)
    assert "unseen" in said
    assert "Traceback" not in said
