"""A cluster of one's own: Kubernetes with Knative Eventing and a real node, and of Chandlery what the CLI installed."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from knative.local.layout import REPOSITORY, function_names
from knative.local.node import machine, processes
from knative.local.node.node import Node
from knative.local.node.place import NAME as NODE
from knative.local.node.place import STORAGE_CLASS, Place
from knative.local.processes import REAL_NODE
from knative.local.stack import Stack
from knative.pods import kebab
from tests.node import image

SERVICES = "10.96.0.0/16"
INGRESS = "broker-ingress"


class Empty(Stack):
    """With nothing of ours. Knative's processes run beside the API server, as everywhere on one machine."""

    def up(self) -> None:
        self.knative()

    def route(self) -> None:
        """Knative finds the functions at their Services, whose addresses lead to the node."""
        found = json.loads(self.kubectl("get", "services", "-n", "chandlery", "-o", "json"))["items"]
        addresses = {each["metadata"]["name"]: each["spec"].get("clusterIP") for each in found}
        hosts = {f"{name}.chandlery.svc.cluster.local": addresses[name] for name in map(kebab, function_names())}
        file = self.layout.run / "routes"
        kept = [line for line in file.read_text().splitlines() if line.split()[0] not in hosts]
        file.write_text("\n".join([*kept, *(f"{host} {address}:80" for host, address in hosts.items())]) + "\n")
        self.restart("router")


class Own:
    def __init__(self, stack: Empty, images: list[Path]) -> None:
        self.stack = stack
        node = Node(stack, ("ingress", "nats"))
        node.up()
        place = machine.claimed(stack.layout)
        assert place
        self.place: Place = place
        for archive in images:
            subprocess.run(processes.importing(place, archive), check=True, capture_output=True)
        route = [*("ip", "route", "replace", SERVICES), *("via", place.address, "dev", place.name)]
        subprocess.run(route, check=True)
        self._let_pods_reach_the_ingress()

    def _let_pods_reach_the_ingress(self) -> None:
        """Knative's Service leads to the process here, not to the pods that kwok pretends to run."""
        there = ("-n", "knative-eventing")
        self.stack.kubectl(*there, "patch", "service", INGRESS, "--type=merge", '--patch={"spec":{"selector":null}}')
        port = {"name": "http", "port": self.stack.layout.port("ingress")}
        endpoints = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": INGRESS, "namespace": there[1]},
            "subsets": [{"addresses": [{"ip": self.place.gateway}], "ports": [port]}],
        }
        self.stack.kubectl(*there, "delete", "endpoints", INGRESS)
        self.stack.kubectl(*there, "delete", "endpointslices", "-l", f"kubernetes.io/service-name={INGRESS}")
        self.stack.kubectl("create", "-f", "-", given=json.dumps(endpoints))

    def overlay(self, folder: Path, version: str) -> Path:
        """`deployments`, on this node: whose images come from no registry."""
        above = os.path.relpath(REPOSITORY / "knative", folder)
        parts = ("deployments", "ledger-sqlite", "nats-external")
        body = {
            "kind": "Kustomization",
            "resources": [f"{above}/base", "nats.yaml"],
            "components": [f"{above}/components/{part}" for part in parts],
            "images": [{"name": "chandlery", "newName": image.NAME, "newTag": version}],
            "patches": self._patches(),
        }
        folder.mkdir(exist_ok=True)
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(body))
        (folder / "nats.yaml").write_text(yaml.safe_dump(NATS))
        return folder

    def _patches(self) -> list[dict[str, Any]]:
        url = f"nats://{self.place.gateway}:{self.stack.layout.port('nats')}"
        here: list[dict[str, Any]] = [
            {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"kubernetes.io/hostname": NODE}},
            {"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"key": REAL_NODE}]},
            {"op": "replace", "path": "/spec/template/spec/containers/0/resources/requests/cpu", "value": "5m"},
        ]
        told = [
            {"op": "replace", "path": "/data/NATS_URL", "value": url},
            {"op": "remove", "path": "/data/NATS_CREDS"},
        ]
        stored = [{"op": "add", "path": "/spec/storageClassName", "value": STORAGE_CLASS}]
        stored += [{"op": "replace", "path": "/spec/resources/requests/storage", "value": "64Mi"}]
        return [
            patch({"kind": "Deployment"}, here),
            patch({"version": "v1", "kind": "ConfigMap", "name": "chandlery"}, told),
            patch({"kind": "PersistentVolumeClaim", "name": "ledger"}, stored),
        ]


NATS = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "chandlery-nats", "namespace": "chandlery"},
    "stringData": {"nats.creds": ""},
}


def patch(target: dict[str, str], operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"target": target, "patch": json.dumps(operations)}
