"""CRDs that charts bring: made when allowed, shared, never taken from anybody, gone when nobody needs them."""

from typing import Any

import yaml

from shared.resources import CLUSTER_ROLES, CUSTOM_RESOURCE_DEFINITIONS, Resource
from tests.archives import archive
from tests.e2e.world import Serve, World, conditions

ALLOWED = {"clusterScoped": ["CustomResourceDefinition"]}


def crd(group: str, kind: str = "Widget", *fields: str, scope: str = "Namespaced") -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    spec = {"type": "object", "properties": {name: {"type": "string"} for name in ("color", *fields)}}
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "creationTimestamp": None},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
        "status": {"storedVersions": []},
    }


def chart(version: str, *crds: dict[str, Any], templates: str = "", within: str = "") -> bytes:
    files = {
        "Chart.yaml": f"apiVersion: v2\nname: made\nversion: {version}\n",
        "values.yaml": "color: red\n",
        "templates/all.yaml": templates,
    }
    if within:
        files[f"{within}Chart.yaml"] = "apiVersion: v2\nname: inner\nversion: 0.1.0\n"
    return archive(files | ({f"{within}crds/all.yaml": yaml.safe_dump_all(crds)} if crds else {}))


def widget(group: str, name: str = "{{ .Release.Name }}", kind: str = "Widget") -> str:
    spec = "spec: {color: {{ .Values.color }}}"
    return f"apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{spec}\n"


def group_of(world: World) -> str:
    return f"w{world.id}.example.org"


def widgets(world: World) -> Resource:
    return Resource(group_of(world), "v1", "widgets", "Widget")


async def found(world: World) -> dict[str, Any] | None:
    return await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, f"widgets.{group_of(world)}")


async def fields(world: World) -> set[str]:
    schema = ((await found(world)) or {})["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return set(schema["properties"]["spec"]["properties"])


async def test_a_chart_with_crds_is_refused_unless_they_are_allowed(world: World, serve: Serve) -> None:
    group = group_of(world)
    url = serve(chart("1.0.0", crd(group), templates=widget(group)))
    await world.offer("Shop", {"url": url})
    said = await world.offering_says("Shop", "ChartReady", "ClusterScopedObject")
    assert said["message"] == (
        f"crds/all.yaml: CustomResourceDefinition/widgets.{group} would be installed for the whole cluster; "
        "add CustomResourceDefinition to spec.policies.clusterScoped"
    )
    assert await found(world) is None


async def test_what_a_chart_brings_is_there_for_its_instances_and_goes_with_the_offering(
    world: World, serve: Serve
) -> None:
    group = group_of(world)
    url = serve(chart("1.0.0", crd(group), templates=widget(group), within="charts/inner/"))
    name = await world.offered("Shop", {"url": url}, policies=ALLOWED)
    await world.order("Shop", "one")
    ready = await world.ready("Shop", "one")
    namespace = ready["status"]["release"]["namespace"]
    assert [each["spec"] for each in (await world.cluster.list(widgets(world), namespace))["items"]] == [
        {"color": "red"}
    ]
    await world.order("Shop", "one", color="blue")
    await world.ready("Shop", "one")
    assert (await world.cluster.list(widgets(world), namespace))["items"][0]["spec"] == {"color": "blue"}

    stray = {"metadata": {"name": "stray", "namespace": world.namespace}, "spec": {"color": "green"}}
    await world.cluster.apply(widgets(world), stray, "test")
    await world.delete("Shop", "one")
    await world.gone("Shop", "one", ready["metadata"]["uid"])
    world.kubectl("delete", "offering", name, "--wait=false")
    said = await world.offering_says("Shop", "Ready", "ObjectsRemain")
    assert f"1 object of widgets.{group}: {world.namespace}/stray" in said["message"]
    await world.cluster.delete(widgets(world), "stray", world.namespace)
    await world.retire("Shop")

    async def gone() -> bool:
        return await found(world) is None

    await world.eventually(gone, "the CRD is gone")

    async def no_rights_left() -> bool:
        roles = str(await world.cluster.list(CLUSTER_ROLES))
        return name not in roles and group not in roles

    await world.eventually(no_rights_left, "no role names the offering or the kind")


async def test_the_newest_chart_wins_and_the_last_offering_takes_it_away(world: World, serve: Serve) -> None:
    group = group_of(world)
    old, new = serve(chart("1.9.0", crd(group))), serve(chart("1.10.0", crd(group, "Widget", "size")))
    await world.offered("Old", {"url": old}, policies=ALLOWED)
    assert await fields(world) == {"color"}
    await world.offered("New", {"url": new}, policies=ALLOWED)
    assert await fields(world) == {"color", "size"}
    await world.offered("Again", {"url": old}, policies=ALLOWED)
    assert await fields(world) == {"color", "size"}
    annotations = ((await found(world)) or {})["metadata"]["annotations"]
    assert {key: value for key, value in annotations.items() if key.startswith("offering.")} == {
        f"offering.chandlery.dev/{world.offering_name(kind)}": version
        for kind, version in {"Old": "1.9.0", "New": "1.10.0", "Again": "1.9.0"}.items()
    }
    await world.retire("New")
    assert await fields(world) == {"color", "size"}
    await world.retire("Old")
    assert await found(world) is not None
    await world.offered("Again", {"url": serve(chart("2.0.0"))}, policies=ALLOWED)

    async def gone() -> bool:
        return await found(world) is None

    await world.eventually(gone, "the CRD that no chart brings is gone")


async def test_somebody_elses_crd_is_used_as_it_is(world: World, serve: Serve) -> None:
    group = group_of(world)
    await world.cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, crd(group), "somebody")
    url = serve(chart("1.0.0", crd(group, "Widget", "size"), templates=widget(group)))
    await world.offered("Shop", {"url": url}, policies=ALLOWED)
    said = conditions(await world.offering("Shop"))["ChartReady"]["message"]
    assert said.endswith(f"; not of this chart and used as they are: widgets.{group}")
    assert await fields(world) == {"color"}
    await world.order("Shop", "one")
    ready = await world.ready("Shop", "one")
    await world.delete("Shop", "one")
    await world.gone("Shop", "one", ready["metadata"]["uid"])
    await world.retire("Shop")
    assert "offering.chandlery.dev" not in str(await found(world))
    await world.cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, f"widgets.{group}")


async def test_a_chart_may_not_bring_kinds_of_ours(world: World, serve: Serve) -> None:
    await world.offered("Hello", "hello")
    generated = crd(world.kind("Hello").group, "Hello")
    await world.offer("Shop", {"url": serve(chart("1.0.0", generated))}, policies=ALLOWED)
    said = await world.offering_says("Shop", "ChartReady", "ClusterScopedObject")
    assert "a kind of Chandlery's own" in said["message"]


async def test_a_crd_that_the_api_server_refuses_is_told(world: World, serve: Serve) -> None:
    broken = crd(group_of(world))
    broken["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": {"type": "objekt"}}
    await world.offer("Shop", {"url": serve(chart("1.0.0", broken))}, policies=ALLOWED)
    said = await world.offering_says("Shop", "ChartReady", "InvalidCrd")
    assert "objekt" in said["message"]
