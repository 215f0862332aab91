"""Manifests as `helm template` prints them."""

from typing import Any

import yaml

from shared.kinds import BUILT_IN, Kinds, Served
from shared.manifests import Manifest, parse

SERVED = Served("v1.35.4", {(group, "v1", kind): namespaced for (group, kind), namespaced in BUILT_IN.items()})
KINDS = Kinds(SERVED, {})


def text(*objects: Any, source: str = "templates/all.yaml") -> str:
    return "".join(f"---\n# Source: made/{source}\n{yaml.safe_dump(each, sort_keys=False)}" for each in objects)


def manifests(*objects: Any, source: str = "templates/all.yaml") -> list[Manifest]:
    return parse(text(*objects, source=source))


def object_(kind: str, name: str = "x", api_version: str = "v1", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def pods(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **more}}


def container(
    name: str = "main", requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    asked = {"requests": requests, "limits": limits}
    return {"name": name, "image": f"{name}:1", "resources": {k: v for k, v in asked.items() if v}, **more}


def deployment(
    *containers: dict[str, Any], name: str = "x", replicas: int | None = None, **more: Any
) -> dict[str, Any]:
    spec = {"template": pods(*containers, **more)} | ({} if replicas is None else {"replicas": replicas})
    return object_("Deployment", name, "apps/v1", spec=spec)
