"""What Helm may do for a chart: what the chart was seen to make, and what its Roles hand on, within bounds."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import chart_rights, rights, templates
from shared.chart_rights import Known, Makes, makes, problems, reviewed
from shared.kinds import BUILT_IN
from shared.rights import MAKING, READING, Reviewed, made_by, release_rules, successive
from tests.archives import archive
from tests.builders import offering
from tests.rendering import manifests, object_

RBAC = "rbac.authorization.k8s.io/v1"
KNOWN = [
    Known("ConfigMap", "", "configmaps"),
    Known("Secret", "", "secrets"),
    Known("ResourceQuota", "", "resourcequotas"),
    Known("Ingress", "networking.k8s.io", "ingresses"),
    Known("NetworkPolicy", "networking.k8s.io", "networkpolicies"),
    Known("Role", "rbac.authorization.k8s.io", "roles"),
    Known("ClusterRole", "rbac.authorization.k8s.io", "clusterroles", namespaced=False),
    Known("Widget", "acme.io", "widgets"),
    Known("Backup", "a.io", "backups"),
    Known("Backup", "b.io", "backups"),
]
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get"], "resourceNames": ["release-1"]}


def role(*rules: dict[str, Any], kind: str = "Role", name: str = "x") -> dict[str, Any]:
    return object_(kind, name, RBAC, rules=[*rules])


def rule(groups: str = "", resources: str = "pods", verbs: str = "get", **more: Any) -> dict[str, Any]:
    words = {"apiGroups": groups, "resources": resources, "verbs": verbs}
    return {part: text.split(",") for part, text in words.items()} | more


def binding(to: str, kind: str = "ClusterRole") -> dict[str, Any]:
    return object_("RoleBinding", "x", RBAC, roleRef={"kind": kind, "name": to}, subjects=[])


def refused(*objects: dict[str, Any], **values: Any) -> list[str]:
    return [each.message for each in problems(manifests(*objects), values)]


# What templates name


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("apiVersion: v1\nkind: Service\n", {("", "Service")}),
        ('apiVersion: "apps/v1"\nkind: "Deployment" # it\n', {("apps", "Deployment")}),
        ("apiVersion: {{ include `x` . }}\nkind: Ingress\n", {(None, "Ingress")}),
        ("kind: Ingress\n---\napiVersion: v1\nkind: Secret\n", {(None, "Ingress"), ("", "Secret")}),
        ("apiVersion: v1\nkind: {{ .Values.kind }}\n", set()),
        ("apiVersion: v1\nkind: Pod\nspec:\n  scaleTargetRef:\n    kind: Deployment\n", {("", "Pod")}),
        ("# kind: Secret\n{{/*\n   kind: Secret\n*/}}", set()),
    ],
    ids=["plain", "quoted", "worked out", "two", "templated", "a field of something else", "comments"],
)
def test_kinds_that_a_template_names(text: str, named: set[Any]) -> None:
    assert templates.named([text]) == named


def test_what_a_template_looks_up() -> None:
    text = (
        '{{ lookup "v1" "ConfigMap" .Release.Namespace "x" }}{{ lookup "acme.io/v1" "Widget" "" "" }}{{ lookup $a $b }}'
    )
    assert templates.looked_up([text]) == {("", "ConfigMap"), ("acme.io", "Widget")}


def test_templates_of_subcharts_count_packed_or_not(tmp_path: Path) -> None:
    packed = archive({"Chart.yaml": "name: b", "templates/b.yaml": "kind: B"}, top="b/")
    whole = archive(
        {
            "Chart.yaml": "name: made",
            "values.yaml": "kind: No",
            "charts/a/templates/a.yaml": "kind: A",
            "charts/b.tgz": packed,
        }
    )
    path = tmp_path / "chart.tgz"
    path.write_bytes(whole)
    assert templates.named(templates.texts(path)) == {(None, "A"), (None, "B")}


@given(st.text())
def test_any_text_is_scanned(text: str) -> None:
    templates.named([text])
    templates.looked_up([text])


# What Helm may do


def test_helm_may_make_what_was_rendered_and_what_consumers_may_switch_on() -> None:
    objects = [
        object_("ConfigMap"),
        object_("Widget", api_version="acme.io/v1"),
        object_("ClusterRole", api_version=RBAC),
    ]
    named = {("networking.k8s.io", "Ingress"), (None, "Secret"), ("gone.io", "Gone"), (None, "Backup")}
    found = makes(manifests(*objects)) | Makes(named=frozenset(named))
    assert reviewed(found, (), KNOWN) == Reviewed(
        frozenset({("", "configmaps"), ("acme.io", "widgets"), ("networking.k8s.io", "ingresses"), ("", "secrets")})
    )


@pytest.mark.parametrize("kind", ["NetworkPolicy", "Role", "ResourceQuota"])
def test_what_is_reviewed_object_by_object_must_have_been_rendered(kind: str) -> None:
    (group,) = (group for group, name in BUILT_IN if name == kind)
    assert reviewed(Makes(named=frozenset({(group, kind), (None, kind)})), (), KNOWN) == Reviewed()
    rendered = reviewed(Makes(kinds=frozenset({(group, kind)})), (), KNOWN).namespaced
    assert len(rendered) == (0 if kind == "ResourceQuota" else 1)


def test_crds_among_the_templates_are_known_by_name_and_make_kinds() -> None:
    spec = {"group": "new.io", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"}}
    crd = object_("CustomResourceDefinition", "things.new.io", "apiextensions.k8s.io/v1", spec=spec)
    found = makes(manifests(crd, object_("Thing", api_version="new.io/v1")))
    crds = {("apiextensions.k8s.io", "customresourcedefinitions")}
    assert reviewed(found, crds, KNOWN) == Reviewed(
        frozenset({("new.io", "things")}), cluster_scoped=frozenset(crds), crds=frozenset({"things.new.io"})
    )
    assert makes(manifests(crd, source="crds/all.yaml")) == Makes()


def test_what_roles_hold_is_handed_on_for_whatever_name() -> None:
    held = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    everywhere = role(rule(resources="nodes"), kind="ClusterRole", name="wide")
    bound = role(rule(resources="services"), kind="ClusterRole", name="bound")
    services = {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}
    found = makes(manifests(role(PODS, PODS), everywhere, bound, binding("bound")))
    assert found.handed_on == (held, services)


def test_a_test_of_the_chart_gives_no_rights() -> None:
    hook = {"annotations": {"helm.sh/hook": "test"}}
    assert makes(manifests(object_("Secret", metadata=hook))) == Makes()


def test_it_is_read_as_it_was_written() -> None:
    found = makes(manifests(role(PODS), object_("Secret"))) | Makes(named=frozenset({(None, "A"), ("b", "B")}))
    assert chart_rights.read(chart_rights.written(found), Makes) == found
    done = reviewed(found, {("", "nodes")}, KNOWN)
    assert chart_rights.read(chart_rights.written(done), Reviewed) == done


def test_helms_rules() -> None:
    handed_on = {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete", "get"]}
    found = Reviewed(frozenset({("apps", "deployments")}), frozenset({("", "nodes")}), (handed_on,))
    assert release_rules(found, {("b", "old")}, [handed_on]) == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": MAKING},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": MAKING},
        {"apiGroups": ["b"], "resources": ["old"], "verbs": MAKING},
        {"apiGroups": [""], "resources": ["events", "nodes", "pods", "pods/log"], "verbs": READING},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": READING},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": READING},
        handed_on,
    ]


def test_an_edition_before_can_be_gone_back_to() -> None:
    one, two, three = ({"apiGroups": [""], "resources": [name], "verbs": ["get"]} for name in "abc")
    roles: list[dict[str, Any]] = [{}]
    for held in (one, two, two, three):
        found = Reviewed(frozenset({("", f"made-{held['resources'][0]}")}), handed_on=(held,))
        roles.append(rights.of_helm(offering(), found, roles[-1], None)[0])
    assert [successive((three,), each) for each in roles[1:]] == [
        [[three], [one]],
        [[three], [two]],
        [[three], [two]],
        [[three], [two]],
    ]
    assert made_by(roles[-1]["rules"]) == {("", "made-a"), ("", "made-b"), ("", "made-c"), ("", "secrets")}
    assert one not in roles[-1]["rules"]


def test_crds_are_changed_by_name_only() -> None:
    crds = ("apiextensions.k8s.io", "customresourcedefinitions")
    found = Reviewed(cluster_scoped=frozenset({crds, ("", "nodes")}), crds=frozenset({"b.io", "a.io"}))
    which = {"apiGroups": [crds[0]], "resources": [crds[1]]}
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": MAKING}
    named = which | {"resourceNames": ["a.io", "b.io"], "verbs": ["get", "update", "patch", "delete"]}
    rules = rights.cluster_rules(found, [])
    assert rules == [nodes, named, which | {"verbs": ["create"]}]
    assert rights.cluster_rules(Reviewed(cluster_scoped=frozenset({("", "nodes")})), rules) == [nodes, named]
    assert rights.cluster_rules(Reviewed(cluster_scoped=frozenset({crds})), []) == []


# What no chart gets


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (rule("*"), "allows apiGroups '*'"),
        (rule(resources="*"), "allows resources '*'"),
        (rule(resources="*/scale"), "allows resources */scale"),
        (rule(verbs="*"), "allows verbs '*' on pods"),
        (rule("rbac.authorization.k8s.io", "roles", "get,escalate"), "allows verbs escalate on roles"),
        (rule("rbac.authorization.k8s.io", "clusterroles", "bind"), "allows verbs bind on clusterroles"),
        (rule(resources="users", verbs="impersonate"), "allows verbs impersonate on users"),
        (rule(resources="resourcequotas", verbs="delete"), "allows delete on resourcequotas"),
        (rule("x.io,", "things,limitranges", "patch"), "allows patch on limitranges"),
        (rule(resources="namespaces", verbs="update"), "allows update on namespaces"),
        (rule(resources="namespaces/finalize", verbs="update"), "allows update on namespaces/finalize"),
        (rule("networking.k8s.io", "networkpolicies", "create"), "allows create on networkpolicies"),
        (rule("rbac.authorization.k8s.io", "rolebindings", "create"), "allows create on rolebindings"),
        (rule(resources="serviceaccounts/token", verbs="create"), "allows create on serviceaccounts/token"),
        (rule("chandlery.dev", "marks", "set"), "allows something on chandlery.dev"),
        (rule(nonResourceURLs=["/metrics"]), "allows nonResourceURLs"),
    ],
    ids=lambda each: None if isinstance(each, dict) else each,
)
def test_a_role_that_frees_itself_is_refused(held: dict[str, Any], why: str) -> None:
    (message,) = refused(role(held), rbac={"create": True})
    assert message.startswith(f"templates/all.yaml: Role/x {why}")
    assert message.endswith("; narrow it or switch it off by spec.values: rbac.create: false")
    assert refused(role(held, kind="ClusterRole"), binding("x")) != []
    assert refused(role(held, kind="ClusterRole")) == []  # in cluster scope the administrator gives rights


@pytest.mark.parametrize(
    "held",
    [
        rule(resources="pods,pods/exec,secrets,configmaps", verbs="get,list,watch,create,update,patch,delete"),
        rule("networking.k8s.io", "networkpolicies,ingresses", "get,list"),
        rule("rbac.authorization.k8s.io", "roles", "get"),
        rule(resources="namespaces", verbs="get"),
        rule("other.io", "resourcequotas", "delete"),
    ],
)
def test_a_role_within_its_bounds_is_fine(held: dict[str, Any]) -> None:
    assert refused(role(held)) == []


def test_what_bounds_the_namespace_is_not_the_charts_to_make() -> None:
    (message,) = refused(object_("ResourceQuota"), quota={"enabled": True})
    assert "ResourceQuota/x bounds the namespace, which is for spec.policies to do" in message


def test_a_role_that_is_not_the_charts_is_not_handed_on() -> None:
    assert refused(binding("edit"))[0].startswith("templates/all.yaml: RoleBinding/x hands on ClusterRole edit, which")
    assert refused(binding("own"), role(rule(), kind="ClusterRole", name="own")) == []
    assert refused(binding("x", "Role"), role(rule())) == []


junk = st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
parts = st.sampled_from(["apiGroups", "resources", "verbs", "nonResourceURLs"])


@given(st.lists(st.dictionaries(parts, junk)) | junk)
def test_whatever_a_role_holds_is_looked_at(rules: Any) -> None:
    found = manifests(object_("Role", api_version=RBAC, rules=rules))
    problems(found, {})
    makes(found)


words = st.sampled_from(["", "*", "networking.k8s.io", "rbac.authorization.k8s.io", "networkpolicies", "roles", "pods"])
verbs = st.sampled_from(["*", "get", "list", "create", "bind", "escalate", "delete"])


@given(st.lists(words, min_size=1), st.lists(words, min_size=1), st.lists(verbs, min_size=1))
def test_what_is_handed_on_never_frees_anybody(groups: list[str], resources: list[str], said: list[str]) -> None:
    found = manifests(role({"apiGroups": groups, "resources": resources, "verbs": said}))
    if problems(found, {}):
        return
    for each in makes(found).handed_on:
        assert not {"*", "escalate", "bind"} & {*each["verbs"], *each["resources"], *each["apiGroups"]}
        if {*each["verbs"]} - {"get", "list", "watch"}:
            assert not ("networkpolicies" in each["resources"] and "networking.k8s.io" in each["apiGroups"])
            assert not ("roles" in each["resources"] and "rbac.authorization.k8s.io" in each["apiGroups"])
