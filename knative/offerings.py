"""The domain of providers: Offerings, the APIs made from them, and who may do what."""

import asyncio
from functools import partial
from typing import Any

from knative import said
from knative.outbox import Outbox
from knative.seen import Seen, Served
from shared import ownership
from shared.cluster import Cluster
from shared.resources import CONSUMERS, CUSTOM_RESOURCE_DEFINITIONS, OFFERINGS, PROVIDERS, Resource
from shared.watch import Change, Watch


class Offerings:
    def __init__(self, cluster: Cluster, outbox: Outbox, tasks: asyncio.TaskGroup) -> None:
        self._outbox = outbox
        self._tasks = tasks
        self._offerings = Watch(cluster, OFFERINGS, Seen.of, self._offering_changed)
        self._grantees = [
            Watch(cluster, kind, Seen.of, partial(self._grantee_changed, kind)) for kind in (CONSUMERS, PROVIDERS)
        ]
        self._apis = Watch(
            cluster, CUSTOM_RESOURCE_DEFINITIONS, Served.of, self._api_changed, labels={ownership.OFFERING: ""}
        )

    async def start(self) -> None:
        """Returns when everything that was there has been seen."""
        watches: list[Watch[Any]] = [self._offerings, self._apis, *self._grantees]
        for watch in watches:
            self._tasks.create_task(watch.run())
        for watch in watches:
            await watch.synced.wait()

    async def _offering_changed(self, change: Change[Seen]) -> None:
        if news := said.about_offering(change.before, change.after):
            await self._outbox.put(news)

    async def _api_changed(self, change: Change[Served]) -> None:
        offering = self._offerings.known.get(("", change.before.offering)) if change.before else None
        if news := said.about_api(change.before, change.after, offering):
            await self._outbox.put(news)

    async def _grantee_changed(self, kind: Resource, change: Change[Seen]) -> None:
        if news := said.about_grantee(kind, change.before, change.after):
            await self._outbox.put(news)
