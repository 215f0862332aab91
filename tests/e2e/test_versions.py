"""An API that changes while it is used: what may change in place, what may not, and two versions of one instance."""

import json
from typing import Any

from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, OFFERINGS, WORKLOADS, Resource
from tests.e2e.world import World, conditions, is_ready

REPLICAS = {"path": "replicaCount", "name": "replicas", "minimum": 1, "maximum": 5}
PULL = {"path": "image.pullPolicy", "name": "pull"}


def in_version(world: World, kind: str, version: str) -> Resource:
    found = world.kind(kind)
    return Resource(found.group, version, found.plural, found.kind)


async def offer(world: World, version: str, *parameters: dict[str, Any], **more: Any) -> int:
    """The Offering's generation."""
    api = {"group": world.kind("Hello").group, "kind": "Hello", "version": version}
    await world.offer("Hello", "hello", api=api, parameters=[*parameters], **more)
    found = await world.offering("Hello")
    return int((found or {})["metadata"]["generation"])


async def offered(world: World, version: str, *parameters: dict[str, Any], **more: Any) -> None:
    await offer(world, version, *parameters, **more)

    async def published() -> bool:
        return is_ready(await world.offering("Hello"))

    await world.eventually(published, "the offering is ready", lambda: world.offering("Hello"))


async def refused(world: World, reason: str, version: str, *parameters: dict[str, Any]) -> str:
    generation = await offer(world, version, *parameters)

    async def said() -> dict[str, Any] | None:
        stated = conditions(await world.offering("Hello")).get("Ready", {})
        return stated if stated.get("observedGeneration") == generation and stated["reason"] == reason else None

    return str((await world.eventually(said, f"Ready says {reason}", lambda: world.offering("Hello")))["message"])


async def spec_of(world: World, version: str, name: str) -> Any:
    found = await world.cluster.get(in_version(world, "Hello", version), name, world.namespace)
    return (found or {})["spec"]


async def test_a_change_that_breaks_nobody_goes_in_place(world: World) -> None:
    await offered(world, "v1alpha1", REPLICAS)
    await world.order("Hello", "one", replicas=2)
    ready = await world.ready("Hello", "one")
    await offered(world, "v1alpha1", {**REPLICAS, "maximum": 9}, PULL)
    await world.order("Hello", "one", replicas=2)
    after = await world.ready("Hello", "one")
    assert after["status"]["release"]["revision"] == ready["status"]["release"]["revision"] == 1


async def test_a_change_that_breaks_is_refused_with_whom_it_would_break(world: World) -> None:
    await offered(world, "v1alpha1", REPLICAS, PULL)
    await world.order("Hello", "one", replicas=4)
    await world.order("Hello", "two", replicas=1)
    for name in ("one", "two"):
        await world.ready("Hello", name)

    message = await refused(world, "BreakingChange", "v1alpha1", {**REPLICAS, "maximum": 3})
    assert message == (
        "spec: v1alpha1 would break for those who use it: "
        "spec.pull: was removed, spec.replicas: maximum was 5, is now 3. "
        f"Instances that would become invalid: {world.namespace}/one (spec.replicas: maximum is 3). "
        "Raise spec.api.version to v1alpha2, or undo the change; "
        "v1alpha1 is served as before, and existing instances stay as they are"
    )
    await world.order("Hello", "two", replicas=5)  # still right: the old API is what is served
    one = await world.instance("Hello", "one")
    assert one
    assert conditions(one)["Ready"]["status"] == "True"
    assert await world.revisions(one["status"]["release"]["namespace"]) == [(1, "deployed")]

    await offered(world, "v1alpha1", REPLICAS, PULL)
    await world.ready("Hello", "two")


async def test_without_instances_anything_may_change(world: World) -> None:
    await offered(world, "v1alpha1", REPLICAS, PULL)
    await offered(world, "v1alpha1", {**REPLICAS, "maximum": 3})


