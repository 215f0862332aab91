"""Chandlery as a cluster runs it: one image, its pods on a real kubelet, each with its own account and rights,
installed with the CLI. What they were refused is read from the API server's audit log."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.bundle import Object
from knative.local.build import build
from knative.local.node import requirements
from shared.cluster import Cluster
from shared.resources import PODS, Resource
from tests.cli.typed import typed
from tests.e2e.world import World
from tests.node import image
from tests.node.load import KIND, POLICIES
from tests.node.own import Empty, Own
from tests.stacks import with_flags

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
PATIENCE = 240.0
ORDERS = 20
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts:chandlery"]}, {"level": "None"}],
}


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, audit: Path) -> Iterator[Own]:
    if reason := requirements.missing() or image.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("own")
    policy = folder / "policy.json"
    policy.write_text(json.dumps(AUDIT))
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={audit}", "--audit-log-maxsize=1000")
    stack = with_flags(folder / "stack", *flags, kind=Empty)
    try:
        found = Own(stack, image.archives(folder, [build()[name] for name in ("helm", "chandlery-helm")]))
        said = chandlery(found, "install", found.overlay(folder / "overlay", "1"), f"--timeout={PATIENCE:g}")
        assert "installed" in said
        stack.route()
        yield found
    finally:
        stack.down()


def chandlery(own: Own, *arguments: str | Path, **more: str) -> str:
    layout = own.stack.layout
    path = f"{layout.bin}{os.pathsep}{os.environ['PATH']}"
    done = typed(layout.kubeconfig, *arguments, PATH=path, **more)
    assert done.code == 0, done.out + done.err
    return done.out


@pytest.fixture
async def world(own: Own) -> AsyncIterator[World]:
    cluster = await Cluster.open(str(own.stack.layout.kubeconfig))
    found = World(own.stack, cluster)
    await found.open()
    yield found
    await found.close()
    await cluster.close()


@pytest.fixture(scope="module")
def chart(own: Own) -> Object:
    """tests/charts/load, as a provider pushes it."""
    said = chandlery(own, "push", "tests/charts/load", NATS_URL=f"nats://{own.stack.layout.address('nats')}")
    return {"archive": said.split()[-1]}


async def test_every_workload_is_ready(world: World) -> None:
    found = (await world.cluster.list(DEPLOYMENTS, "chandlery"))["items"]
    waiting = [
        each["metadata"]["name"] for each in found if each["status"].get("readyReplicas", 0) < each["spec"]["replicas"]
    ]
    assert (waiting, len(found) > 20) == ([], True)


async def test_a_chart_with_real_pods_becomes_a_service_and_goes_again(
    world: World, chart: Object, audit: Path
) -> None:
    await offer(world, chart)
    await world.order(KIND, "one", replicas=1, limit="100m")
    ready = await world.ready(KIND, "one", PATIENCE)
    namespace, uid = ready["status"]["release"]["namespace"], ready["metadata"]["uid"]
    assert await phases(world, namespace) == ["Running"]
    await world.order(KIND, "one", replicas=2, limit="100m")
    await world.ready(KIND, "one", PATIENCE)
    assert await world.revisions(namespace) == [(1, "superseded"), (2, "deployed")]
    assert await phases(world, namespace) == ["Running", "Running"]
    await world.delete(KIND, "one")
    await world.gone(KIND, "one", uid)
    await world.retire(KIND)
    accounts = {line["user"]["username"].rpartition(":")[2] for line in asked(audit)}
    assert accounts >= {"admit-instance", "apply-policies", "install-release", "report-health", "instances-source"}
    assert refusals(audit) == []


async def test_a_new_image_in_the_midst_of_twenty_installs_loses_nothing(
    own: Own, world: World, chart: Object, audit: Path, tmp_path: Path
) -> None:
    await offer(world, chart)
    names = [f"i{number}" for number in range(ORDERS)]
    before = await pods_of_ours(world)
    await asyncio.gather(*[world.order(KIND, name, limit="60m") for name in names])
    folder = own.overlay(tmp_path / "overlay", "2")
    await asyncio.to_thread(chandlery, own, "upgrade", folder, f"--timeout={PATIENCE:g}")
    found = await asyncio.gather(*[world.ready(KIND, name, PATIENCE) for name in names])
    namespaces = [each["status"]["release"]["namespace"] for each in found]
    assert len(set(namespaces)) == ORDERS
    assert [await world.revisions(each) for each in namespaces] == [[(1, "deployed")]] * ORDERS

    async def replaced() -> bool:
        now = await pods_of_ours(world)
        return not before.keys() & now.keys() and {*now.values()} == {f"{image.NAME}:2"}

    await world.eventually(replaced, "every pod of ours is of the new image", lambda: pods_of_ours(world), PATIENCE)
    assert refusals(audit) == []


def asked(audit: Path) -> list[dict[str, Any]]:
    """What our accounts asked the API server."""
    return [json.loads(line) for line in audit.read_text().splitlines()]


def refusals(audit: Path) -> list[str]:
    """By RBAC; that Pod Security refuses what the review tries is its answer."""
    return [refusal(line) for line in asked(audit) if forbidden(line)]


def forbidden(line: dict[str, Any]) -> bool:
    return bool(line.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid")


def refusal(line: dict[str, Any]) -> str:
    who = line.get("impersonatedUser", line["user"])["username"]
    return f"{who} {line['verb']} {line['requestURI']}"


async def offer(world: World, chart: Object) -> None:
    parameters = [{"path": "replicas"}, {"path": "cpu.limit", "name": "limit"}]
    await world.offered(KIND, chart, policies=POLICIES, parameters=parameters)


async def phases(world: World, namespace: str) -> list[str]:
    return [each["status"]["phase"] for each in (await world.cluster.list(PODS, namespace))["items"]]


async def pods_of_ours(world: World) -> dict[str, str]:
    """Name and image of each."""
    found = (await world.cluster.list(PODS, "chandlery"))["items"]
    return {each["metadata"]["name"]: each["spec"]["containers"][0]["image"] for each in found}
