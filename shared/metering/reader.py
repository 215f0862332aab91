"""Reading kubelets and pods through the API server: bounded, and no call repeated that could be kept."""

import asyncio
import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from shared.cluster import Cluster, Object
from shared.errors import RetryLater
from shared.lifetime import opened
from shared.metering.custom import Target, of_target
from shared.metering.measured import Measured
from shared.metering.owners import Owner, Owners, owners_of
from shared.resources import CONSUMERS, OFFERINGS

SUMMARY_BYTES = 64 << 20
CUSTOM_BYTES = 1 << 20
CUSTOM_SECONDS = 5.0
FRESH_SECONDS = 10.0


class Reader:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._under_way: dict[str, asyncio.Task[object]] = {}
        self._kept: tuple[float, list[Object], list[Object]] | None = None
        self._keeping = asyncio.Lock()

    @classmethod
    async def open(cls) -> Self:
        return cls(await opened(Cluster))

    async def close(self) -> None:
        for task in [*self._under_way.values()]:
            task.cancel()

    async def owners(self, namespaces: Iterable[Object]) -> Owners:
        """Offerings and Consumers are as they were a moment ago: many releases may go at once."""
        async with self._keeping:
            if self._kept is None or time.monotonic() - self._kept[0] > FRESH_SECONDS:
                found = [(await self._cluster.list(kind, cached=True))["items"] for kind in (OFFERINGS, CONSUMERS)]
                self._kept = (time.monotonic(), *found)
        return owners_of(namespaces, self._kept[1], self._kept[2])

    async def summary(self, node: str, seconds: float) -> object:
        """Of all that ask while it is under way the first one asks the kubelet."""
        task = self._under_way.get(node)
        if task is None:
            task = self._under_way[node] = asyncio.create_task(self._summary(node, seconds))
            task.add_done_callback(lambda done: self._over(node, done))
        return await asyncio.shield(task)

    def _over(self, node: str, done: asyncio.Task[object]) -> None:
        self._under_way.pop(node, None)
        if not done.cancelled():
            done.exception()  # whoever asked may be gone: then nobody else is told

    async def _summary(self, node: str, seconds: float) -> object:
        path = f"/api/v1/nodes/{quote(node)}/proxy/stats/summary"
        data = await self._cluster.read(path, seconds, SUMMARY_BYTES)
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise RetryLater(f"the kubelet of {node} answers no JSON: {error}") from error

    async def custom(self, target: Target, owner: Owner) -> Measured:
        text = await self._cluster.read(target.url, CUSTOM_SECONDS, CUSTOM_BYTES)
        return of_target(target, owner, text.decode(errors="replace"), datetime.now(UTC))


def running_on(pods: Iterable[Object], owners: Owners) -> dict[str, list[Any]]:
    """Pods of release namespaces by node."""
    found: dict[str, list[Any]] = {}
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName")
        if node and pod["metadata"]["namespace"] in owners:
            found.setdefault(node, []).append(pod)
    return found
