"""Our holds on objects: taken before something is made for them, let go when it is gone."""

from shared.cluster import Cluster
from shared.errors import Invalid, NotFound, RetryLater
from shared.offering import Metadata
from shared.resources import Resource

RELEASE = "chandlery.dev/release"
"""On an instance: its release namespace is still there."""
API = "chandlery.dev/api"
"""On an Offering: its API is still served."""
ACCESS = "chandlery.dev/access"
"""On a Consumer or a Provider: it still has rights."""


async def hold(cluster: Cluster, resource: Resource, metadata: Metadata, finalizer: str, by: str) -> None:
    """Of this very object: with its uid in the body an apply never makes a new one."""
    if finalizer in metadata.finalizers:
        return
    identity = {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}
    held = {key: value for key, value in identity.items() if value} | {"finalizers": [finalizer]}
    await cluster.apply(resource, {"metadata": held}, by)


async def let_go(cluster: Cluster, resource: Resource, metadata: Metadata, finalizer: str) -> None:
    if finalizer not in metadata.finalizers:
        return
    path = f"/metadata/finalizers/{metadata.finalizers.index(finalizer)}"
    operations = [{"op": "test", "path": path, "value": finalizer}, {"op": "remove", "path": path}]
    try:
        await cluster.patch(resource, metadata.name, operations, metadata.namespace)
    except Invalid as moved:
        raise RetryLater("the finalizers changed meanwhile") from moved
    except NotFound:
        return
