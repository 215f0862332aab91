from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared import documents
from shared.checks import unplaced
from shared.kinds import Kinds, Served
from shared.offering import Offering, Pods
from shared.placement import marks, placed, placement, written
from shared.preflight import put
from shared.releases import release_for
from shared.rerendered import FILE, pieces
from tests.builders import instance, offering
from tests.rendering import KINDS, deployment, manifests, object_

HERE = {"disk": "fast"}
TOLERATION = {"key": "tenants", "operator": "Exists"}
PODS = Pods(node_selector=HERE, tolerations=[TOLERATION], runtime_class_name="gvisor")
WANTED: dict[str, Any] = {"nodeSelector": HERE, "tolerations": [TOLERATION], "runtimeClassName": "gvisor"}
PLAIN: dict[str, Any] = {"template": {"spec": {"containers": []}}}
PLACED = {"template": {"spec": {"containers": [], **WANTED}}}


@pytest.mark.parametrize(
    ("api_version", "kind", "before", "after"),
    [
        pytest.param("v1", "Pod", {"containers": []}, {"containers": [], **WANTED}, id="a pod"),
        pytest.param("apps/v1", "Deployment", PLAIN, PLACED, id="a deployment"),
        pytest.param("apps/v1", "StatefulSet", PLAIN, PLACED, id="a stateful set"),
        pytest.param("apps/v1", "DaemonSet", PLAIN, PLACED, id="a daemon set"),
        pytest.param("apps/v1", "ReplicaSet", PLAIN, PLACED, id="a replica set"),
        pytest.param("v1", "ReplicationController", PLAIN, PLACED, id="a replication controller"),
        pytest.param("batch/v1", "Job", PLAIN, PLACED, id="a job"),
        pytest.param(
            "batch/v1", "CronJob", {"jobTemplate": {"spec": PLAIN}}, {"jobTemplate": {"spec": PLACED}}, id="a cron job"
        ),
    ],
)
def test_all_that_makes_pods_is_placed(
    api_version: str, kind: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    (each,) = manifests(object_(kind, api_version=api_version, spec=before))
    assert placed(each, placement(PODS)) == object_(kind, api_version=api_version, spec=after)


def test_a_custom_resource_is_left_alone() -> None:
    (each,) = manifests(object_("Cluster", api_version="postgres.example.com/v1", spec=PLAIN))
    assert placed(each, placement(PODS)) is None


def test_the_offering_wins_over_the_chart_whose_own_tolerations_stay() -> None:
    own = {"key": "gpu", "operator": "Exists"}
    chosen: dict[str, Any] = {
        "nodeSelector": {"disk": "slow", "zone": "a"},
        "tolerations": [own],
        "runtimeClassName": "runc",
    }
    (each,) = manifests(deployment(**chosen))
    found = placed(each, placement(PODS)) or {}
    assert found["spec"]["template"]["spec"] == {
        "containers": [],
        "nodeSelector": {"disk": "fast", "zone": "a"},
        "tolerations": [own, TOLERATION],
        "runtimeClassName": "gvisor",
    }


def test_what_is_placed_already_is_not_placed_twice() -> None:
    (each,) = manifests(deployment(**WANTED))
    assert placed(each, placement(PODS)) == each.body


TEXT = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: a, annotations: {{{FILE}: 'made/templates/a.yaml'}}}}
data:
  script: |
    ---
    # kept
---
# of the web
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    {FILE}: 'made/charts/sub/templates/web.yaml'
spec: {{template: {{spec: {{containers: []}}}}}}
"""


def test_only_what_changes_is_written_anew() -> None:
    found = pieces(TEXT)
    assert [each.manifest and (each.manifest.source, each.manifest.shown) for each in found] == [
        ("templates/a.yaml", "ConfigMap/a"),
        ("charts/sub/templates/web.yaml", "Deployment/web"),
    ]
    policies = offering(policies={"pods": PODS.model_dump(by_alias=True)}).spec.policies
    after = put(TEXT, found, policies)
    assert after.startswith(TEXT.partition("# of the web")[0])
    assert [*yaml.safe_load_all(after)][1]["spec"]["template"]["spec"] == {"containers": [], **WANTED}


def test_without_a_placement_the_text_stays_the_very_same() -> None:
    assert put(TEXT, pieces(TEXT), offering().spec.policies) is TEXT


def test_nothing_rendered_is_nothing_changed() -> None:
    assert put("", pieces(""), offering(policies={"pods": PODS.model_dump(by_alias=True)}).spec.policies) == ""


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["y", "on", "0x10", "0o17", "1e3", "~", "null", "True", "a\n  b\n", "  a\nb", "=", "<<", "- a"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "on", "1"]), ANYTHING))
def test_what_is_written_is_read_as_it_was(body: dict[str, Any]) -> None:
    (read,), _ = documents.load(written(body).encode(), "it", 10**6)
    assert read == body


def release(**pods: Any) -> str:
    found: Offering = offering(policies={"pods": pods})
    return release_for(found, instance()).inputs


def test_another_placement_is_another_release_and_none_changes_nothing() -> None:
    assert release() == release(limits={"cpu": 1}) == release_for(offering(), instance()).inputs
    assert len({release(), release(nodeSelector=HERE), release(tolerations=[TOLERATION])}) == 3


def test_what_no_one_can_place_is_told() -> None:
    given = manifests(object_("Cluster", "db", "postgres.example.com/v1"), deployment())
    policies = offering(policies={"pods": {"nodeSelector": HERE}}).spec.policies
    lacking = Kinds(Served("v1", {("apps", "v1", "Deployment"): True}), {})
    assert [*unplaced(given, lacking, policies)] == [
        "Cluster/db: spec.policies.pods does not place the pods that an operator makes of it: "
        "this cluster serves no MutatingAdmissionPolicy"
    ]
    assert [*unplaced(given, lacking, offering().spec.policies)] == []
    assert [*unplaced(given, KINDS, policies)] == []


def test_a_release_namespace_is_marked_with_its_placement() -> None:
    second = {"key": "slow", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60}
    pods = Pods(node_selector={"b": "2", "a": "1"}, tolerations=[TOLERATION, second], runtime_class_name="gvisor")
    assert marks(pods) == {
        "chandlery.dev/node-selector": "a=1,b=2",
        "chandlery.dev/tolerations": "tenants|Exists|||,slow|Equal|yes|NoExecute|60",
        "chandlery.dev/runtime-class": "gvisor",
    }
    assert marks(Pods()) == {}
