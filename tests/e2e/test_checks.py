"""A chart is looked at before its API is published: what is wrong is said on the Offering, what is found is kept."""

from typing import Any

import pytest
import yaml

from shared.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, SYSTEM_NAMESPACE
from tests.archives import CHART, archive, chart
from tests.e2e.world import Serve, World

ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME}
rules: []
"""
WEB = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: nginx, resources: {requests: {memory: 2Gi}}}]
"""
CLAIM = """apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: slow, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec: {group: example.com, names: {kind: Thing, plural: things}, scope: Namespaced, versions: []}
"""
REFUSED = [
    pytest.param(
        chart("rbac: {create: true}\n", role="{{ if .Values.rbac.create }}\n" + ROLE + "{{ end }}\n"),
        {},
        "ClusterScopedObject",
        [
            "templates/role.yaml: ClusterRole/NAME does not live in a namespace",
            "add ClusterRole to spec.policies.clusterScoped, or switch it off with spec.values: rbac.create: false",
        ],
        id="a cluster-scoped object",
    ),
    pytest.param(
        archive({"Chart.yaml": CHART, "crds/thing.yaml": CRD}),
        {},
        "ClusterScopedObject",
        ["crds/thing.yaml: CustomResourceDefinition/things.example.com", "add CustomResourceDefinition"],
        id="a CRD",
    ),
    pytest.param(
        chart("", role=ROLE),
        {"policies": {"clusterScoped": ["ClusterRole"]}},
        "FixedName",
        ["ClusterRole/NAME is called the same in every instance", "$(release.namespace)"],
        id="a fixed name",
    ),
    pytest.param(
        chart("", config="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n"),
        {},
        "ForeignNamespace",
        ["templates/config.yaml: ConfigMap/x has metadata.namespace kube-system"],
        id="another namespace",
    ),
    pytest.param(
        chart("", monitor="apiVersion: monitoring.example.com/v1\nkind: Monitor\nmetadata: {name: x}\n"),
        {},
        "UnknownKind",
        ["Monitor/x is of monitoring.example.com/v1, which this cluster does not serve", "install its CRD first"],
        id="an unknown kind",
    ),
    pytest.param(
        chart("", claim=CLAIM),
        {"policies": {"storageClasses": ["fast"]}},
        "StorageClassNotAllowed",
        ["PersistentVolumeClaim/data asks for storageClassName 'slow'; allowed: fast"],
        id="a storage class",
    ),
    pytest.param(
        chart("replicas: 3\n", web=WEB),
        {"plans": [{"name": "small", "quota": {"requests.memory": "4Gi"}}, {"name": "free"}]},
        "ExceedsQuota",
        ["spec.plans[small].quota.requests.memory", "asks for 6Gi, 4Gi is allowed (Deployment/web 6Gi)"],
        id="a plan's quota",
    ),
    pytest.param(
        chart("password: ''\n", config='{{ required "password is needed" .Values.password }}\n'),
        {},
        "TemplateFailed",
        ["spec.values: the chart does not render: ", "password is needed", "required: true"],
        id="a template that fails",
    ),
    pytest.param(
        chart("size: s\n", config='{{ if ne .Values.size "s" }}{{ fail "only s" }}{{ end }}\n'),
        {"plans": [{"name": "s", "default": True}, {"name": "m", "values": {"size": "m"}}]},
        "TemplateFailed",
        ["spec.plans[m].values: the chart does not render on plan m: ", "only s"],
        id="a plan that fails",
    ),
]


@pytest.mark.parametrize(("body", "spec", "reason", "said"), REFUSED)
async def test_what_could_not_be_installed_is_refused_with_its_fix(
    world: World, serve: Serve, body: bytes, spec: dict[str, Any], reason: str, said: list[str]
) -> None:
    await world.offer("Thing", {"url": serve(body)}, **spec)
    stated = await world.offering_says("Thing", "ChartReady", reason)
    assert [part for part in said if part not in stated["message"]] == []
    assert (await world.offering_says("Thing", "Ready", reason))["message"] == stated["message"]
    crd = f"{world.kind('Thing').plural}.{world.kind('Thing').group}"
    assert await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, crd) is None


async def test_a_refused_chart_is_offered_once_it_is_allowed(world: World, serve: Serve) -> None:
    url = serve(chart("", role=ROLE.replace("NAME", "{{ .Release.Namespace }}")))
    await world.offer("Thing", {"url": url})
    await world.offering_says("Thing", "ChartReady", "ClusterScopedObject")
    await world.offered("Thing", {"url": url}, policies={"clusterScoped": ["ClusterRole"]})


