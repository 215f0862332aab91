"""Cluster-scoped objects: made where the Offering names their kind, by its instances only, and gone with them."""

import json
from typing import Any

import pytest

from shared.errors import ApiError
from shared.helm import acting_as
from shared.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Resource
from shared.rights import role_of
from tests.archives import chart
from tests.e2e.test_chart_crds import chart as chart_with_crds
from tests.e2e.test_chart_crds import crd, group_of, widget
from tests.e2e.world import Serve, World

PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
NAME = "{{ .Release.Namespace }}"
PRIORITY = f"""
{{{{ if .Values.priority }}}}
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {{name: {NAME}}}
value: {{{{ .Values.priority }}}}
{{{{ end }}}}
"""
ROLE = f"""
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {NAME}}}
rules: [{{apiGroups: [""], resources: [nodes], verbs: [list]}}]
"""


def allow(*kinds: str) -> dict[str, Any]:
    return {"clusterScoped": list(kinds)}


async def binding(world: World, namespace: str) -> dict[str, Any] | None:
    return await world.cluster.get(CLUSTER_ROLE_BINDINGS, f"chandlery:{namespace}")


async def roles_gone(world: World, name: str) -> None:
    """They belong to the Offering: Kubernetes takes them away after it."""

    async def gone() -> bool:
        return name not in str(await world.cluster.list(CLUSTER_ROLES))

    await world.eventually(gone, f"no role names {name}")


async def test_an_allowed_kind_is_made_changed_and_taken_away(world: World, serve: Serve) -> None:
    url = serve(chart("priority: 5\n", all=PRIORITY))
    name = await world.offered("Thing", {"url": url}, policies=allow("PriorityClass"))
    await world.order("Thing", "one")
    ready = await world.ready("Thing", "one")
    namespace, uid = ready["status"]["release"]["namespace"], ready["metadata"]["uid"]
    made = await world.cluster.get(PRIORITY_CLASSES, namespace)
    assert made
    assert made["value"] == 5
    bound = await binding(world, namespace)
    assert bound
    assert bound["metadata"]["labels"]["chandlery.dev/instance-uid"] == uid
    with pytest.raises(ApiError, match="forbidden"):
        await world.cluster.list(CLUSTER_ROLES, impersonate=acting_as(namespace))

    await world.delete("Thing", "one")
    await world.gone("Thing", "one", uid)
    assert await world.cluster.get(PRIORITY_CLASSES, namespace) is None

    async def unbound() -> bool:
        return await binding(world, namespace) is None

    await world.eventually(unbound, "the binding is gone")
    await world.retire("Thing")
    await roles_gone(world, name)


async def test_a_kind_that_is_not_allowed_is_refused_until_it_is(world: World, serve: Serve) -> None:
    url = serve(chart("priority: 5\n", all=PRIORITY))
    await world.offer("Thing", {"url": url})
    said = await world.offering_says("Thing", "ChartReady", "ClusterScopedObject")
    assert "add PriorityClass to spec.policies.clusterScoped" in said["message"]
    assert world.offering_name("Thing") not in str(await world.cluster.list(CLUSTER_ROLES))
    await world.offered("Thing", {"url": url}, policies=allow("PriorityClass"))
    await world.order("Thing", "one")
    await world.ready("Thing", "one")


async def test_what_is_no_longer_allowed_can_still_be_taken_away(world: World, serve: Serve) -> None:
    url, parameters = serve(chart("priority: 5\nmood: good\n", all=PRIORITY)), [{"path": "mood"}]
    await world.offered("Thing", {"url": url}, parameters=parameters, policies=allow("PriorityClass"))
    await world.order("Thing", "one")
    ready = await world.ready("Thing", "one")
    namespace = ready["status"]["release"]["namespace"]
    await world.offered("Thing", {"url": url}, parameters=parameters, policies=allow(), values={"priority": None})

    async def taken_away() -> bool:
        return await world.cluster.get(PRIORITY_CLASSES, namespace) is None

    await world.eventually(taken_away, "the object is gone", lambda: world.instance("Thing", "one"))
    as_helm = ("--as", acting_as(namespace), "priorityclasses")
    assert "no" in world.kubectl("auth", "can-i", "create", *as_helm, fails=True)
    assert "yes" in world.kubectl("auth", "can-i", "delete", *as_helm)


async def test_a_chart_that_hands_out_rights_needs_them_and_the_administrator_may_add_them(
    world: World, serve: Serve
) -> None:
    url = serve(chart("mood: good\n", all=ROLE))
    name = await world.offered("Thing", {"url": url}, policies=allow("ClusterRole"))
    await world.order("Thing", "one")
    said = await world.says("Thing", "one", "Deployed", "Forbidden")
    assert f"label chandlery.dev/aggregate-to-offering: {name}" in said["message"]

    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}
    added = {"name": f"added-{world.id}", "labels": {"chandlery.dev/aggregate-to-offering": name}}
    await world.cluster.apply(CLUSTER_ROLES, {"metadata": added, "rules": [rule]}, "administrator")

    async def put_together() -> bool:
        return rule in ((await world.cluster.get(CLUSTER_ROLES, role_of(name))) or {})["rules"]

    await world.eventually(put_together, "the offering's role has it")
    await world.order("Thing", "one", mood="fine")  # else it is tried again later
    await world.ready("Thing", "one")
    await world.cluster.delete(CLUSTER_ROLES, f"added-{world.id}")


async def test_a_kind_that_is_not_served_or_lives_in_namespaces_is_refused(world: World, serve: Serve) -> None:
    url = serve(chart())
    await world.offer("Thing", {"url": url}, policies=allow("PriorityClass", "Klusterrole"))
    said = await world.offering_says("Thing", "ChartReady", "UnknownKind")
    assert said["message"].startswith("spec.policies.clusterScoped[1]: Klusterrole is not served by this cluster")
    await world.offer("Thing", {"url": url}, policies=allow("Role"))

    async def told() -> bool:
        return (
            "Role lives in namespaces" in (await world.offering_says("Thing", "ChartReady", "UnknownKind"))["message"]
        )

    await world.eventually(told, "a namespaced kind is refused")


async def test_a_cluster_scoped_kind_that_the_chart_itself_brings(world: World, serve: Serve) -> None:
    group = group_of(world)
    brought = crd(group, scope="Cluster")
    archive = chart_with_crds("1.0.0", brought, templates=widget(group, NAME))
    await world.offered("Thing", {"url": serve(archive)}, policies=allow("CustomResourceDefinition", "Widget"))
    await world.order("Thing", "one")
    ready = await world.ready("Thing", "one")
    widgets = Resource(group, "v1", "widgets", "Widget", namespaced=False)
    assert len((await world.cluster.list(widgets))["items"]) == 1
    await world.delete("Thing", "one")
    await world.gone("Thing", "one", ready["metadata"]["uid"])
    assert (await world.cluster.list(widgets))["items"] == []


async def test_namespaces_and_crds_in_templates_work_the_same_way(world: World, serve: Serve) -> None:
    home = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAME}-more}}\n"
    kind = chart_crd_template(group_of(world))
    url = serve(chart(home=home, crd=kind))
    policies = allow("Namespace", "CustomResourceDefinition") | {"limits": {"instances": 1}}
    await world.offered("Thing", {"url": url}, policies=policies)
    await world.order("Thing", "one")
    ready = await world.ready("Thing", "one")
    await world.delete("Thing", "one")
    await world.gone("Thing", "one", ready["metadata"]["uid"])


def chart_crd_template(group: str) -> str:
    return json.dumps({key: value for key, value in crd(group).items() if key != "status"})
