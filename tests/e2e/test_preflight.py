"""What an order would really install is held against the policies before Helm makes anything of it."""

from typing import Any

import pytest

from shared.resources import PODS, Resource
from tests.archives import chart
from tests.e2e.world import Object, Serve, World, conditions

VALUES = """replicas: 1
privileged: false
hostPath: false
memory: 64Mi
cpu: 10m
service: ClusterIP
externalIPs: []
policy: false
labels: {app: web}
scheduled: false
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
      containers:
      - name: web
        image: nginx
        resources: {requests: {cpu: {{ .Values.cpu }}, memory: {{ .Values.memory }}}}
        securityContext: {privileged: {{ .Values.privileged }}}
      {{- if .Values.hostPath }}
      volumes: [{name: etc, hostPath: {path: /etc}}]
      {{- end }}
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web, labels: {{ toJson .Values.labels }}}
spec:
  type: {{ .Values.service }}
  selector: {app: web}
  ports: [{port: 80}]
  externalIPs: {{ toJson .Values.externalIPs }}
"""
POLICY = """{{ if .Values.policy }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}
{{ end }}
"""
CHART = chart(VALUES, web=WEB, service=SERVICE, policy=POLICY)
POLICIES = {
    "quota": {"pods": "4", "requests.memory": "1Gi"},
    "pods": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
}
WEB_IS = "templates/web.yaml: Deployment/web:"
REFUSED = [
    pytest.param(
        {"privileged": True},
        "PodSecurityViolated",
        [
            f"{WEB_IS} its pods break pod security baseline",
            'container "web" must not set securityContext.privileged=true',
        ],
        id="a privileged container",
    ),
    pytest.param(
        {"hostPath": True},
        "PodSecurityViolated",
        [f"{WEB_IS} its pods break pod security baseline", 'hostPath volumes (volume "etc")'],
        id="a folder of the node",
    ),
    pytest.param(
        {"memory": "600Mi"},
        "ExceedsLimit",
        [f"{WEB_IS} container web: resources.requests.memory is 600Mi, spec.policies.pods.limits.memory allows 512Mi"],
        id="a container above its limit",
    ),
    pytest.param(
        {"replicas": 9},
        "ExceedsQuota",
        ["spec.policies.quota.pods: this instance asks for 9, 4 is allowed (Deployment/web 9)"],
        id="more replicas than the quota has room for",
    ),
    pytest.param(
        {"service": "NodePort"},
        "ServiceTypeNotAllowed",
        ["templates/service.yaml: Service/web: spec.type is NodePort; allowed: ClusterIP"],
        id="a service on every node",
    ),
    pytest.param(
        {"externalIPs": ["192.0.2.1"]},
        "ExternalAddresses",
        ["templates/service.yaml: Service/web: spec.externalIPs takes over the traffic of others"],
        id="an address of others",
    ),
    pytest.param(
        {"policy": True},
        "OpensNetwork",
        ["templates/policy.yaml: NetworkPolicy/web: spec.ingress[0] is open to everyone, isolation is Strict"],
        id="a network policy that opens the door",
    ),
    pytest.param(
        {"labels": {"chandlery.dev/instance": "another"}},
        "ReservedName",
        ["templates/service.yaml: Service/web: metadata.labels has chandlery.dev/instance"],
        id="a label of ours",
    ),
    pytest.param(
        {"cpu": "1000"},
        "NoCapacity",
        [f"{WEB_IS} a pod asks for 1000 cpu, the largest node has 640"],
        id="a pod that no node can hold",
    ),
]
JOBS = Resource("batch", "v1", "jobs", "Job")
MADE_BY_CHARTS = (
    Resource("apps", "v1", "deployments", "Deployment"),
    Resource("", "v1", "services", "Service"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
)


async def of_helm(world: World, namespace: str) -> list[str]:
    """What Helm has made in a namespace, its own records included."""
    helms = {"app.kubernetes.io/managed-by": "Helm"}
    lists = [await world.cluster.list(kind, namespace, labels=helms) for kind in MADE_BY_CHARTS]
    made = [each["metadata"]["name"] for found in lists for each in found["items"]]
    return made + [str(each) for each in await world.revisions(namespace)]


async def release_namespace(world: World, found: Object) -> str:
    (namespace,) = await world.release_namespaces(found["metadata"]["uid"])
    return namespace


@pytest.mark.parametrize(("spec", "reason", "said"), REFUSED)
async def test_an_order_that_breaks_a_policy_is_refused_and_leaves_nothing(
    world: World, serve: Serve, spec: dict[str, Any], reason: str, said: list[str]
) -> None:
    await world.offered("Web", {"url": serve(CHART)}, policies=POLICIES)
    ordered = await world.order("Web", "mine", **spec)
    stated = await world.says("Web", "mine", "Accepted", reason)
    assert stated["status"] == "False"
    assert [part for part in said if part not in stated["message"]] == []
    assert (await world.says("Web", "mine", "Ready", reason))["message"] == stated["message"]
    assert await of_helm(world, await release_namespace(world, ordered)) == []

    await world.order("Web", "mine", replicas=2)
    mended = await world.ready("Web", "mine")
    assert conditions(mended)["Accepted"]["status"] == "True"
    assert mended["status"]["release"]["revision"] == 1


async def test_a_refused_upgrade_leaves_the_old_release_as_it_was(world: World, serve: Serve) -> None:
    await world.offered("Web", {"url": serve(CHART)}, policies=POLICIES)
    await world.order("Web", "mine", replicas=2)
    before = await world.ready("Web", "mine")
    await world.order("Web", "mine", replicas=2, privileged=True)
    await world.says("Web", "mine", "Ready", "PodSecurityViolated")
    after = await world.instance("Web", "mine")
    assert conditions(after)["Deployed"] == conditions(before)["Deployed"]
    namespace = before["status"]["release"]["namespace"]
    assert await world.revisions(namespace) == [(1, "deployed")]
    assert len((await world.cluster.list(PODS, namespace))["items"]) == 2


async def test_what_was_refused_comes_when_the_offering_allows_it(world: World, serve: Serve) -> None:
    url = serve(CHART)
    await world.offered("Web", {"url": url}, policies=POLICIES)
    await world.order("Web", "mine", privileged=True)
    await world.says("Web", "mine", "Accepted", "PodSecurityViolated")
    await world.offered("Web", {"url": url}, policies=POLICIES | {"podSecurity": "privileged"})
    await world.ready("Web", "mine")


OFFERED = [
    pytest.param(
        CHART,
        {"values": {"privileged": True}},
        "PodSecurityViolated",
        ['container "web" must not set securityContext.privileged=true', "or lower spec.policies.podSecurity"],
        id="a privileged container",
    ),
    pytest.param(
        CHART,
        {"policies": {"podSecurity": "restricted"}},
        "PodSecurityViolated",
        ["its pods break pod security restricted: allowPrivilegeEscalation != false"],
        id="a chart that knows nothing of restricted",
    ),
    pytest.param(
        CHART,
        {"policies": {"quota": {"requests.cpu": "9000", "limits.cpu": "90000"}}},
        "NoCapacity",
        ["spec.policies.quota.requests.cpu is 9000, all nodes together have"],
        id="a quota beyond the cluster",
    ),
    pytest.param(
        chart("networkPolicy: {enabled: true}\n", policy=POLICY.replace("policy }}", "networkPolicy.enabled }}")),
        {},
        "OpensNetwork",
        ["spec.ingress[0] is open to everyone", "spec.values: networkPolicy.enabled: false"],
        id="a network policy that opens the door",
    ),
]


@pytest.mark.parametrize(("body", "spec", "reason", "said"), OFFERED)
async def test_the_provider_is_told_first(
    world: World, serve: Serve, body: bytes, spec: dict[str, Any], reason: str, said: list[str]
) -> None:
    await world.offer("Web", {"url": serve(body)}, **spec)
    stated = await world.offering_says("Web", "ChartReady", reason)
    assert [part for part in said if part not in stated["message"]] == []


async def test_a_cluster_that_grows_by_itself_is_not_measured(world: World, serve: Serve) -> None:
    policies = {"quota": {"requests.cpu": "9000"}, "capacity": "Unchecked"}
    await world.offered("Web", {"url": serve(CHART)}, policies=policies)


PLACED = """apiVersion: batch/v1
kind: Job
metadata: {name: setup, annotations: {helm.sh/hook: pre-install, helm.sh/hook-delete-policy: before-hook-creation}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      containers: [{name: main, image: nginx, args: ["yes", "0x10", "a: b\\n  c\\n"]}]
"""
HERE = {"kubernetes.io/hostname": "node-0"}
TOLERATION = {"key": "tenants", "operator": "Exists", "effect": "NoSchedule"}


async def test_every_pod_of_a_release_runs_where_the_offering_has_it(world: World, serve: Serve) -> None:
    url = serve(chart("", all=PLACED))
    await world.offered("Web", {"url": url})
    await world.order("Web", "mine")
    first = await world.ready("Web", "mine")
    namespace = first["status"]["release"]["namespace"]
    pods = {"nodeSelector": HERE, "tolerations": [TOLERATION]}
    await world.offered("Web", {"url": url}, policies={"pods": pods})

    async def upgraded() -> bool:
        found = await world.instance("Web", "mine")
        return bool(found and found["status"]["release"].get("revision") == 2)

    await world.eventually(upgraded, "it is upgraded", lambda: world.instance("Web", "mine"))
    cron = await world.cluster.get(Resource("batch", "v1", "cronjobs", "CronJob"), "nightly", namespace)
    web = await world.cluster.get(MADE_BY_CHARTS[0], "web", namespace)
    assert cron
    assert web
    template = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert (template["nodeSelector"], template["tolerations"]) == (HERE, [TOLERATION])
    template = web["spec"]["template"]["spec"]
    assert template["nodeSelector"] == {"kubernetes.io/os": "linux", **HERE}
    assert template["tolerations"] == [TOLERATION]
    assert template["containers"][0]["args"] == ["yes", "0x10", "a: b\n  c\n"]

    await world.order("Web", "other")
    found = await world.ready("Web", "other")
    hook = await world.cluster.get(JOBS, "setup", found["status"]["release"]["namespace"])
    assert hook
    template = hook["spec"]["template"]["spec"]
    assert (template["nodeSelector"], template["tolerations"]) == (HERE, [TOLERATION])
