"""Knative's own manifests as one file to apply: what its release would install, less its webhook and roles."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from knative.local.tools import Tools

Manifest = dict[str, Any]

DIRECTORIES = (
    "core",
    "core/resources",
    "core/configmaps",
    "channels/in-memory-channel",
    "channels/in-memory-channel/resources",
    "channels/in-memory-channel/configmaps",
    "brokers/mt-channel-broker/roles",
)
# Kinds without a controller here, and large ones: each costs the API server time at every start.
UNSERVED = (
    "eventtransforms",
    "integrationsinks",
    "integrationsources",
    "jobsinks",
    "parallels",
    "sequences",
    "requestreplies",
)
DEPLOYMENTS = (
    "core/deployments/pingsource-mt-adapter.yaml",
    "channels/in-memory-channel/deployments/dispatcher.yaml",
    "channels/in-memory-channel/deployments/dispatcher-service.yaml",
    "brokers/mt-channel-broker/deployments/broker-filter.yaml",
    "brokers/mt-channel-broker/deployments/broker-ingress.yaml",
)
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "node-0",
        "labels": {"kubernetes.io/hostname": "node-0", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        "annotations": {"kwok.x-k8s.io/node": "fake"},
    },
    "status": {kind: {"cpu": "640", "memory": "2560Gi", "pods": "10000"} for kind in ("allocatable", "capacity")},
}
ORDER = ("Namespace", "Node", "CustomResourceDefinition")


def rendered(tools: Tools) -> Path:
    """One JSON file, made once beside the manifests it comes from: reading the YAML takes longer than applying it."""
    share = tools.shares["eventing"]
    file = share / f"knative-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}.json"
    if not file.exists():
        items = sorted([NODE, *_documents(share / "config")], key=_rank)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        draft.rename(file)
    return file


def _documents(config: Path) -> Iterator[Manifest]:
    paths = [path for directory in DIRECTORIES for path in sorted((config / directory).glob("*.yaml"))]
    for path in [*paths, *(config / name for name in DEPLOYMENTS)]:
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            if document and _wanted(document):
                yield _without_webhook(document)


def _wanted(manifest: Manifest) -> bool:
    """Knative's processes run as administrators here, so its roles would only take time."""
    if manifest["apiVersion"].startswith("rbac.authorization.k8s.io/"):
        return False
    return manifest["metadata"]["name"].partition(".")[0] not in UNSERVED


def _without_webhook(manifest: Manifest) -> Manifest:
    if manifest["kind"] == "CustomResourceDefinition":
        manifest["spec"]["conversion"] = {"strategy": "None"}
    return manifest


def _rank(manifest: Manifest) -> int:
    kind = manifest["kind"]
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
