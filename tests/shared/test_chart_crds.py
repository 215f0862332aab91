"""Which CRDs a chart brings, and whose schema counts when several do."""

from typing import Any

import pytest

from shared import charts
from shared.chart_crds import crds_of, labelled, step_for
from shared.errors import Refused
from tests.archives import CHART, archive

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.a.example.org"},
    "spec": {"group": "a.example.org", "names": {"kind": "Widget", "plural": "widgets"}, "versions": []},
}
TEXT = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.a.example.org}
spec: {group: a.example.org, names: {kind: Widget, plural: widgets}, versions: []}
"""


def crd(group: str = "a.example.org", **metadata: Any) -> dict[str, Any]:
    named = {"name": f"widgets.{group}", **metadata}
    return {**CRD, "metadata": named, "spec": {"group": group, "names": {"kind": "Widget", "plural": "widgets"}}}


def existing(applied: str = "1.0.0", group: str = "a.example.org", **bringers: str) -> dict[str, Any]:
    brought = {f"offering.chandlery.dev/{name}": version for name, version in bringers.items()}
    return crd(
        group,
        labels={"chandlery.dev/brought-by-charts": "true"},
        annotations={"chandlery.dev/chart-version": applied, **brought},
    )


@pytest.mark.parametrize(
    ("there", "version", "step"),
    [
        pytest.param(None, "1.0.0", "apply", id="nobody has it"),
        pytest.param(crd(), "1.0.0", "use", id="somebody else's"),
        pytest.param(
            crd(annotations={"offering.chandlery.dev/x": "9"}), "1.0.0", "use", id="an annotation is no proof"
        ),
        pytest.param(existing("1.9.0", old="1.9.0"), "1.10.0", "apply", id="newer"),
        pytest.param(existing("1.10.0", new="1.10.0"), "1.9.0", "join", id="older"),
        pytest.param(existing("1.10.0", database="1.10.0"), "1.9.0", "join", id="older of the same offering"),
        pytest.param(existing("1.10.0"), "1.10.0-rc.1", "join", id="a pre-release is older"),
        pytest.param(existing("1.0.0", other="1.0.0"), "1.0.0", "join", id="the same from another"),
        pytest.param(existing("1.0.0", database="1.0.0", other="0.9.0"), "1.0.0", "apply", id="the same again"),
        pytest.param(existing("broken"), "1.0.0", "apply", id="nobody knows which it is"),
    ],
)
def test_whose_schema_counts(there: dict[str, Any] | None, version: str, step: str) -> None:
    assert step_for(crd(), there, "database", version) == step


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        pytest.param(crd("chandlery.dev"), None, id="ours"),
        pytest.param(crd("x.chandlery.dev"), crd("x.chandlery.dev"), id="ours and there"),
        pytest.param(crd(), crd(labels={"chandlery.dev/offering": "database"}), id="a generated one"),
        pytest.param(crd("gateway.networking.k8s.io"), None, id="Kubernetes' own"),
        pytest.param(crd("node.kubernetes.io"), existing(group="node.kubernetes.io"), id="Kubernetes' own, ours"),
    ],
)
def test_what_no_chart_may_bring(wanted: dict[str, Any], there: dict[str, Any] | None) -> None:
    with pytest.raises(Refused) as refused:
        step_for(wanted, there, "database", "1.0.0")
    assert refused.value.reason == "ClusterScopedObject"
    assert wanted["metadata"]["name"] in refused.value.message


def test_kubernetes_own_kinds_are_used_where_they_are_installed() -> None:
    wanted = crd("gateway.networking.k8s.io")
    assert step_for(wanted, wanted, "database", "1.0.0") == "use"


def test_crds_of_the_chart_and_its_subcharts() -> None:
    files = {
        "Chart.yaml": CHART,
        "crds/a.yaml": f"---\n# nothing\n---{TEXT}status: {{}}\n",
        "crds/notes.txt": "not YAML: [",
        "charts/x/Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n",
        "charts/x/crds/b.json": '{"apiVersion": "v1", "kind": "List", "items": []}',
    }
    assert crds_of(charts.inspect(archive(files))) == {"widgets.a.example.org": CRD}


@pytest.mark.parametrize(
    "text",
    [
        "kind: ConfigMap",
        "- 1",
        "text",
        TEXT.replace("/v1", "/v1beta1"),
        TEXT.replace("metadata: {name: widgets.a.example.org}", ""),
        TEXT.replace("name: widgets.a.example.org", "name: [1]"),
        TEXT.replace("name: widgets.a", "name: gadgets.a"),
        TEXT.replace("kind: Widget", "kind: 5"),
        TEXT.replace("versions: []", "versions: [1]"),
        TEXT.replace("widgets", "../../../v1/x"),
        TEXT.replace("a.example.org", "a.example.org/../x"),
        TEXT.replace("group: a.example.org", "group: ''"),
        "{{ template }}",
    ],
)
def test_what_is_no_crd_is_refused_with_the_file(text: str) -> None:
    chart = charts.inspect(archive({"Chart.yaml": CHART, "crds/a.yaml": text}))
    with pytest.raises(Refused) as refused:
        crds_of(chart)
    assert refused.value.message.startswith("crds/a.yaml: ")


def test_a_chart_says_nothing_in_our_name() -> None:
    given = crd(
        labels={"app": "x", "chandlery.dev/offering": "stolen"},
        annotations={"offering.chandlery.dev/x": "9", "a/b": "c"},
        finalizers=["never.example.com/gone"],
        ownerReferences=[{"name": "x"}],
    )
    assert labelled(given, "1.0.0", {"offering.chandlery.dev/y": "1.0.0"}, "7")["metadata"] == {
        "name": "widgets.a.example.org",
        "labels": {"app": "x", "chandlery.dev/brought-by-charts": "true"},
        "annotations": {
            "a/b": "c",
            "chandlery.dev/chart-version": "1.0.0",
            "offering.chandlery.dev/y": "1.0.0",
        },
        "resourceVersion": "7",
    }
