"""Pods that Helm never sees, where the API server serves MutatingAdmissionPolicy: 1.35 does not by default."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from knative.local.layout import REPOSITORY
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.errors import ApiError
from shared.placement import placement
from shared.policies import namespace_object
from shared.resources import NAMESPACES, PODS
from tests.builders import KEY, offering
from tests.e2e.world import World
from tests.stacks import with_flags

COMPONENT = REPOSITORY / "knative" / "components" / "placement" / "placement.yaml"
GATES = (
    "--feature-gates=MutatingAdmissionPolicy=true",
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
)


@pytest.fixture(scope="module")
def gated_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    found = with_flags(tmp_path_factory.mktemp("gated") / "stack", *GATES, kind=Stack)
    kubectl = [str(found.layout.bin / "kubectl"), f"--kubeconfig={found.layout.kubeconfig}"]
    subprocess.run([*kubectl, "apply", "-f", str(COMPONENT)], check=True)
    yield found
    found.down()


LEFT = {"key": "tenants", "operator": "Exists", "effect": "NoSchedule"}
LONG = {"key": "slow", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60}
HERE = {"disk": "fast", "example.com/zone": "a"}
OWN = {"key": "gpu", "operator": "Exists"}


async def test_pods_that_operators_make_are_placed_too(gated_stack: Stack) -> None:
    policies = {"pods": {"nodeSelector": HERE, "tolerations": [LEFT, LONG]}}
    given = offering(policies=policies)
    cluster = await Cluster.open(str(gated_stack.layout.kubeconfig))
    world = World(gated_stack, cluster)
    try:
        await cluster.create(NAMESPACES, namespace_object(KEY, given, "placed"))
        await cluster.create(NAMESPACES, {"metadata": {"name": "elsewhere"}})

        async def made(namespace: str, name: str, **spec: Any) -> dict[str, Any] | None:
            main = {"containers": [{"name": "main", "image": "x"}], "automountServiceAccountToken": False}
            body = {"metadata": {"name": name, "namespace": namespace}, "spec": main | spec}
            try:
                return (await cluster.create(PODS, body, dry_run=True))["spec"]
            except ApiError as error:
                if "service account" in error.message:
                    return None  # the namespace has just been made
                raise

        async def placed() -> dict[str, Any] | None:
            """A policy takes a moment to be in force."""
            found = await made("placed", "plain")
            return found if found and found.get("nodeSelector") else None

        plain = await world.eventually(placed, "a pod is placed")
        assert plain["nodeSelector"] == HERE
        assert [each for each in plain["tolerations"] if each in (LEFT, LONG)] == [LEFT, LONG]
        own = await made("placed", "own", nodeSelector={"disk": "slow", "size": "1"}, tolerations=[OWN, LEFT])
        assert own
        assert own["nodeSelector"] == {**HERE, "size": "1"}
        assert [each for each in own["tolerations"] if each in (OWN, LEFT, LONG)] == [OWN, LEFT, LONG]
        assert placement(given.spec.policies.pods) == {"nodeSelector": HERE, "tolerations": [LEFT, LONG]}

        async def stranger() -> dict[str, Any] | None:
            return await made("elsewhere", "stranger")

        assert "nodeSelector" not in await world.eventually(stranger, "a stranger's pod")
    finally:
        await cluster.close()
