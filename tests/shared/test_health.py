"""Readiness as kubectl and kstatus define it."""

from typing import Any

import pytest

from shared.health import CURRENT, Health, endpoints, health, overall, pod_trouble


def workload(
    kind: str, spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any
) -> Any:
    return {
        "kind": kind,
        "metadata": {"name": "web", "namespace": "ns", "generation": 2, **metadata},
        "spec": spec or {},
        "status": {"observedGeneration": 2, **(status or {})},
    }


ROLLED_OUT = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
DEADLINE = {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}
FORBIDDEN = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "violates PodSecurity"}


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (workload("Deployment", {"replicas": 3}, ROLLED_OUT), "Current", ""),
        (workload("Deployment", {"replicas": 0}), "Current", ""),
        (workload("Deployment", {}, {"observedGeneration": 1, **ROLLED_OUT}), "InProgress", "not seen"),
        (workload("Deployment", {"replicas": 3}, ROLLED_OUT | {"updatedReplicas": 1}), "InProgress", "1 of 3"),
        (workload("Deployment", {"replicas": 3}, ROLLED_OUT | {"replicas": 4}), "InProgress", "1 old"),
        (workload("Deployment", {"replicas": 3}, ROLLED_OUT | {"availableReplicas": 2}), "InProgress", "2 of 3"),
        (workload("Deployment", {"replicas": 1}, DEADLINE), "Failed", "deadline"),
        (workload("Deployment", {"replicas": 1}, {"conditions": [FORBIDDEN]}), "Failed", "violates PodSecurity"),
        (workload("Deployment", {}, ROLLED_OUT, deletionTimestamp="now"), "InProgress", "deleted"),
        (workload("StatefulSet", {"replicas": 2}, {"readyReplicas": 2, "updatedReplicas": 2}), "Current", ""),
        (workload("StatefulSet", {"replicas": 2}, {"readyReplicas": 1}), "InProgress", "1 of 2"),
        (
            workload(
                "StatefulSet",
                {"replicas": 2},
                {"readyReplicas": 2, "updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"},
            ),
            "InProgress",
            "1 of 2 pods are updated",
        ),
        (
            workload(
                "StatefulSet",
                {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
                {"readyReplicas": 3, "updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"},
            ),
            "Current",
            "",
        ),
        (
            workload(
                "StatefulSet",
                {"replicas": 1, "updateStrategy": {"type": "OnDelete"}},
                {"readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"},
            ),
            "Current",
            "",
        ),
        (
            workload("DaemonSet", {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}),
            "Current",
            "",
        ),
        (
            workload("DaemonSet", {}, {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1}),
            "InProgress",
            "1 of 2",
        ),
        (workload("Job", {}, {"startTime": "now"}), "Current", ""),
        (workload("Job"), "InProgress", "not started"),
        (
            workload(
                "Job", {}, {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
            ),
            "Failed",
            "failed",
        ),
        (workload("PersistentVolumeClaim", {}, {"phase": "Bound"}), "Current", ""),
        (workload("PersistentVolumeClaim", {}, {"phase": "Pending"}), "InProgress", "not bound"),
        (workload("Service", {"type": "ClusterIP"}), "Current", ""),
        (workload("Service", {"type": "LoadBalancer"}), "InProgress", "no address"),
        (workload("ConfigMap"), "Current", ""),
    ],
)
def test_a_workload_is(found: Any, state: str, words: str) -> None:
    judged = health(found)
    assert judged.state == state
    assert words in judged.message


def test_an_object_its_controller_never_saw_is_not_ready() -> None:
    fresh = {"kind": "Deployment", "metadata": {"name": "web", "generation": 1}, "spec": {"replicas": 0}}
    assert health(fresh).state == "InProgress"


def pod(**status: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": "web-1"}, "status": status}


@pytest.mark.parametrize(
    ("found", "reason", "words"),
    [
        (
            pod(
                containerStatuses=[
                    {"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no x:1"}}}
                ]
            ),
            "ImagePullBackOff",
            "container app: ImagePullBackOff: no x:1",
        ),
        (
            pod(
                containerStatuses=[
                    {
                        "name": "app",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                    }
                ]
            ),
            "CrashLoopBackOff",
            "after OOMKilled (exit code 137)",
        ),
        (
            pod(
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
                ]
            ),
            "Unschedulable",
            "0/1 nodes",
        ),
        (pod(phase="Failed", reason="Evicted", message="disk"), "Evicted", "disk"),
        (
            pod(initContainerStatuses=[{"name": "init", "state": {"terminated": {"reason": "Error", "exitCode": 2}}}]),
            "Error",
            "container init: Error (exit code 2)",
        ),
    ],
)
def test_a_pod_in_trouble_says_why(found: Any, reason: str, words: str) -> None:
    trouble = pod_trouble(found)
    assert trouble is not None
    assert (trouble.state, trouble.reason) == ("Failed", reason)
    assert words in trouble.message


def test_a_starting_pod_is_in_no_trouble() -> None:
    assert (
        pod_trouble(pod(containerStatuses=[{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]))
        is None
    )


def test_the_pod_s_own_words_come_before_the_count_of_its_workload() -> None:
    broken = workload("Deployment", {"replicas": 1}, {"replicas": 1, "updatedReplicas": 1})
    pulling = pod(containerStatuses=[{"name": "app", "state": {"waiting": {"reason": "ErrImagePull"}}}])
    assert overall([broken], [pulling]).reason == "ErrImagePull"
    assert overall([broken], []) == Health("InProgress", "Progressing", "deployment web: 0 of 1 pods are available")


def test_everything_ready_is_ready_and_so_is_nothing() -> None:
    assert overall([workload("Deployment", {"replicas": 3}, ROLLED_OUT)], [pod(phase="Failed")]) == CURRENT
    assert overall([], []) == CURRENT


def test_endpoints_come_from_ingresses_and_services() -> None:
    objects = [
        workload("Ingress", {"tls": [{"hosts": ["a.example.com"]}], "rules": [
            {"host": "a.example.com", "http": {"paths": [{"path": "/x"}]}}, {"host": "b.example.com"}]}),
        workload("Service", {"ports": [{"port": 80, "name": "http"}, {"port": 5432, "protocol": "TCP"}]}),
        workload("Service", {"clusterIP": "None", "ports": [{"port": 5432}]}),
        workload("Service", {"type": "LoadBalancer", "ports": [{"port": 443}]},
                 {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}),
    ]  # fmt: skip
    assert [each["url"] for each in endpoints(objects)] == [
        "https://a.example.com/x",
        "http://b.example.com/",
        "http://web.ns.svc.cluster.local:80",
        "tcp://web.ns.svc.cluster.local:5432",
        "https://203.0.113.7:443",
    ]
