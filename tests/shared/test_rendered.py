"""What a rendered chart is found to be, and what is refused of it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.checks import (
    fixed_names,
    outgrown,
    over_quota,
    problems,
    refusal,
    storage_classes,
    unstated,
)
from shared.demand import demand
from shared.differences import changes, told, unstable
from shared.errors import Refused
from shared.kinds import Kinds, Served, defined, discovered
from shared.manifests import parse
from shared.offering import Plan, Pods
from shared.quantities import quantity, shown
from shared.rendered import Hook, Rights, Storage, findings
from tests.builders import offering
from tests.rendering import KINDS, SERVED, container, deployment, manifests, object_, pods, text

ROLE = object_("ClusterRole", "reader", "rbac.authorization.k8s.io/v1")
CRD = object_(
    "CustomResourceDefinition",
    "things.example.com",
    "apiextensions.k8s.io/v1",
    spec={"group": "example.com", "names": {"kind": "Thing"}, "scope": "Cluster", "versions": [{"name": "v1"}]},
)


WORDS = [
    "spec",
    "template",
    "containers",
    "initContainers",
    "resources",
    "requests",
    "limits",
    "cpu",
    "replicas",
    "volumeClaimTemplates",
    "storageClassName",
    "jobTemplate",
    "verbs",
    "subjects",
    "image",
    "ephemeral",
    "volumes",
    "labels",
]


def refused(
    *objects: Any, source: str = "templates/all.yaml", values: dict[str, Any] | None = None, **policies: Any
) -> list[tuple[str, str]]:
    found = manifests(*objects, source=source)
    kinds = Kinds(SERVED, defined(found))
    offered = offering(policies=policies)
    seen = problems(offered, None, found, findings(found), kinds, "release-ns", values or {})
    return [(problem.reason, problem.message) for problem in seen]


def test_lists_are_taken_apart_and_comments_passed_over() -> None:
    rendered = "---\n# Source: made/templates/a.yaml\n# nothing\n" + text(
        {"apiVersion": "v1", "kind": "List", "items": [object_("Secret", "a"), object_("Secret", "b")]}
    )
    assert [(each.source, each.shown) for each in parse(rendered)] == [
        ("templates/all.yaml", "Secret/a"),
        ("templates/all.yaml", "Secret/b"),
    ]


def test_a_chart_may_render_to_nothing() -> None:
    assert parse("") == []
    assert parse("\n") == []


def test_a_text_that_looks_like_a_document_is_none() -> None:
    found = manifests(object_("ConfigMap", data={"x": "a\n---\n# Source: made/templates/b.yaml\nb\n"}))
    assert [each.shown for each in found] == ["ConfigMap/x"]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        pytest.param("just words", "no Kubernetes object", id="a scalar"),
        pytest.param({"kind": "Secret"}, "without kind and apiVersion", id="no apiVersion"),
        pytest.param({"apiVersion": "v1", "kind": ["x"]}, "without kind and apiVersion", id="odd kind"),
        pytest.param({"apiVersion": "v1", "kind": "Secret"}, "without a name", id="no metadata"),
        pytest.param({"apiVersion": "v1", "kind": "Secret", "metadata": []}, "without a name", id="odd metadata"),
        pytest.param(object_("Secret", "n" * 254), "without a name", id="long name"),
    ],
)
def test_what_is_no_object_is_refused(document: Any, what: str) -> None:
    with pytest.raises(Refused, match=what) as info:
        manifests(document)
    assert info.value.reason == "InvalidManifest"
    assert info.value.message.startswith("templates/all.yaml: ")


def test_a_rendering_without_end_is_refused() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
    )
    with pytest.raises(Refused, match="more than"):
        parse(f"---\n# Source: made/templates/b.yaml\n{bomb}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("ab:{[*&", max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(["Deployment", "StatefulSet", "CronJob", "Job", "Pod", "Role", "RoleBinding", "Service", "Thing"]),
)
def test_whatever_a_chart_puts_where_it_is_looked_at_does_no_harm(odd: Any, kind: str) -> None:
    body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "x"}}
    for each in ({**body, "spec": odd}, {**body, "spec": {"template": {"spec": odd}}}, {**body, "rules": odd}):
        for group in ("apps/v1", "v1", "batch/v1", "rbac.authorization.k8s.io/v1"):
            refused({**each, "apiVersion": group}, quota={"pods": 1}, storageClasses=[])
    refused({**body, "metadata": {"name": "x", "annotations": odd}})


def test_what_a_chart_brings_along_is_listed() -> None:
    hook = object_(
        "Job",
        "setup",
        "batch/v1",
        metadata={"annotations": {"helm.sh/hook": "post-upgrade, post-install", "helm.sh/hook-weight": "-5"}},
        spec={"template": pods(container("psql"))},
    )
    test = object_(
        "Pod", "try", metadata={"annotations": {"helm.sh/hook": "test"}}, spec={"containers": [container("curl")]}
    )
    role = object_(
        "Role",
        "r",
        "rbac.authorization.k8s.io/v1",
        rules=[
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "*"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["x"], "verbs": ["get"]},
        ],
    )
    binding = object_(
        "RoleBinding",
        "b",
        "rbac.authorization.k8s.io/v1",
        roleRef={"kind": "ClusterRole", "name": "admin"},
        subjects=[{"kind": "ServiceAccount", "name": "x"}],
    )
    claim = object_("PersistentVolumeClaim", spec={"storageClassName": ""})
    custom = object_("Database", "d", "example.com/v1", spec={"pods": [{"image": "mysql:8"}], "image": {"tag": "no"}})
    web = deployment(container("web"), initContainers=[container("init")])
    found = findings(manifests(web, hook, test, role, binding, claim, custom))
    assert found.objects == (
        *("Deployment/x", "Job/setup", "Role/r", "RoleBinding/b", "PersistentVolumeClaim/x", "Database/d"),
    )
    assert found.tests == ("Pod/try",)
    assert found.hooks == (Hook("Job/setup", ("post-install", "post-upgrade"), -5),)
    assert found.images == ("init:1", "mysql:8", "psql:1", "web:1")
    assert found.storage == (Storage("PersistentVolumeClaim/x", ""),)
    assert found.rbac == (
        Rights(
            "Role/r",
            ("get, * secrets", "get deployments of apps named x"),
            ("verb *", "all of secrets"),
        ),
        Rights("RoleBinding/b", ("ClusterRole/admin to ServiceAccount/x",)),
    )


def test_no_storage_class_and_an_empty_one_are_not_the_same() -> None:
    claims = [
        {"metadata": {"name": "a"}, "spec": {}},
        {"metadata": {"name": "b"}, "spec": {"storageClassName": ""}},
        {"metadata": {"name": "c"}, "spec": {"storageClassName": "fast"}},
    ]
    made = manifests(object_("StatefulSet", "s", "apps/v1", spec={"volumeClaimTemplates": claims}))
    assert [each.name for each in findings(made).storage] == [None, "", "fast"]


@pytest.mark.parametrize(
    ("objects", "total"),
    [
        pytest.param(
            [deployment(container(requests={"cpu": "250m", "memory": "1Gi"}, limits={"cpu": 1}), replicas=3)],
            {"requests.cpu": "0.75", "requests.memory": 3 * 1024**3, "limits.cpu": 3, "pods": 3},
            id="a deployment's replicas",
        ),
        pytest.param(
            [deployment(container(limits={"cpu": "500m"}))],
            {"requests.cpu": "0.5", "limits.cpu": "0.5", "pods": 1},
            id="a limit stands in for a request",
        ),
        pytest.param(
            [
                deployment(
                    container(requests={"cpu": 1}),
                    container("b", requests={"cpu": 1}),
                    initContainers=[container("big", requests={"cpu": 5})],
                )
            ],
            {"requests.cpu": 5, "pods": 1},
            id="the largest init container",
        ),
        pytest.param(
            [
                deployment(
                    container(requests={"cpu": 1}),
                    initContainers=[
                        container("side", requests={"cpu": 2}, restartPolicy="Always"),
                        container("init", requests={"cpu": 2}),
                    ],
                )
            ],
            {"requests.cpu": 4, "pods": 1},
            id="a sidecar stays",
        ),
        pytest.param(
            [
                object_(
                    "StatefulSet",
                    "db",
                    "apps/v1",
                    spec={
                        "replicas": 3,
                        "template": pods(container()),
                        "volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "10Gi"}}}}],
                    },
                )
            ],
            {"requests.storage": 30 * 1024**3, "persistentvolumeclaims": 3, "pods": 3},
            id="a volume for each replica",
        ),
        pytest.param(
            [
                object_("DaemonSet", "d", "apps/v1", spec={"template": pods(container(requests={"cpu": 1}))}),
                object_("Job", "j", "batch/v1", spec={"parallelism": 4, "completions": 2, "template": pods()}),
                object_("CronJob", "c", "batch/v1", spec={"jobTemplate": {"spec": {"template": pods()}}}),
                object_("Pod", "p", spec={"containers": [container(requests={"cpu": 1})]}),
            ],
            {"requests.cpu": 2, "pods": 5},
            id="every other kind",
        ),
        pytest.param(
            [
                deployment(container(requests={"cpu": 1}), name="web"),
                object_(
                    "HorizontalPodAutoscaler",
                    "web",
                    "autoscaling/v2",
                    spec={"minReplicas": 4, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
                ),
            ],
            {"requests.cpu": 4, "pods": 4},
            id="an autoscaler's least",
        ),
        pytest.param(
            [deployment(container(requests={"cpu": 1}), replicas=0)],
            {"requests.cpu": 0, "pods": 0},
            id="none",
        ),
    ],
)
def test_what_is_asked_for_is_added_up(objects: list[Any], total: dict[str, Any]) -> None:
    found = {key: amount for key, amount in demand(manifests(*objects)).total.items() if not key.startswith("count/")}
    assert found == {key: Decimal(str(amount)) for key, amount in total.items()}


def test_hooks_run_beside_the_workloads_one_at_a_time() -> None:
    def hook(name: str, event: str, cpu: int) -> dict[str, Any]:
        metadata = {"annotations": {"helm.sh/hook": event}}
        spec = {"template": pods(container(requests={"cpu": cpu}))}
        return object_("Job", name, "batch/v1", metadata=metadata, spec=spec)

    web = deployment(container(requests={"cpu": 2}))

    def cpu(*hooks: Any) -> Decimal:
        return demand(manifests(web, *hooks)).total["requests.cpu"]

    assert cpu(hook("a", "post-install", 1), hook("b", "post-upgrade", 3)) == 5
    assert cpu(hook("a", "pre-install", 1)) == 2
    assert cpu(hook("a", "pre-install", 9)) == 9
    assert cpu(hook("a", "post-delete", 9)) == 2


def test_defaults_of_the_namespace_count() -> None:
    made = manifests(deployment(container(), container("b", requests={"cpu": 1})))
    found = demand(made, Pods(requests={"cpu": "100m"}, limits={"memory": "1Gi"}))
    assert found.total["requests.cpu"] == Decimal("1.1")
    assert found.total["requests.memory"] == found.total["limits.memory"] == 2 * 1024**3
    assert found.unstated == {"limits.cpu": ["container main of Deployment/x", "container b of Deployment/x"]}


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("100m", "0.1"),
        ("1.5", "1.5"),
        (2, "2"),
        ("1Gi", str(1024**3)),
        ("1G", "1000000000"),
        ("1e3", "1000"),
        ("2E", "2e18"),
        (".5Mi", "524288"),
    ],
)
def test_quantities_are_exact(written: Any, amount: str) -> None:
    assert quantity(written) == Decimal(amount)


@pytest.mark.parametrize(
    "written", ["", "many", "NaN", "Infinity", "1e999", "1K", "1ki", "1_000", "٣", True, None, [], "1" * 99]
)
def test_what_is_no_quantity(written: Any) -> None:
    assert quantity(written) is None


@given(st.integers(0, 10**6), st.sampled_from(["cpu", "memory", "pods"]))
def test_a_shown_quantity_means_the_same(thousandths: int, resource: str) -> None:
    amount = Decimal(thousandths) / (1000 if resource == "cpu" else 1)
    assert quantity(shown(amount, resource)) == amount


def test_a_cluster_scoped_object_must_be_allowed() -> None:
    values = {"rbac": {"create": True, "pspEnabled": True}, "service": {"enabled": True}}
    assert refused(ROLE, values=values) == [
        (
            "ClusterScopedObject",
            "templates/all.yaml: ClusterRole/reader does not live in a namespace;"
            " add ClusterRole to spec.policies.clusterScoped, or switch it off with spec.values: rbac.create: false",
        )
    ]
    assert refused(ROLE, clusterScoped=["ClusterRole"]) == []
    assert refused(ROLE, clusterScoped=["ClusterRole.rbac.authorization.k8s.io"]) == []


@pytest.mark.parametrize(
    ("made", "source", "message"),
    [
        pytest.param(object_("Namespace"), "templates/ns.yaml", "add Namespace to", id="a namespace"),
        pytest.param(CRD, "templates/crd.yaml", "add CustomResourceDefinition to", id="a CRD in templates"),
        pytest.param(CRD, "crds/crd.yaml", "would be installed for the whole cluster", id="a CRD in crds"),
        pytest.param(CRD, "charts/sub/crds/crd.yaml", "would be installed for the whole cluster", id="of a subchart"),
    ],
)
def test_namespaces_and_crds_must_be_allowed(made: Any, source: str, message: str) -> None:
    ((reason, said),) = refused(made, source=source)
    assert reason == "ClusterScopedObject"
    assert message in said
    assert said.startswith(source)


def test_the_scope_of_a_kind_comes_from_the_charts_own_crd_or_the_cluster() -> None:
    thing = object_("Thing", "t", "example.com/v1")
    assert [reason for reason, _ in refused(CRD, thing, clusterScoped=["CustomResourceDefinition"])] == [
        "ClusterScopedObject"
    ]
    ((reason, message),) = refused(thing)
    assert reason == "UnknownKind"
    assert "install its CRD first" in message
    found = manifests(thing)
    cluster = Kinds(Served(kinds={("example.com", "v1", "Thing"): True}), {})
    assert problems(offering(), None, found, findings(found), cluster, "release-ns", {}) == []


def test_a_removed_version_of_a_known_kind_is_unknown() -> None:
    ((reason, message),) = refused(object_("Ingress", "i", "extensions/v1beta1"))
    assert reason == "UnknownKind"
    assert "extensions/v1beta1" in message


def test_discovery_tells_kinds_scopes_and_who_did_not_answer() -> None:
    def resource(kind: str, scope: str) -> dict[str, Any]:
        return {"resource": kind.lower(), "responseKind": {"kind": kind}, "scope": scope}

    core = {"items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [resource("Pod", "Namespaced")]}]}]}
    versions = [
        {"version": "v1", "resources": [resource("Wide", "Cluster")]},
        {"version": "v2", "freshness": "Stale"},
    ]
    groups = {"items": [{"metadata": {"name": "example.com"}, "versions": versions}]}
    kinds, unasked = discovered(core, groups)
    assert kinds == {("", "v1", "Pod"): True, ("example.com", "v1", "Wide"): False}
    assert unasked == {"example.com"}
    assert Served(kinds=kinds).api_versions == ("example.com/v1", "example.com/v1/Wide", "v1", "v1/Pod")


def test_all_stays_in_the_release_namespace() -> None:
    here = object_("Secret", "a", metadata={"namespace": "release-ns"})
    there = object_("Secret", "b", metadata={"namespace": "kube-system"})
    assert refused(here, there, values={"leader": {"namespace": "kube-system"}}) == [
        (
            "ForeignNamespace",
            "templates/all.yaml: Secret/b has metadata.namespace kube-system; all must stay in the release's own"
            " namespace: leave it out by spec.values (leader.namespace)",
        )
    ]


def test_two_instances_must_not_share_a_name_outside_of_namespaces() -> None:
    def made(name: str) -> list[Any]:
        return manifests(ROLE, object_("ClusterRole", name, "rbac.authorization.k8s.io/v1"), object_("Secret", "same"))

    found = fixed_names(made("one"), made("two"), KINDS, {"roleName": "reader"})
    assert [(problem.reason, problem.message) for problem in found] == [
        (
            "FixedName",
            "templates/all.yaml: ClusterRole/reader is called the same in every instance, and lives in no namespace;"
            " give spec.values roleName: $(release.namespace), or allow one instance only with"
            " spec.policies.limits.instances: 1",
        )
    ]
    assert fixed_names(manifests(CRD, source="crds/a.yaml"), manifests(CRD, source="crds/a.yaml"), KINDS, {}) == []


def test_hooks_are_bounded_in_number() -> None:
    hooks = [
        object_("ConfigMap", f"h{number}", metadata={"annotations": {"helm.sh/hook": "pre-install"}})
        for number in range(51)
    ]
    assert [reason for reason, _ in refused(*hooks)] == ["TooManyHooks"]
    assert refused(*hooks[:50]) == []


def test_what_only_a_test_would_make_is_not_judged() -> None:
    metadata = {"annotations": {"helm.sh/hook": "test-success"}, "namespace": "kube-system"}
    assert refused(object_("Pod", "try", metadata=metadata)) == []


@pytest.mark.parametrize(
    ("wanted", "default", "allowed", "message"),
    [
        pytest.param("slow", None, ["fast"], "storageClassName 'slow'; allowed: fast", id="another one"),
        pytest.param("", None, ["fast"], "a volume made by hand", id="by hand"),
        pytest.param(None, "slow", ["fast"], "the cluster's default, slow", id="the cluster's default"),
        pytest.param(None, None, ["fast"], None, id="a default nobody knows"),
        pytest.param(None, "fast", ["fast"], None, id="a default that is allowed"),
        pytest.param("", None, [""], None, id="by hand, allowed"),
        pytest.param("fast", None, [], "allowed: none", id="none allowed"),
        pytest.param("slow", None, None, None, id="all allowed"),
    ],
)
def test_storage_classes(
    wanted: str | None, default: str | None, allowed: list[str] | None, message: str | None
) -> None:
    spec = {} if wanted is None else {"storageClassName": wanted}
    found = findings(manifests(object_("PersistentVolumeClaim", "data", spec=spec)))
    said = [problem.message for problem in storage_classes(found, allowed, default)]
    assert len(said) == (message is not None)
    assert message is None or message in said[0]


def test_a_default_instance_must_fit_its_quota() -> None:
    db = deployment(container(requests={"memory": "1536Mi"}), name="db", replicas=3)
    web = deployment(container(requests={"memory": "512Mi", "cpu": "100m"}), name="web")
    found = findings(manifests(db, web))
    quota: dict[str, str | int] = {"requests.memory": "4Gi", "cpu": "50m", "pods": "4", "limits.cpu": 1}
    assert [(problem.reason, problem.message) for problem in over_quota(found, quota, None)] == [
        (
            "ExceedsQuota",
            "spec.policies.quota.requests.memory: a default instance asks for 5Gi, 4Gi is allowed"
            " (Deployment/db 4608Mi, Deployment/web 512Mi); raise the quota, or lower what the chart asks for by"
            " spec.values",
        ),
        (
            "ExceedsQuota",
            "spec.policies.quota.cpu: a default instance asks for 100m, 50m is allowed (Deployment/web 100m);"
            " raise the quota, or lower what the chart asks for by spec.values",
        ),
    ]


def test_a_plans_quota_wins() -> None:
    found = findings(manifests(deployment(container(), replicas=3)))
    plan = Plan(name="small", quota={"pods": 2, "limits.cpu": "x"})
    said = [(problem.reason, problem.message) for problem in over_quota(found, {"pods": 1}, plan)]
    assert said == [
        (
            "ExceedsQuota",
            "spec.plans[small].quota.pods: a default instance on plan small asks for 3, 2 is allowed"
            " (Deployment/x 3); raise the quota, or lower what the chart asks for by spec.values",
        ),
        ("InvalidQuantity", "spec.plans[small].quota.limits.cpu: 'x' is no quantity, such as 500m or 4Gi"),
    ]


def test_pods_that_a_quota_would_refuse_are_a_warning() -> None:
    found = findings(manifests(deployment(container("a", requests={"cpu": 1}), container("b"))))
    assert unstated(found, {"cpu": 4}, None) == [
        "the quota bounds requests.cpu, and container b of Deployment/x states none;"
        " give a default in spec.policies.pods.requests.cpu"
    ]


def test_all_problems_are_told_at_once_and_within_limits() -> None:
    assert refusal([]) is None
    roles = [object_("ClusterRole", f"r{number}", "rbac.authorization.k8s.io/v1") for number in range(9)]
    found = manifests(*roles, object_("Thing", "t", "example.com/v1"))
    said = refusal(problems(offering(), None, found, findings(found), KINDS, "release-ns", {}))
    assert said
    assert said.reason == "UnknownKind"
    assert "ClusterRole/r3" in said.message
    assert said.message.endswith("and 5 more")


def test_what_differs_is_named_by_object_and_field() -> None:
    def made(password: str, tag: str, count: int, extra: bool) -> str:
        env = [{"name": "A", "value": tag}, {"name": "B", "value": "b"}]
        return text(
            object_("Secret", data={"pass.word": password}),
            deployment(container("web", env=env), replicas=count),
            object_("ConfigMap", "same", data={"a": "b"}),
            *([object_("ConfigMap", "more")] if extra else []),
        )

    base = made("x", "1", 1, False)
    assert changes(base, made("x", "2", 2, True)) == [
        ("ConfigMap/more", "+"),
        ("Deployment/x", "spec.replicas"),
        ("Deployment/x", "spec.template.spec.containers[web].env[A].value"),
    ]
    apart = unstable(base, made("y", "1", 1, False))
    assert told(apart) == ['Secret/x data["pass.word"]']
    assert changes(base, made("z", "1", 3, False), apart) == [("Deployment/x", "spec.replicas")]


def test_an_object_with_a_new_name_each_time_is_no_change() -> None:
    def made(name: str, data: str) -> str:
        return text(object_("Job", name, "batch/v1"), object_("Secret", data={"a": data}))

    apart = unstable(made("job-a", "1"), made("job-b", "1"))
    assert told(apart) == ["Job of templates/all.yaml (its name)"]
    assert changes(made("job-a", "1"), made("job-c", "2"), apart) == [("Secret/x", "data.a")]


def test_one_and_true_are_not_the_same() -> None:
    assert changes(text(object_("X", spec={"a": 1})), text(object_("X", spec={"a": True}))) == [("X/x", "spec.a")]


def test_an_autoscaler_that_the_quota_stops_is_a_warning() -> None:
    scaler = object_(
        "HorizontalPodAutoscaler",
        api_version="autoscaling/v2",
        spec={"minReplicas": 2, "maxReplicas": 10, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
    )
    given = manifests(deployment(container(requests={"cpu": "500m"})), scaler)
    policies = offering(policies={"quota": {"requests.cpu": 4, "pods": 20}}).spec.policies
    assert [*outgrown(given, findings(given), policies, None)] == [
        "HorizontalPodAutoscaler/x: spec.maxReplicas would take 5, spec.policies.quota.requests.cpu allows 4"
    ]
