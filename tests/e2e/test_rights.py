"""A chart, a consumer and each of our own functions try what they may not, on a real API server, and fail.

On a stack where each function is a process with an account of its own.
"""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.errors import ApiError
from shared.helm import acting_as
from shared.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    Resource,
)
from shared.rights import MAKING
from tests.archives import CONFIG, chart
from tests.e2e.world import Serve, World, conditions

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
RBAC = "apiVersion: rbac.authorization.k8s.io/v1"
OURS = {"app.kubernetes.io/managed-by": "chandlery"}
PARAMETERS = [{"path": "mood"}, {"path": "what"}]
POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: charts}\nspec: {podSelector: {}}\n"


@pytest.fixture(scope="session")
async def apart(fault_stack: Stack) -> AsyncIterator[Cluster]:
    found = await Cluster.open(str(fault_stack.layout.kubeconfig))
    yield found
    await found.close()


@pytest.fixture
async def world(fault_stack: Stack, apart: Cluster) -> AsyncIterator[World]:
    found = World(fault_stack, apart)
    await found.open()
    yield found
    await found.close()


def role(rule: str, kind: str = "Role") -> str:
    return f"{RBAC}\nkind: {kind}\nmetadata: {{name: bold}}\nrules: [{rule}]\n"


def switched(text: str) -> str:
    """A template that only a consumer's value switches on."""
    return '{{ if eq .Values.mood "bold" }}\n' + text + "{{ end }}\n"


QUIET = f"{RBAC}\nkind: Role\nmetadata: {{name: quiet}}\nrules: []\n"
ALL = '{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}'
WRITES = '{apiGroups: ["networking.k8s.io"], resources: [networkpolicies], verbs: [delete]}'
TO_ADMIN = (
    f"{RBAC}\nkind: RoleBinding\nmetadata: {{name: bold}}\n"
    "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n"
    "subjects: [{kind: ServiceAccount, name: default}]\n"
)
HOOK = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: bold}\n"
ELSEWHERE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bold, namespace: default}\n"
BOLD = {
    "a role that may all": (role(ALL), "ForbiddenRights"),
    "a role that opens the network": (role(WRITES), "ForbiddenRights"),
    "a binding to cluster-admin": (TO_ADMIN, "ForbiddenRights"),
    "a binding for the whole cluster": (TO_ADMIN.replace("RoleBinding", "ClusterRoleBinding"), "ClusterScopedObject"),
    "a webhook": (HOOK, "ClusterScopedObject"),
    "an object elsewhere": (ELSEWHERE, "ForeignNamespace"),
    "a quota": ("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: bold}\n", "ForbiddenRights"),
}


async def installed(world: World, serve: Serve, **templates: str) -> str:
    """An instance of a chart; returns its release namespace."""
    url = serve(chart("mood: good\nwhat: ConfigMap\n", **templates))
    await world.offered("Thing", {"url": url}, parameters=PARAMETERS)
    await world.order("Thing", "one")
    namespace: str = (await world.ready("Thing", "one"))["status"]["release"]["namespace"]
    return namespace


# What a chart tries


@pytest.mark.parametrize(("bold", "reason"), BOLD.values(), ids=BOLD.keys())
async def test_a_chart_that_reaches_too_far_is_refused(world: World, serve: Serve, bold: str, reason: str) -> None:
    await world.offer("Thing", {"url": serve(chart(config=CONFIG, bold=bold))})
    ready = await world.offering_says("Thing", "Ready", reason)
    assert "spec.values" in ready["message"]
    said = conditions(await world.offering("Thing"))["ChartReady"]
    assert (said["status"], said["reason"], said["message"]) == ("False", reason, ready["message"])


async def refusal(world: World, name: str) -> dict[str, Any] | None:
    """By our review, which names object and field, or by the API server, which would have refused it as well."""
    found = conditions(await world.instance("Thing", name))
    accepted, deployed = found.get("Accepted", {}), found.get("Deployed", {})
    return next((each for each in (accepted, deployed) if each.get("status") == "False"), None)


async def test_what_only_a_consumers_value_switches_on_is_stopped(world: World, serve: Serve) -> None:
    templates = {name.replace(" ", "-"): switched(text) for name, (text, _) in BOLD.items()}
    for name, text in templates.items():
        url = serve(chart("mood: good\n", config=CONFIG, bold=text, policy=POLICY, quiet=QUIET))
        await world.offered("Thing", {"url": url}, parameters=PARAMETERS[:1])
        await world.order("Thing", name, mood="bold")
        ready = await world.eventually(partial(refusal, world, name), f"{name} is refused")
        assert "Bold" in ready["message"] or "bold" in ready["message"], name
        await world.delete("Thing", name)
    assert "bold" not in str(await world.cluster.list(CLUSTER_ROLE_BINDINGS))


