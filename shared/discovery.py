"""What the cluster serves, in four requests."""

import asyncio
from collections.abc import Iterable

from shared.cluster import Cluster, Object
from shared.kinds import Served, discovered
from shared.resources import STORAGE_CLASSES

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


async def served(cluster: Cluster) -> Served:
    core, groups, version, classes = await asyncio.gather(
        cluster.document("/api", AGGREGATED),
        cluster.document("/apis", AGGREGATED),
        cluster.document("/version"),
        cluster.list(STORAGE_CLASSES, metadata_only=True, cached=True),
    )
    kinds, unasked = discovered(core, groups)
    return Served(version["gitVersion"], kinds, unasked, default_class(classes["items"]))


async def groups(cluster: Cluster) -> list[Object]:
    """Every API group with what it serves."""
    found = await asyncio.gather(*[cluster.document(path, AGGREGATED) for path in ("/api", "/apis")])
    return [group for each in found for group in each["items"]]


def default_class(classes: Iterable[Object]) -> str | None:
    """The newest of those marked so, as Kubernetes chooses."""
    marked = [
        each["metadata"] for each in classes if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    ]
    newest = max(marked, key=lambda metadata: str(metadata.get("creationTimestamp")), default=None)
    return newest["name"] if newest else None
