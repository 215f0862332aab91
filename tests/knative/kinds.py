"""Objects that a source watches, made on a real API server by a test that plays the functions' part."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from events.base import InstanceKey, OfferingKey
from shared import granting, ownership, rights
from shared.cluster import Cluster, Object
from shared.errors import ApiError, RetryLater
from shared.offering import Offering
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, OFFERINGS, Resource, of_instance

BY = "test"
HOLD = "example.com/hold"
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")


def api(name: str) -> Resource:
    return Resource(f"{name}.example.com", "v1alpha1", "databases", "Database")


async def apply(cluster: Cluster, resource: Resource, name: str, namespace: str = "", **more: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return await cluster.apply(resource, {"metadata": metadata, **more}, BY)


async def make_offering(cluster: Cluster, name: str, values: int = 1, **metadata: Any) -> OfferingKey:
    spec = {
        "chart": {"url": "https://charts.example.com/x-1.0.0.tgz"},
        "api": {"group": api(name).group, "kind": "Database"},
        "values": {"n": values},
    }
    made = await apply(cluster, OFFERINGS, name, spec=spec, metadata=metadata)
    return OfferingKey(name=name, uid=made["metadata"]["uid"])


async def publish(cluster: Cluster, name: str, generation: int, digest: str) -> None:
    """What register_chart and publish_api write."""
    ready = {"type": "Ready", "status": "True", "reason": "Published", "message": "", "observedGeneration": generation}
    status = {"conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}], "chart": {"digest": digest}}
    await cluster.apply_status(OFFERINGS, {"metadata": {"name": name}, "status": status}, BY)


async def serve(cluster: Cluster, name: str, *earlier: str, version: str = "v1alpha1") -> None:
    """`version` is the one that is stored."""
    resource, anything = api(name), {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    await let_functions(cluster, name, resource)
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    common = {"served": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}
    spec = {
        "group": resource.group,
        "scope": "Namespaced",
        "names": {"kind": resource.kind, "plural": resource.plural, "singular": "database", "listKind": "DatabaseList"},
        "versions": [{"name": each, "storage": each == version, **common} for each in (*earlier, version)],
    }
    labels = {ownership.OFFERING: name}
    crd = f"{resource.plural}.{resource.group}"
    await apply(cluster, CUSTOM_RESOURCE_DEFINITIONS, crd, spec=spec, metadata={"labels": labels})
    await until(lambda: served(cluster, resource))


async def let_functions(cluster: Cluster, name: str, resource: Resource) -> None:
    """What grant_access does, but for a role that nobody owns: the Offering may not be there."""
    chart = {"url": "https://charts.example.com/x-1.0.0.tgz"}
    spec = {"chart": chart, "api": {"group": resource.group, "kind": resource.kind}}
    offering = Offering.model_validate({"metadata": {"name": name}, "spec": spec})
    (role,) = rights.of_functions(offering, served=True, brought=())
    del role["metadata"]["ownerReferences"]

    async def granted() -> bool:
        try:
            await granting.put(cluster, [role])
        except RetryLater:
            return False  # controllers come back late when the API server was killed: up to a minute
        return True

    await until(granted, limit=100)


async def until(holds: Callable[[], Awaitable[bool]], limit: float = 20) -> None:
    async with asyncio.timeout(limit):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


async def served(cluster: Cluster, resource: Resource) -> bool:
    try:
        await cluster.list(resource)
    except (ApiError, RetryLater):
        return False
    return True


async def unserve(cluster: Cluster, name: str) -> None:
    crd = f"databases.{name}.example.com"
    await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, crd)

    async def gone() -> bool:
        return await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, crd) is None

    await until(gone)


async def make_instance(cluster: Cluster, name: str, spec: object = None, **metadata: Any) -> InstanceKey:
    resource = api(name)
    made = await apply(cluster, resource, name, "default", spec=spec or {}, metadata=metadata)
    return InstanceKey(
        offering=name,
        group=resource.group,
        version=resource.version,
        plural=resource.plural,
        kind=resource.kind,
        namespace="default",
        name=name,
        uid=made["metadata"]["uid"],
    )


async def drop_instance(cluster: Cluster, key: InstanceKey, *, finalizers: bool = False) -> None:
    if finalizers:
        remove = [{"op": "remove", "path": "/metadata/finalizers"}]
        await cluster.patch(of_instance(key), key.name, remove, key.namespace)
    else:
        await cluster.delete(of_instance(key), key.name, key.namespace)


async def make_namespace(cluster: Cluster, key: InstanceKey) -> str:
    metadata = {"labels": ownership.labels(key), "annotations": ownership.annotations(key)}
    made = await apply(cluster, NAMESPACES, f"{key.name}-release", metadata=metadata)
    name: str = made["metadata"]["name"]
    return name


async def make_held(cluster: Cluster, namespace: str) -> None:
    """Something that keeps a deleted namespace from going."""
    await apply(cluster, CONFIG_MAPS, "held", namespace, metadata={"finalizers": [HOLD]})


async def let_go(cluster: Cluster, namespace: str) -> None:
    await cluster.patch(CONFIG_MAPS, "held", [{"op": "remove", "path": "/metadata/finalizers"}], namespace)


async def make_deployment(cluster: Cluster, namespace: str, name: str, replicas: int = 1) -> None:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    managed = {"app.kubernetes.io/managed-by": "Helm"}
    await apply(cluster, DEPLOYMENTS, name, namespace, spec=spec, metadata={"labels": managed})
