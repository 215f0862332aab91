"""Every instance is bounded before anything runs in it, and stays so: on a real API server, through a real Broker."""

import subprocess
from typing import Any

import pytest

from shared.errors import ApiError
from shared.resources import LIMIT_RANGES, NETWORK_POLICIES, RESOURCE_QUOTAS, SERVICE_ACCOUNTS, Resource
from tests.e2e.world import World

BOUNDED: dict[str, Any] = {
    "quota": {"pods": "10", "requests.storage": "5Gi"},
    "pods": {"requests": {"cpu": "50m"}, "limits": {"cpu": "1", "memory": "256Mi"}},
    "podSecurity": "baseline",
    "storageClasses": ["standard"],
}
SERVICES = Resource("", "v1", "services", "Service")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")


async def housed(world: World, name: str = "one", **policies: Any) -> str:
    await world.offered("Small", "small", parameters=[{"path": "message"}], policies=policies)
    await world.order("Small", name)
    return str((await world.ready("Small", name))["status"]["release"]["namespace"])


async def test_all_policies_are_in_force(world: World) -> None:
    home = await housed(world, **BOUNDED)
    quota = await world.cluster.get(RESOURCE_QUOTAS, "chandlery", home)
    limits = await world.cluster.get(LIMIT_RANGES, "chandlery", home)
    network = await world.cluster.get(NETWORK_POLICIES, "chandlery", home)
    account = await world.cluster.get(SERVICE_ACCOUNTS, "default", home)
    assert quota and limits and network and account
    assert quota["spec"]["hard"] == {"pods": "10", "requests.storage": "5Gi"}
    assert limits["spec"]["limits"][0]["max"] == {"cpu": "1", "memory": "256Mi"}
    assert network["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert account["automountServiceAccountToken"] is False


async def test_what_is_changed_or_deleted_by_hand_comes_back(world: World) -> None:
    home = await housed(world, **BOUNDED)
    before = await world.cluster.get(NETWORK_POLICIES, "chandlery", home)
    assert before
    raised = [{"op": "add", "path": "/spec/hard/pods", "value": "999"}]
    await world.cluster.patch(RESOURCE_QUOTAS, "chandlery", raised, home)
    await world.cluster.delete(NETWORK_POLICIES, "chandlery", home)

    async def mended() -> bool:
        quota = await world.cluster.get(RESOURCE_QUOTAS, "chandlery", home)
        network = await world.cluster.get(NETWORK_POLICIES, "chandlery", home)
        return bool(quota and network and quota["spec"]["hard"]["pods"] == "10" and network["spec"] == before["spec"])

    await world.eventually(mended, "quota and network policy are as they were")


async def test_a_change_of_the_offering_reaches_a_living_instance(world: World) -> None:
    home = await housed(world, **BOUNDED)
    await world.offered("Small", "small", parameters=[{"path": "message"}], policies={"quota": {"pods": "7"}})

    async def changed() -> bool:
        quota = await world.cluster.get(RESOURCE_QUOTAS, "chandlery", home)
        limits = await world.cluster.get(LIMIT_RANGES, "chandlery", home)
        return bool(quota and quota["spec"]["hard"] == {"pods": "7"} and limits is None)

    await world.eventually(changed, "the new quota is in force, and the limit range gone")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"type": "NodePort", "ports": [{"port": 80}]}, "spec.type: NodePort is not among"),
        ({"externalIPs": ["10.1.2.3"], "ports": [{"port": 80}]}, "spec.externalIPs"),
    ],
    ids=["type", "external address"],
)
async def test_a_forbidden_service_is_refused_whoever_makes_it(world: World, spec: dict[str, Any], told: str) -> None:
    home = await housed(world)
    with pytest.raises(ApiError, match=told):
        await world.cluster.create(SERVICES, {"metadata": {"name": "leak", "namespace": home}, "spec": spec})


async def test_a_storage_class_outside_the_list_is_refused_whoever_asks(world: World) -> None:
    home = await housed(world, **BOUNDED)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"metadata": {"name": "data", "namespace": home}, "spec": spec | {"storageClassName": "gold"}}
    with pytest.raises(ApiError, match="gold is not among those the offering allows: standard"):
        await world.cluster.create(CLAIMS, body)
    await world.cluster.create(CLAIMS, {"metadata": {"name": "data", "namespace": home}, "spec": spec})


async def test_a_pair_is_open_when_each_names_the_other(world: World) -> None:
    await housed(world, "one")
    await world.order("Small", "two")
    homes = {name: (await world.ready("Small", name))["status"]["release"]["namespace"] for name in ("one", "two")}
    kind = world.kind("Small")

    async def annotate(name: str, peer: str) -> None:
        named = f"{kind.plural}.{kind.group}/{world.namespace}/{peer}" if peer else ""
        change = [{"op": "add", "path": "/metadata/annotations", "value": {"chandlery.dev/network-peers": named}}]
        await world.cluster.patch(kind, name, change, world.namespace)

    async def opened() -> dict[str, bool]:
        found = {}
        for name, other in (("one", "two"), ("two", "one")):
            network = await world.cluster.get(NETWORK_POLICIES, "chandlery", homes[name])
            found[name] = bool(network) and homes[other] in str(network)
        return found

    await annotate("one", "two")
    assert await opened() == {"one": False, "two": False}
    await annotate("two", "one")

    async def both() -> bool:
        return all((await opened()).values())

    await world.eventually(both, "both are open")
    await annotate("one", "")

    async def neither() -> bool:
        return not any((await opened()).values())

    await world.eventually(neither, "both are closed")


async def test_two_instances_are_opened_and_closed(world: World) -> None:
    await world.offered("Small", "small", parameters=[])
    for name in ("one", "two"):
        await world.order("Small", name)
        await world.ready("Small", name)
    kind = world.kind("Small")
    one, two = (f"{kind.plural}.{kind.group}/{world.namespace}/{name}" for name in ("one", "two"))

    def run(*arguments: str) -> str:
        command = [str(world.stack.layout.bin / "chandlery"), "network", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    async def annotations() -> list[Any]:
        found = [await world.instance("Small", name) for name in ("one", "two")]
        return [(each or {})["metadata"]["annotations"]["chandlery.dev/network-peers"] for each in found]

    assert run("allow", one, two) == f"{one} is open to {two}\n{two} is open to {one}\n"
    assert await annotations() == [two, one]
    assert run("deny", one, two) == f"{one} is closed to {two}\n{two} is closed to {one}\n"
    assert await annotations() == ["", ""]
