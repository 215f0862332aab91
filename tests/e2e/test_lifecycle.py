"""The main job, whole: an Offering becomes an API, an order a release, changes follow, what is deleted is gone."""

import base64
from typing import Any

import pytest

from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, KUBERNETES_EVENTS, SECRETS, WORKLOADS
from tests.e2e.world import World, conditions, is_ready

DEPLOYMENTS = WORKLOADS[0]

CHARTS = [
    pytest.param("Hello", "hello", {"replicaCount": 3}, id="scaffold"),
    pytest.param("Database", "postgres", {"primary": {"replicaCount": 3}}, id="stateful"),
    pytest.param("Shop", "shop", {"replicaCount": 3}, id="subchart"),
]


@pytest.mark.parametrize(("kind", "chart", "three"), CHARTS)
async def test_a_chart_becomes_a_service_and_goes_again(
    world: World, kind: str, chart: str, three: dict[str, Any]
) -> None:
    await world.offered(kind, chart)
    await world.order(kind, "one")
    ready = await world.ready(kind, "one")

    release = ready["status"]["release"]
    uid = ready["metadata"]["uid"]
    assert await world.release_namespaces(uid) == [release["namespace"]]
    assert await world.revisions(release["namespace"]) == [(1, "deployed")]
    assert {each["status"] for each in conditions(ready).values()} == {"True"}
    assert set(conditions(ready)) == {"Accepted", "Isolated", "Deployed", "Ready"}
    assert ready["status"]["endpoints"]
    assert ready["status"]["notes"]
    assert release["digest"].startswith("sha256:")

    await world.order(kind, "one", **three)
    changed = await world.ready(kind, "one")
    assert changed["status"]["release"]["revision"] == 2
    workloads = [
        each
        for resource in WORKLOADS[:2]
        for each in (await world.cluster.list(resource, release["namespace"]))["items"]
    ]
    assert 3 in {each["spec"]["replicas"] for each in workloads}

    await world.delete(kind, "one")
    await world.gone(kind, "one", uid)
    await world.retire(kind)
    crd = f"{world.kind(kind).plural}.{world.kind(kind).group}"
    assert await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, crd) is None


async def test_kubectl_describe_tells_of_the_steps(world: World) -> None:
    await world.offered("Hello", "hello")
    await world.order("Hello", "one")
    ready = await world.ready("Hello", "one")

    async def told() -> set[tuple[str, str]] | None:
        found = (await world.cluster.list(KUBERNETES_EVENTS, ready["metadata"]["namespace"]))["items"]
        mine = [each for each in found if each["regarding"].get("uid") == ready["metadata"]["uid"]]
        said = {(each["action"], each["reportingInstance"]) for each in mine}
        return said if len(said) > 1 else None

    assert await world.eventually(told, "the steps are told") == {
        ("Deployed", "install_release"),
        ("Ready", "report_health"),
    }


async def test_a_generated_password_is_kept_over_upgrades(world: World) -> None:
    parameters = [
        {"path": "primary.persistence.size", "name": "storage"},
        {"path": "primary.replicaCount", "name": "replicas"},
    ]
    await world.offered("Database", "postgres", parameters=parameters)
    await world.order("Database", "orders", storage="5Gi")
    ready = await world.ready("Database", "orders")
    namespace = ready["status"]["release"]["namespace"]

    async def passwords() -> set[str]:
        found = (await world.cluster.list(SECRETS, namespace))["items"]
        own = [each for each in found if each["type"] == "Opaque"]
        return {base64.b64decode(value).decode() for each in own for value in each["data"].values()}

    before = await passwords()
    assert before
    await world.order("Database", "orders", storage="5Gi", replicas=2)
    changed = await world.ready("Database", "orders")
    assert changed["status"]["release"]["revision"] == 2
    assert await passwords() == before


async def test_instances_follow_their_offering(world: World) -> None:
    await world.offered("Hello", "hello", parameters=[{"path": "replicaCount", "name": "replicas"}])
    for name in ("one", "two"):
        await world.order("Hello", name, replicas=1)
    for name in ("one", "two"):
        await world.ready("Hello", name)

    await world.offer(
        "Hello", "hello", parameters=[{"path": "replicaCount", "name": "replicas"}], values={"replicaCount": 3}
    )

    async def followed() -> bool:
        found = [await world.instance("Hello", name) for name in ("one", "two")]
        return all(each and is_ready(each) and each["status"]["release"]["revision"] == 2 for each in found)

    await world.eventually(followed, "both instances follow")
    found = await world.instance("Hello", "one")
    assert found
    deployment = (await world.cluster.list(DEPLOYMENTS, found["status"]["release"]["namespace"]))["items"][0]
    assert deployment["spec"]["replicas"] == 3


async def test_an_offering_with_living_instances_waits_and_says_for_whom(world: World) -> None:
    await world.offered("Hello", "hello")
    await world.order("Hello", "one")
    ready = await world.ready("Hello", "one")
    world.kubectl("delete", "offering", world.offering_name("Hello"), "--wait=false")
    said = await world.offering_says("Hello", "Ready", "InstancesRemain")
    assert said["message"] == f"waits for 1 instance to be deleted: {world.namespace}/one"

    await world.delete("Hello", "one")
    await world.gone("Hello", "one", ready["metadata"]["uid"])

    async def retired() -> bool:
        return await world.offering("Hello") is None

    await world.eventually(retired, "the offering goes by itself")


async def test_the_offering_counts_its_instances(world: World) -> None:
    await world.offered("Hello", "hello")
    for name in ("one", "two"):
        await world.order("Hello", name)

    async def counted() -> bool:
        found = await world.offering("Hello")
        return (found or {})["status"].get("instances") == {"total": 2, "ready": 2, "failed": 0}

    await world.eventually(counted, "two ready instances are counted", lambda: world.offering("Hello"))


async def test_what_people_see(world: World) -> None:
    await world.offered(
        "Hello", "hello", parameters=[{"path": "replicaCount", "name": "replicas", "description": "How many pods"}]
    )
    await world.order("Hello", "one", replicas=1)
    await world.ready("Hello", "one")
    plural = f"{world.kind('Hello').plural}.{world.kind('Hello').group}"
    listed = world.kubectl("-n", world.namespace, "get", plural)
    assert listed.split()[:5] == ["NAME", "READY", "REASON", "NAMESPACE", "AGE"]
    assert "True" in listed

    async def explained() -> bool:
        """The API server documents a new kind a moment after it serves it."""
        try:
            return "How many pods" in world.kubectl("explain", f"{plural}.spec")
        except AssertionError:
            return False

    await world.eventually(explained, "kubectl explain tells what a parameter is")
    offerings = world.kubectl("get", "offerings")
    assert offerings.split()[:8] == ["NAME", "CHART", "VERSION", "API", "INSTANCES", "READY", "REASON", "AGE"]