async def test_a_kind_that_templates_name_may_be_switched_on_and_one_they_work_out_may_not(
    world: World, serve: Serve
) -> None:
    backend = "{service: {name: x, port: {number: 80}}}"
    ingress = (
        f"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: x}}\nspec: {{defaultBackend: {backend}}}\n"
    )
    worked_out = "apiVersion: v1\nkind: {{ .Values.what }}\nmetadata: {name: worked-out}\n"
    namespace = await installed(world, serve, ingress=switched(f"{ingress}\n"), worked=worked_out)
    await world.order("Thing", "one", mood="bold")
    await world.ready("Thing", "one")
    assert len((await world.cluster.list(INGRESSES, namespace))["items"]) == 1

    await world.order("Thing", "one", what="ServiceAccount")
    said = await world.says("Thing", "one", "Deployed", "Forbidden")
    assert "Helm may do what the chart was seen to need when it was registered" in said["message"]
    assert f"label chandlery.dev/aggregate-to-release: {world.offering_name('Thing')}" in said["message"]

    accounts = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": MAKING}
    label = {"chandlery.dev/aggregate-to-release": world.offering_name("Thing")}
    metadata = {"name": f"added-{world.id}", "labels": label}
    await world.cluster.apply(CLUSTER_ROLES, {"metadata": metadata, "rules": [accounts]}, "administrator")
    await world.order("Thing", "one", what="ServiceAccount", mood="fine")
    await world.ready("Thing", "one")
    await world.cluster.delete(CLUSTER_ROLES, f"added-{world.id}")


async def test_nobody_can_be_helm(world: World, serve: Serve) -> None:
    namespace = await installed(world, serve)
    accounts = [each["metadata"]["name"] for each in (await world.cluster.list(SERVICE_ACCOUNTS, namespace))["items"]]
    assert accounts == ["default"]
    spec = {"containers": [{"name": "x", "image": "x"}]}
    for name, where in ((namespace, namespace), ("chandlery-release", namespace), (namespace, "chandlery-releases")):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": where}}
        said = world.kubectl(
            *("create", "-f", "-"), given=json.dumps(pod | {"spec": spec | {"serviceAccountName": name}}), fails=True
        )
        assert "forbidden" in said
    token = world.kubectl("create", "token", namespace, "--namespace=chandlery-releases", fails=True)
    assert "not found" in token


async def test_helm_cannot_change_what_bounds_it(world: World, serve: Serve) -> None:
    namespace = await installed(world, serve, config=CONFIG, policy=POLICY)
    helm = acting_as(namespace)
    metadata = {"name": "ours", "namespace": namespace, "labels": OURS}
    await world.cluster.apply(QUOTAS, {"metadata": metadata, "spec": {"hard": {"pods": "5"}}}, "test")
    await world.cluster.apply(POLICIES, {"metadata": metadata, "spec": {"podSelector": {}}}, "test")
    for resource, name in ((QUOTAS, "ours"), (POLICIES, "ours"), (ROLE_BINDINGS, "chandlery:release")):
        with pytest.raises(ApiError) as refused:
            await world.cluster.delete(resource, name, namespace, impersonate=helm)
        assert refused.value.status == 403
    for verb in (["delete", "namespace", namespace], ["label", "namespace", namespace, "a=b"]):
        assert "forbidden" in world.kubectl(*verb, f"--as={helm}", fails=True)
    assert await world.cluster.delete(POLICIES, "charts", namespace, impersonate=helm)

    uid = (await world.instance("Thing", "one") or {})["metadata"]["uid"]
    await world.delete("Thing", "one")
    await world.gone("Thing", "one", uid)


# What a consumer tries


async def test_our_marks_are_ours(world: World, serve: Serve) -> None:
    namespace = await installed(world, serve)
    kind = world.kind("Thing")
    verbs = ["get", "create", "patch", "update", "delete"]
    rules = [
        {"apiGroups": [kind.group], "resources": [kind.plural], "verbs": verbs},
        {"apiGroups": [""], "resources": ["namespaces", "configmaps"], "verbs": verbs},
    ]
    name, subject = f"consumer-{world.id}", {"kind": "User", "name": "someone", "apiGroup": ROLES.group}
    await world.cluster.apply(CLUSTER_ROLES, {"metadata": {"name": name}, "rules": rules}, "test")
    reference = {"apiGroup": ROLES.group, "kind": "ClusterRole", "name": name}
    bound = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    await world.cluster.apply(CLUSTER_ROLE_BINDINGS, bound, "test")
    thing = f"{kind.plural}.{kind.group}/one"

    def someone(*arguments: str, fails: bool = False) -> str:
        return world.kubectl(*arguments, "--as=someone", fails=fails)

    async def may() -> bool:
        return "yes" in world.kubectl("auth", "can-i", "patch", "namespaces", "--as=someone")

    await world.eventually(may, "someone may")
    mine, theirs = f"--namespace={world.namespace}", f"--namespace={namespace}"
    someone("label", thing, mine, "team=a")
    someone("annotate", thing, mine, "chandlery.dev/network-peers=two")
    someone("annotate", thing, mine, "chandlery.dev/network-peers-")
    someone("label", "namespace", namespace, "team=a")
    refused = [
        ("label", thing, mine, "chandlery.dev/offering=other"),
        ("annotate", thing, mine, "chandlery.dev/plan=large"),
        ("annotate", thing, mine, "offering.chandlery.dev/x=y"),
        ("label", "namespace", namespace, "chandlery.dev/instance-uid-"),
        ("label", "namespace", namespace, "chandlery.dev/offering=other", "--overwrite"),
        ("label", "namespace", namespace, "pod-security.kubernetes.io/enforce-"),
        ("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite"),
        ("label", "namespace", world.namespace, "chandlery.dev/instance-uid=x"),
        ("label", "configmap", "made", theirs, "chandlery.dev/instance=x"),
        ("delete", "namespace", namespace),
    ]
    for arguments in refused:
        assert "ValidatingAdmissionPolicy 'chandlery-" in someone(*arguments, fails=True), arguments
    await world.cluster.delete(CLUSTER_ROLE_BINDINGS, name)
    await world.cluster.delete(CLUSTER_ROLES, name)
    assert (await world.cluster.get(NAMESPACES, namespace) or {})["metadata"]["labels"]["team"] == "a"


