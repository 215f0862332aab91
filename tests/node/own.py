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
from knative.workloads import SOURCES
from tests.node import image

SERVICES = "10.96.0.0/16"
INGRESS = "broker-ingress.knative-eventing.svc.cluster.local"
HERE = "ingress-of-this-machine"


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
        """A Service that leads to the process here: Knative's own leads to pods that kwok pretends to run."""
        metadata = {"name": HERE, "namespace": "knative-eventing"}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
        slice_of_it = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata | {"labels": {"kubernetes.io/service-name": HERE}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.place.gateway], "conditions": {"ready": True}}],
            "ports": [{"port": self.stack.layout.port("ingress"), "protocol": "TCP"}],
        }
        for body in (service, slice_of_it):
            self.stack.kubectl("apply", "-f", "-", given=json.dumps(body))

    def overlay(self, folder: Path, version: str) -> Path:
        """`deployments`, on this node: with what a cluster has and this one lacks (a registry, DNS, SinkBindings)."""
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
        address = self.stack.kubectl(
            *("get", "service", HERE, "-n", "knative-eventing", "-o", "jsonpath={.spec.clusterIP}")
        )
        url = f"nats://{self.place.gateway}:{self.stack.layout.port('nats')}"
        here: list[dict[str, Any]] = [
            {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"kubernetes.io/hostname": NODE}},
            {"op": "add", "path": "/spec/template/spec/tolerations", "value": [{"key": REAL_NODE}]},
            {
                "op": "add",
                "path": "/spec/template/spec/hostAliases",
                "value": [{"ip": address, "hostnames": [INGRESS]}],
            },
            {"op": "replace", "path": "/spec/template/spec/containers/0/resources/requests/cpu", "value": "5m"},
        ]
        told = [
            {"op": "replace", "path": "/data/NATS_URL", "value": url},
            {"op": "remove", "path": "/data/NATS_CREDS"},
        ]
        stored = [{"op": "add", "path": "/spec/storageClassName", "value": STORAGE_CLASS}]
        stored += [{"op": "replace", "path": "/spec/resources/requests/storage", "value": "64Mi"}]
        sinks = [
            patch(
                {"kind": "Deployment", "name": name},
                [{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": sink(source.broker)}],
            )
            for name, source in SOURCES.items()
        ]
        unbound = [
            {"target": {"kind": "SinkBinding", "name": name}, "patch": yaml.safe_dump(deleted(name))}
            for name in SOURCES
        ]
        return [
            patch({"kind": "Deployment"}, here),
            patch({"version": "v1", "kind": "ConfigMap", "name": "chandlery"}, told),
            patch({"kind": "PersistentVolumeClaim", "name": "ledger"}, stored),
            *sinks,
            *unbound,
        ]


NATS = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "chandlery-nats", "namespace": "chandlery"},
    "stringData": {"nats.creds": ""},
}


def patch(target: dict[str, str], operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"target": target, "patch": json.dumps(operations)}


def sink(broker: str) -> dict[str, str]:
    return {"name": "K_SINK", "value": f"http://{INGRESS}/chandlery/{broker}"}


def deleted(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "chandlery"}
    return {"apiVersion": "sources.knative.dev/v1", "kind": "SinkBinding", "metadata": metadata, "$patch": "delete"}
