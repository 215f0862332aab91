"""Instances of the chart tests/charts/load: what their pod says it used, and what the kubelet says of it."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from knative.local.node.place import NAME
from knative.local.processes import REAL_NODE
from shared.resources import PODS
from tests.e2e.world import Object, World

KIND = "Load"
POLICIES = {"pods": {"nodeSelector": {REAL_NODE: ""}, "tolerations": [{"key": REAL_NODE, "operator": "Exists"}]}}
METERING = {"custom": [{"name": "load_served_bytes_total", "port": "http"}]}
SAMPLED = 25.0
"""Seconds after which a figure is surely newer than now; most samples are less than 12 s old."""


@dataclass(frozen=True)
class Load:
    world: World
    name: str
    namespace: str
    pod: str
    address: str

    def get(self, path: str) -> str:
        """From the machine, straight to the pod."""
        command = [
            "curl",
            "--silent",
            "--fail",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            f"http://{self.address}:8080{path}",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def serve(self, size: int) -> None:
        assert len(self.get(f"/bytes?n={size}")) == size

    def used(self) -> dict[str, float]:
        """Its own count, without the prefix."""
        families = text_string_to_metric_families(self.get("/metrics"))
        return {sample.name.removeprefix("load_"): sample.value for family in families for sample in family.samples}

    def fetch(self, url: str) -> str:
        """What a GET from inside the pod gives: status and size."""
        return self.world.kubectl("exec", f"--namespace={self.namespace}", self.pod, "--", "/load", "fetch", url)

    def said(self) -> Object | None:
        """What the kubelet says of the pod, through the API server's node proxy."""
        found = json.loads(self.world.kubectl("get", "--raw", f"/api/v1/nodes/{NAME}/proxy/stats/summary"))
        return next((pod for pod in found["pods"] if pod["podRef"]["name"] == self.pod), None)


async def loaded(world: World, name: str, **spec: Any) -> Load:
    """Ordered as any instance is, and done with what it has to do."""
    await world.offered(KIND, {"url": "file:///tests/charts/load"}, policies=POLICIES, metering=METERING)
    await world.order(KIND, name, **spec)
    namespace = (await world.ready(KIND, name))["status"]["release"]["namespace"]

    async def running() -> Object | None:
        """One pod, and not one that went down with another node."""
        pods = (await world.cluster.list(PODS, namespace))["items"]
        return pods[0] if [each["status"]["phase"] for each in pods] == ["Running"] else None

    pod = await world.eventually(running, f"the pod of {name} runs")
    found = Load(world, name, namespace, pod["metadata"]["name"], pod["status"]["podIP"])

    async def done() -> bool:
        return found.used().get("done") == 1

    await world.eventually(done, f"{name} is done")
    return found
