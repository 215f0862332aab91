"""One command's talk with the cluster, and what whoever runs it may not see there."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from kubernetes.aio.config import ConfigException, list_kube_config_contexts

from shared.cluster import Cluster, Object
from shared.errors import ApiError, Busy, NotFound, Refused
from shared.resources import Resource

T = TypeVar("T")

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


def run(work: Callable[[Cluster], Awaitable[T]]) -> T:
    """With the rights of the kubeconfig; what the API server refuses is an error that people can read."""

    async def session() -> T:
        with warnings.catch_warnings(action="ignore"):  # the error says it all
            cluster = await Patient.open()
        try:
            return await work(cluster)
        finally:
            await cluster.close()

    try:
        return asyncio.run(session())
    except ConfigException as error:
        why = f"there is no kubeconfig to be used: {error}"
        raise Refused("NoCluster", f"{why}; set KUBECONFIG to one, or try `kubectl config view`") from None
    except ApiError as error:
        if error.status == 401:
            fix = "its credentials have ended: get a new one"
            raise Refused(
                "Unauthorized", f"the API server does not know who you are by this kubeconfig; {fix}"
            ) from None
        raise Refused(error.reason, f"the API server refuses: {error.message}") from None


def home() -> str:
    """The namespace of the kubeconfig's context."""
    try:
        _, active = list_kube_config_contexts()
    except (ConfigException, OSError):
        return "default"  # in a pod
    return str((active or {}).get("context", {}).get("namespace") or "default")


class Patient(Cluster):
    """For people, who would only type it again."""

    async def _request(self, *arguments: Any, **more: Any) -> Object:
        for pause in PAUSES:
            try:
                return await super()._request(*arguments, **more)
            except Busy:
                await asyncio.sleep(pause)
        return await super()._request(*arguments, **more)


class Sight:
    """Reads, and keeps in mind what it was not allowed to read."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._hidden: dict[str, list[str]] = {}

    @property
    def hidden(self) -> list[str]:
        return [f"{', '.join(dict.fromkeys(what))} {where}" for where, what in self._hidden.items()]

    def sees(self, resource: Resource, namespace: str) -> bool:
        """Whether it was allowed to, as far as it has tried."""
        return resource.plural not in self._hidden.get(f"in namespace {namespace}", ())

    def hide(self, what: str, where: str) -> None:
        self._hidden.setdefault(where, []).append(what)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> list[Object]:
        """With the kind that a list leaves out of its items; nothing where nothing of it is visible or served."""
        try:
            found = await self.cluster.list(resource, namespace, labels=labels, metadata_only=metadata_only)
        except NotFound:
            return []
        except ApiError as error:
            self._forbidden(error, resource.plural, namespace)
            return []
        return [{**item, "apiVersion": resource.api_version, "kind": resource.kind} for item in found["items"]]

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        try:
            return await self.cluster.get(resource, name, namespace)
        except NotFound:
            return None
        except ApiError as error:
            self._forbidden(error, f"{resource.plural}/{name}", namespace)
            return None

    def _forbidden(self, error: ApiError, what: str, namespace: str | None) -> None:
        if error.status not in (403, 405):
            raise error
        self.hide(what, f"in namespace {namespace}" if namespace else "in the whole cluster")
