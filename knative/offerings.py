"""The domain of providers: Offerings, and the APIs made from them."""

import asyncio

from knative import said
from knative.outbox import Outbox
from knative.seen import Seen, Served
from knative.watch import Change, Watch
from shared import ownership
from shared.cluster import Cluster
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, OFFERINGS


class Offerings:
    def __init__(self, cluster: Cluster, outbox: Outbox, tasks: asyncio.TaskGroup) -> None:
        self._outbox = outbox
        self._tasks = tasks
        self._offerings = Watch(cluster, OFFERINGS, Seen.of, self._offering_changed)
        self._apis = Watch(
            cluster, CUSTOM_RESOURCE_DEFINITIONS, Served.of, self._api_changed, labels={ownership.OFFERING: ""}
        )

    async def start(self) -> None:
        """Returns when everything that was there has been seen."""
        for watch in (self._offerings, self._apis):
            self._tasks.create_task(watch.run())
        await self._offerings.synced.wait()
        await self._apis.synced.wait()

    async def _offering_changed(self, change: Change[Seen]) -> None:
        if news := said.about_offering(change.before, change.after):
            await self._outbox.put(news)

    async def _api_changed(self, change: Change[Served]) -> None:
        offering = self._offerings.known.get(("", change.before.offering)) if change.before else None
        if news := said.about_api(change.before, change.after, offering):
            await self._outbox.put(news)
