"""What `chandlery describe`, `logs` and `resources` make of what was read. tests/e2e/test_cli.py types them."""

from typing import Any

import pytest

from cli import describe, tree
from cli.logs import failing, sources_of
from shared.conditions import Condition

Object = dict[str, Any]


def of_kind(kind: str, name: str, owner: str = "", api_version: str = "v1", **more: Any) -> Object:
    metadata: Object = {"name": name, "uid": f"{kind}-{name}"}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner}]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def page(*conditions: tuple[str, str, str], **more: Any) -> Object:
    rows = [{"status": status, "reason": reason, "message": message} for status, reason, message in conditions]
    return {"conditions": rows, **more}


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        pytest.param(page(("True", "Ready", "all is well; rest")), [], id="well"),
        pytest.param(page(("False", "Limit", "spec.plan: there is no x; choose small")), ["choose small"], id="fix"),
        pytest.param(page(("False", "A", "cause; fix"), ("False", "A", "cause; fix")), ["fix"], id="once"),
        pytest.param(page(("False", "A", "only a cause")), [], id="no fix"),
        pytest.param(
            page(("False", "A", ""), pods=[{"reason": "ImagePullBackOff"}, {"reason": ""}]),
            [describe.NEXT["ImagePullBackOff"]],
            id="a pod's reason",
        ),
    ],
)
def test_what_to_do_next_is_what_the_conditions_name(found: Object, steps: list[str]) -> None:
    assert describe.steps(found) == steps


def test_a_condition_of_an_older_spec_is_marked() -> None:
    said = Condition(type="Ready", status="True", reason="Ready", observed_generation=1)
    assert "outdated" not in describe.condition_row(said, 1)
    assert describe.condition_row(said, 2)["outdated"] is True


def test_what_is_gone_is_told_from_what_is_hidden() -> None:
    there = {"service/a": of_kind("Service", "a")}
    rows = describe.resources(["service/a", "service/b", "secret/c"], there, {"service"})
    assert [(each["health"], each["message"]) for each in rows] == [
        ("Current", ""),
        ("?", "not there"),
        ("?", "not visible to you"),
    ]


def test_events_are_told_by_the_last_time_they_happened() -> None:
    event = {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "lastTimestamp": "2026-01-01T00:05:00Z",
        "involvedObject": {"kind": "Pod", "name": "a"},
        "count": 3,
        "message": "no\n",
    }
    row = describe.event_row(event)
    assert describe.when(event) == "2026-01-01T00:05:00Z"
    assert (row["object"], row["times"], row["message"]) == ("Pod a", 3, "no")
    assert describe.event_row({"metadata": {}})["times"] == 1


def test_helms_history_is_read_from_labels_alone() -> None:
    secrets = [
        {"metadata": {"labels": {"version": number, "status": status}}} for number, status in (("2", "b"), ("10", "c"))
    ]
    assert [(each["revision"], each["status"]) for each in describe.history(secrets)] == [(10, "c"), (2, "b")]


def test_the_tree_follows_owners() -> None:
    inside = [
        of_kind("Deployment", "web", api_version="apps/v1", spec={"replicas": 0}, status={"observedGeneration": 1}),
        of_kind("ReplicaSet", "web-1", "Deployment-web", "apps/v1"),
        of_kind("Pod", "web-1-a", "ReplicaSet-web-1", spec={}, status={"phase": "Succeeded"}),
        of_kind("Secret", "sh.helm.release.v1.x"),
        of_kind("ConfigMap", "kube-root-ca.crt"),
        of_kind("Widget", "orphan", "of-another-namespace", "x.example.com/v1"),
    ]
    inside[3]["metadata"]["labels"] = {"owner": "helm"}
    inventory = ["deployment.apps/web", "service/gone", "secret/hidden"]
    home = tree.home("r", inventory, inside, {"service", "deployment.apps"})
    assert home.document() == {
        "object": "Namespace r",
        "owns": [
            {
                "object": "by the chart",
                "owns": [
                    {
                        "object": "Deployment web",
                        "health": "Current",
                        "owns": [
                            {
                                "object": "ReplicaSet web-1",
                                "health": "Current",
                                "owns": [{"object": "Pod web-1-a", "health": "Current"}],
                            }
                        ],
                    },
                    {"object": "service/gone", "health": "Failed", "message": "is gone"},
                ],
            },
            {"object": "by Chandlery", "owns": [{"object": "Secret sh.helm.release.v1.x", "health": "Current"}]},
            {
                "object": "by others",
                "owns": [
                    {"object": "ConfigMap kube-root-ca.crt", "health": "Current"},
                    {"object": "Widget orphan", "health": "Current"},
                ],
            },
        ],
    }


def test_objects_that_own_each_other_end() -> None:
    a, b = of_kind("A", "a", "B-b"), of_kind("B", "b", "A-a")
    (node,) = tree.trees([a], [a, b])
    assert [each.title for each in node.children] == ["B b"]


def test_the_logs_of_the_container_in_trouble_are_shown() -> None:
    def pod(name: str, **state: Any) -> Object:
        statuses = [{"name": "ok", "ready": True}, {"name": "bad", "ready": not state, "state": state}]
        return {"metadata": {"name": name}, "spec": {}, "status": {"phase": "Running", "containerStatuses": statuses}}

    well, crashing = pod("a"), pod("b", waiting={"reason": "CrashLoopBackOff"})
    assert failing([well, crashing]) == ("b", "bad")
    assert failing([well]) is None
    assert failing([well, crashing | {"metadata": {"name": "b", "deletionTimestamp": "now"}}]) is None


def test_every_container_of_every_pod_has_logs() -> None:
    pods = [
        {"metadata": {"name": "b"}, "spec": {"containers": [{"name": "main"}]}},
        {"metadata": {"name": "a"}, "spec": {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}]}},
    ]
    assert sources_of(pods) == [("a", "init"), ("a", "main"), ("b", "main")]