# What our own functions can be made to do

READ = {"apiGroups": ["acme.io"], "resources": ["things"], "verbs": ["get"]}
GRANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a name of somebody else's": ("someones", {"rules": [READ]}),
    "everything": ("chandlery:x", {"rules": [READ | {"verbs": ["*"]}]}),
    "any group": ("chandlery:x", {"rules": [READ | {"apiGroups": ["*"]}]}),
    "any resource": ("chandlery:x", {"rules": [READ, READ | {"resources": ["*"]}]}),
    "escalate": ("chandlery:release-kinds:x", {"rules": [READ | {"verbs": ["escalate"]}]}),
    "impersonate": ("chandlery:x", {"rules": [READ | {"verbs": ["impersonate"]}]}),
    "bind": ("chandlery:x", {"rules": [READ | {"verbs": ["bind"]}]}),
    "bind anything": (
        "chandlery:bindings:x",
        {"rules": [{"apiGroups": [ROLES.group], "resources": ["clusterroles"], "verbs": ["bind"]}]},
    ),
    "bind the administrator's": (
        "chandlery:bindings:x",
        {
            "rules": [
                {
                    "apiGroups": [ROLES.group],
                    "resources": ["clusterroles"],
                    "verbs": ["bind"],
                    "resourceNames": ["cluster-admin"],
                }
            ]
        },
    ),
    "roles": ("chandlery:x", {"rules": [READ | {"apiGroups": [ROLES.group], "verbs": ["patch"]}]}),
    "cluster roles": (
        "chandlery:release-kinds:x",
        {"rules": [{"apiGroups": [ROLES.group], "resources": ["clusterroles"], "verbs": ["patch"]}]},
    ),
    "secrets": ("chandlery:x", {"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}),
    "paths": ("chandlery:x", {"rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]}),
    "all roles together": ("chandlery:release:x", {"aggregationRule": {"clusterRoleSelectors": [{}]}}),
    "another label": (
        "chandlery:release:x",
        {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}},
    ),
}


@pytest.mark.parametrize(("name", "body"), GRANTS.values(), ids=GRANTS.keys())
async def test_grant_access_grants_no_more_than_it_should(
    fault_stack: Stack, apart: Cluster, name: str, body: dict[str, Any]
) -> None:
    ours = await Cluster.open(str(fault_stack.layout.kubeconfig_of("grant-access")))
    try:
        with pytest.raises(ApiError, match="ValidatingAdmissionPolicy 'chandlery-grants'"):
            await ours.apply(CLUSTER_ROLES, {"metadata": {"name": name}} | body, "test")
    finally:
        await ours.close()
    assert await apart.get(CLUSTER_ROLES, name) is None


@pytest.mark.parametrize(
    ("account", "role_name", "subject", "why"),
    [
        ("apply-policies", "cluster-admin", ("x", "chandlery-releases"), "attempting to grant RBAC permissions"),
        ("apply-policies", "chandlery-admit-instance", ("default", "default"), "not currently held"),
        ("grant-access", "chandlery:release:x", ("default", "default"), "the names that it acts under"),
        ("install-release", "chandlery:release:x", ("default", "default"), "cannot"),
    ],
)
async def test_nobody_binds_what_is_not_his_to_bind(
    fault_stack: Stack, account: str, role_name: str, subject: tuple[str, str], why: str
) -> None:
    ours = await Cluster.open(str(fault_stack.layout.kubeconfig_of(account)))
    body = {
        "metadata": {"name": "bold", "namespace": "default"},
        "roleRef": {"apiGroup": ROLES.group, "kind": "ClusterRole", "name": role_name},
        "subjects": [{"kind": "ServiceAccount", "name": subject[0], "namespace": subject[1]}],
    }
    try:
        with pytest.raises(ApiError, match=why) as refused:
            await ours.create(ROLE_BINDINGS, body)
        assert refused.value.status in (403, 422)  # by RBAC, or by an admission policy
    finally:
        await ours.close()