async def test_a_value_that_every_consumer_must_give_is_no_reason_to_refuse(world: World, serve: Serve) -> None:
    url = serve(chart("password: ''\n", config='{{ required "password is needed" .Values.password }}: x\n'))
    parameters = [{"path": "password", "required": True}]
    await world.offer("Thing", {"url": url}, parameters=parameters)
    await world.offering_says("Thing", "ChartReady", "InvalidManifest")  # it rendered, with a sample, to nonsense
    template = '{{ if ne .Values.password "only this" }}{{ fail "no" }}{{ end }}\n'
    await world.offered("Thing", {"url": serve(chart("password: ''\n", config=template))}, parameters=parameters)
    said = await world.offering_says("Thing", "ChartReady", "Registered")
    assert "not checked: it renders only with values of the consumer's own (password)" in said["message"]


@pytest.mark.timeout(120)
async def test_templates_without_end_or_measure_are_stopped(world: World, serve: Serve) -> None:
    greedy = "{{- $s := repeat 32 `a` }}{{ range until 26 }}{{ $s = print $s $s }}{{ end }}{{ len $s }}\n"
    await world.offer("Greedy", {"url": serve(chart("", config=greedy))})
    said = await world.offering_says("Greedy", "ChartReady", "TemplateFailed")
    assert "need more than 1024 MiB of memory" in said["message"]
    endless = "{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}\n"
    await world.offer("Endless", {"url": serve(chart("", config=endless))})
    assert "30 s" in (await world.offering_says("Endless", "ChartReady", "Timeout"))["message"]


async def found_in(world: World, kind: str, key: str) -> dict[str, Any]:
    async def there() -> str | None:
        found = await world.cluster.get(CONFIG_MAPS, f"offering-{world.offering_name(kind)}", SYSTEM_NAMESPACE)
        return (found or {}).get("data", {}).get(key)

    text = await world.eventually(there, f"{key} of {kind}")
    return yaml.safe_load(text)


async def test_what_was_found_is_kept_beside_the_offering_and_goes_with_it(world: World) -> None:
    await world.offered("Database", "postgres")
    said = await world.offering_says("Database", "ChartReady", "Registered")
    assert said["message"].endswith(
        "; differs from render to render: Secret/$(release.name)-postgres data.password;"
        " it is upgraded only when spec, Offering or chart changed"
    )
    found = await found_in(world, "Database", "findings.yaml")
    assert found["nonDeterministic"] == ["Secret/$(release.name)-postgres data.password"]
    assert found["images"] == ["docker.io/library/postgres:17.5"]
    assert found["hooks"] == [
        {"object": "Job/$(release.name)-postgres-setup", "events": ["post-install", "post-upgrade"], "weight": 0}
    ]
    assert found["requests"]["total"]["requests.storage"] == "8Gi"

    await found_in(world, "Database", "parameters.yaml")
    await world.retire("Database")

    async def gone() -> bool:
        name = f"offering-{world.offering_name('Database')}"
        return await world.cluster.get(CONFIG_MAPS, name, SYSTEM_NAMESPACE) is None

    await world.eventually(gone, "its ConfigMap goes")


async def test_what_passed_is_not_checked_again(world: World) -> None:
    await world.offered("Hello", "hello")
    name = f"offering-{world.offering_name('Hello')}"
    before = await world.cluster.get(CONFIG_MAPS, name, SYSTEM_NAMESPACE)
    await found_in(world, "Hello", "parameters.yaml")
    await world.offered("Hello", "hello", metering={"metrics": ["cpu"]})
    after = await world.cluster.get(CONFIG_MAPS, name, SYSTEM_NAMESPACE)
    assert before
    assert after
    assert managed(after, "register_chart") == managed(before, "register_chart")


def managed(found: dict[str, Any], by: str) -> list[str]:
    return [each["time"] for each in found["metadata"]["managedFields"] if each["manager"] == f"chandlery-{by}"]


async def test_each_parameter_says_what_it_reaches(world: World) -> None:
    parameters = [
        {"path": "replicaCount", "name": "replicas", "minimum": 1, "maximum": 5},
        {"path": "service.port"},
        {"path": "ingress.enabled"},
        {"path": "ingress.className"},
        {"path": "autoscaling.maxReplicas"},
    ]
    await world.offered("Hello", "hello", parameters=parameters)
    found = await found_in(world, "Hello", "parameters.yaml")
    web = "Deployment/$(release.name)-hello"
    assert found["parameters"] == {
        "replicas": {"path": "replicaCount", "reaches": [f"{web} spec.replicas"]},
        "service.port": {
            "path": "service.port",
            "reaches": [
                f"{web} spec.template.spec.containers[hello].ports[http].containerPort",
                "Pod/$(release.name)-hello-test-connection spec.containers[wget].args[0]",
                "Service/$(release.name)-hello spec.ports[http].port",
            ],
        },
        "ingress.enabled": {"path": "ingress.enabled", "reaches": ["Ingress/$(release.name)-hello +"]},
        "ingress.className": {
            "path": "ingress.className",
            "when": "ingress.enabled is true",
            "reaches": ["Ingress/$(release.name)-hello spec.ingressClassName"],
        },
        "autoscaling.maxReplicas": {"path": "autoscaling.maxReplicas", "reaches": "nothing"},
    }
    assert found["warnings"] == ["autoscaling.maxReplicas changes nothing in what the chart renders by default"]
