"""The node is real, the fake one beside it stays fake, and the machine gets back what was taken of it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from knative.local.node import machine
from knative.local.node.node import Node
from knative.local.node.place import NAME
from knative.local.supervision import leftovers
from shared.resources import NODES
from tests.e2e.world import World
from tests.node.load import Load, loaded

pytestmark = pytest.mark.node


async def test_each_node_is_run_by_its_own_kind(world: World) -> None:
    found = {
        each["metadata"]["name"]: each["status"]["nodeInfo"] for each in (await world.cluster.list(NODES))["items"]
    }
    assert found["node-0"]["kubeletVersion"].startswith("kwok")
    assert found[NAME]["kubeletVersion"] == "v1.35.4"
    assert found[NAME]["containerRuntimeVersion"].startswith("containerd://")


async def test_a_pod_reaches_a_service_and_nothing_beyond_the_machine(load: Load) -> None:
    address = "--output=jsonpath={.spec.clusterIP}"
    service = load.world.kubectl("get", "service", load.name, f"--namespace={load.namespace}", address)
    assert load.fetch(f"http://{service}/order") == "200 0\n"
    beyond = ("exec", f"--namespace={load.namespace}", load.pod, "--", "/load", "fetch", "http://192.0.2.1/")
    assert "network is unreachable" in load.world.kubectl(*beyond, fails=True)


async def test_a_second_up_leaves_the_node_alone(node: Node) -> None:
    before = node.supervisor.pid("kubelet")
    node.up()
    assert node.supervisor.pid("kubelet") == before


async def test_the_machine_is_as_before_when_the_node_is_gone_even_killed(node: Node, world: World) -> None:
    load = await loaded(world, "short", volume={"size": "16Mi", "fill": 1 << 20})
    place = machine.claimed(node.stack.layout)
    assert place and load.said()
    assert place.name in taken()
    for pid in leftovers(place.layout.home):
        os.kill(pid, signal.SIGKILL)  # all but the pods
    node.down()
    assert place.name not in taken()
    assert machine.claimed(node.stack.layout) is None
    node.up()
    await world.ready("Load", "short")


def taken() -> str:
    """Whatever of the machine bears a name: links, routes, namespaces, mounts, loop devices, cgroups."""
    commands = (["ip", "link"], ["ip", "route"], ["ip", "netns"], ["losetup", "--list"])
    told = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands]
    cgroups = [str(path) for path in Path("/sys/fs/cgroup").glob("*/chandlery-*")]
    return "\n".join([*told, Path("/proc/mounts").read_text(), *cgroups])
