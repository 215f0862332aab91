from typing import Any

import pytest

from shared.problems import Problem
from shared.standards import essence, violated, violations
from tests.rendering import container, deployment, manifests, object_


def of(body: dict[str, Any]) -> dict[str, Any] | None:
    (each,) = manifests(body)
    return essence(each)


def test_only_what_pod_security_looks_at_is_asked_about() -> None:
    main = container(
        requests={"cpu": "1"}, env=[{"name": "A", "value": "b"}], securityContext={"privileged": True}, args=["x"]
    )
    volumes = [
        {"name": "etc", "hostPath": {"path": "/etc"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "release-data"}},
    ]
    body = deployment(
        main, hostNetwork=True, serviceAccountName="web", priorityClassName="high", volumes=volumes, nodeSelector={}
    )
    body["spec"]["template"]["metadata"] = {
        "labels": {"app": "web"},
        "annotations": {"checksum": "1", "container.apparmor.security.beta.kubernetes.io/main": "unconfined"},
    }
    assert of(body) == {
        "metadata": {
            "name": "preflight",
            "annotations": {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "hostNetwork": True,
            "containers": [{"name": "main", "image": "preflight", "securityContext": {"privileged": True}}],
            "volumes": [{"name": "etc", "hostPath": {"path": "/etc"}}],
        },
    }


def test_like_pods_ask_alike() -> None:
    def one(release: str) -> dict[str, Any]:
        return deployment(container(env=[{"name": "A", "value": release}], image=release), name=release)

    assert of(one("a")) == of(one("b"))


def test_what_makes_no_pods_is_not_asked_about() -> None:
    assert of(object_("ConfigMap")) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            'pods "preflight" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
            "host namespaces (hostNetwork=true)",
            id="a violation",
        ),
        pytest.param('pods "preflight" is forbidden: exceeded quota: no-pods', None, id="the quota behind it"),
    ],
)
def test_the_api_servers_own_words_are_kept(message: str, expected: str | None) -> None:
    assert violations(message) == expected


def test_a_violation_names_object_rule_and_fix() -> None:
    (each,) = manifests(deployment())
    assert violated(each, "baseline", "host namespaces (hostNetwork=true)") == Problem(
        "PodSecurityViolated",
        "templates/all.yaml: Deployment/x: its pods break pod security baseline: host namespaces (hostNetwork=true); "
        "set the chart's security by spec.values, or lower spec.policies.podSecurity",
    )