async def test_a_renamed_parameter_is_there_in_both_versions(world: World) -> None:
    await offered(world, "v1alpha1", REPLICAS, PULL)
    await world.order("Hello", "one", replicas=2, pull="Always")
    first = await world.ready("Hello", "one")
    release = first["status"]["release"]

    await offered(world, "v1alpha2", {**REPLICAS, "name": "pods"}, {**PULL, "name": "image.pull"})
    assert await spec_of(world, "v1alpha1", "one") == {"replicas": 2, "pull": "Always"}
    assert await spec_of(world, "v1alpha2", "one") == {"pods": 2, "image": {"pull": "Always"}}
    group = world.kind("Hello").group
    seen = world.kubectl("-n", world.namespace, "get", f"hellos.v1alpha1.{group}", "one", "-o", "json")
    assert json.loads(seen[seen.index("{") : seen.rindex("}") + 1])["spec"] == {"replicas": 2, "pull": "Always"}

    # Orders in the old version and in the new one come to the same.
    await world.order_as("v1alpha1", "Hello", "two", replicas=3, pull="Never")
    await world.order_as("v1alpha2", "Hello", "three", pods=3, image={"pull": "Never"})
    for name in ("two", "three"):
        found = await world.ready("Hello", name)
        namespace = found["status"]["release"]["namespace"]
        deployment = (await world.cluster.list(WORKLOADS[0], namespace))["items"][0]
        assert deployment["spec"]["replicas"] == 3
        assert deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Never"

    # Nothing was installed again for the sake of the conversion.
    offering = await world.offering("Hello")

    async def followed() -> Any:
        found = await world.instance("Hello", "one")
        status = (found or {})["status"]["release"]
        return status if status["offeringGeneration"] == (offering or {})["metadata"]["generation"] else None

    after = await world.eventually(followed, "the instance follows", lambda: world.instance("Hello", "one"))
    assert (after["revision"], after["inputs"]) == (1, release["inputs"])
    assert await world.revisions(release["namespace"]) == [(1, "deployed")]

    # Changed in the old version, it changes; and goes.
    await world.order("Hello", "one", replicas=4, pull="Always")
    changed = await world.ready("Hello", "one")
    assert changed["status"]["release"]["revision"] == 2
    assert await spec_of(world, "v1alpha2", "one") == {"pods": 4, "image": {"pull": "Always"}}
    for name in ("one", "two", "three"):
        leaving = await world.instance("Hello", name)
        await world.delete("Hello", name)
        await world.gone("Hello", name, (leaving or {})["metadata"]["uid"])
    await world.retire("Hello")


async def test_what_only_one_version_knows_survives_the_other(world: World) -> None:
    await offered(world, "v1", REPLICAS)
    await world.order_as("v1", "Hello", "one", replicas=2)
    await offered(world, "v2", REPLICAS, PULL)
    await world.order_as("v2", "Hello", "one", replicas=2, pull="Always")
    assert await spec_of(world, "v1", "one") == {"replicas": 2}
    world.kubectl(
        *("-n", world.namespace, "patch", f"hellos.v1.{world.kind('Hello').group}", "one", "--type=merge"),
        *("-p", '{"spec":{"replicas":3}}'),
    )
    assert await spec_of(world, "v2", "one") == {"replicas": 3, "pull": "Always"}


async def test_a_version_that_some_instances_do_not_fit_waits_for_them(world: World) -> None:
    await offered(world, "v1alpha1", REPLICAS, PULL)
    await world.order("Hello", "one", replicas=4, pull="Always")
    await world.order("Hello", "two", replicas=1)
    message = await refused(world, "InstancesMustMigrate", "v1alpha2", {**REPLICAS, "maximum": 3})
    assert message == (
        f"spec.api.version: 1 of 2 instances would be invalid in v1alpha2: {world.namespace}/one "
        "(the chart's value image.pullPolicy can't be set as it is in v1alpha2, spec.replicas: maximum is 3). "
        "Change them in v1alpha1, or make v1alpha2 take them; "
        "until then v1alpha1 is served as before, and existing instances stay as they are"
    )
    await world.order("Hello", "one", replicas=3)

    async def published() -> bool:
        await world.cluster.apply(
            OFFERINGS,
            {"metadata": {"name": world.offering_name("Hello"), "annotations": {"chandlery.dev/try": "2"}}},
            "x",
        )
        return is_ready(await world.offering("Hello"))

    await world.eventually(published, "the new version is published", lambda: world.offering("Hello"))
    for name in ("one", "two"):
        await world.ready("Hello", name)

    # What the old version still lets through is refused by the new one's bounds.
    await world.order("Hello", "two", replicas=5)
    said = await world.says("Hello", "two", "Accepted", "InvalidInVersion")
    group = world.kind("Hello").group
    assert said["message"] == f"as {group}/v1alpha2, the newest: spec.replicas: maximum is 3; write it as that"


async def test_versions_only_go_up(world: World) -> None:
    await offered(world, "v1beta1", REPLICAS)
    message = await refused(world, "VersionLowered", "v1alpha7", REPLICAS)
    assert message == (
        "spec.api.version: instances are stored as v1beta1, and versions only go up; "
        "use v1beta1, or v1beta2 for a breaking change"
    )
    await offered(world, "v1beta1", REPLICAS)
    crd = await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, f"hellos.{world.kind('Hello').group}")
    assert [each["name"] for each in (crd or {})["spec"]["versions"]] == ["v1beta1"]


async def test_a_version_that_changes_nothing_needs_no_conversion(world: World) -> None:
    await offered(world, "v1alpha1", REPLICAS)
    await world.order("Hello", "one", replicas=2)
    await world.ready("Hello", "one")
    await offered(world, "v1", REPLICAS)
    assert await spec_of(world, "v1", "one") == {"replicas": 2}
    crd = await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, f"hellos.{world.kind('Hello').group}")
    assert (crd or {})["spec"]["conversion"] == {"strategy": "None"}
