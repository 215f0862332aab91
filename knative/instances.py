"""The domain of consumers: the instances of every published API, their release namespaces and what runs there."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from events.base import InstanceKey
from knative import said
from knative.debounce import Debounce
from knative.outbox import Outbox
from knative.said import Said
from knative.seen import Api, Bound, Edition, Release, Seen
from shared import ownership
from shared.backoff import delays
from shared.cluster import Cluster
from shared.errors import ApiError, RetryLater
from shared.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    OFFERINGS,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    WORKLOADS,
    Resource,
)
from shared.watch import Change, Name, Watch

OURS = {ownership.MANAGED_BY: ownership.MANAGER, ownership.UID: ""}
BOUNDS = (RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES, ROLE_BINDINGS)
HELMS = {"app.kubernetes.io/managed-by": "Helm"}
PATIENCE = 20
"""How often we ask whether we may see a kind, before we try."""


@dataclass(frozen=True)
class Followed:
    api: Api
    instances: Watch[Seen]
    task: asyncio.Task[None]


class Instances:
    def __init__(self, cluster: Cluster, outbox: Outbox, tasks: asyncio.TaskGroup) -> None:
        self._cluster = cluster
        self._outbox = outbox
        self._tasks = tasks
        self._namespaces = Watch(cluster, NAMESPACES, Release.of, self._namespace_changed, labels=OURS)
        self._apis = Watch(
            cluster,
            CUSTOM_RESOURCE_DEFINITIONS,
            Api.of,
            self._api_changed,
            labels={ownership.OFFERING: ""},
            metadata_only=False,
        )
        self._offerings = Watch(cluster, OFFERINGS, Edition.of, self._offering_changed, metadata_only=False)
        self._workloads = [
            Watch(cluster, kind, Seen.of, self._workload_changed, labels=None if kind == PODS else HELMS)
            for kind in WORKLOADS
        ]
        self._bounds = [Watch(cluster, kind, Bound.of, self._bound_changed, labels=OURS) for kind in BOUNDS]
        self._followed: dict[str, Followed] = {}
        self._strangers: set[str] = set()
        """Namespaces that something changed in before they were known to be ours: the watches run independently."""
        self._counts = Debounce(tasks, self._tell_counts, quiet=0.5, at_latest=2)
        self._health = Debounce(tasks, self._tell_health, quiet=0.2, at_latest=1)
        self._leaving = Debounce(tasks, self._tell_leaving, quiet=0.2, at_latest=1)

    async def start(self) -> None:
        """Returns when everything that was there has been seen. Namespaces come first: they tell whose the rest is."""
        self._tasks.create_task(self._namespaces.run())
        await self._namespaces.synced.wait()
        for release in list(self._namespaces.known.values()):
            self._health.touch(release.name, release.version)
        others: list[Watch[Any]] = [self._apis, self._offerings, *self._workloads, *self._bounds]
        for watch in others:
            self._tasks.create_task(watch.run())
        for watch in others:
            await watch.synced.wait()
        for followed in list(self._followed.values()):
            await followed.instances.synced.wait()
        living = {instance.uid for each in self._followed.values() for instance in each.instances.known.values()}
        for orphan in said.orphans(list(self._namespaces.known.values()), living):
            await self._outbox.put(orphan)

    # APIs come and go

    async def _api_changed(self, change: Change[Api]) -> None:
        before, after = change.before, change.after
        if (before and before.service) == (after and after.service):
            return
        if before and after and after.succeeds(before):
            await self._follow_on(after)
            return
        if before and before.service:
            await self._unfollow(before)
        if after and after.service:
            self._follow(after)

    async def _follow_on(self, api: Api) -> None:
        """In the version that is stored now. What is known stays known, or each would be told of as gone and new."""
        before = self._followed.pop(api.name)
        before.task.cancel()
        await asyncio.wait([before.task])
        self._follow(api, before.instances.known)

    def _follow(self, api: Api, known: dict[Name, Seen] | None = None) -> None:
        instances = Watch(self._cluster, api.resource, Seen.of, partial(self._instance_changed, api))
        instances.known = known or {}
        self._followed[api.name] = Followed(api, instances, self._tasks.create_task(self._run(api, instances)))

    async def _run(self, api: Api, instances: Watch[Seen]) -> None:
        """Our right, and that of who counts, comes a moment after the API does: to ask for it is not to be refused.
        Should it never come, the watch says so."""
        pauses = delays(0.1, 1)
        for _ in range(PATIENCE):
            if await self._may_see(instances.resource):
                break
            await asyncio.sleep(next(pauses))
        self._counts.touch(api.offering, api.version)
        await instances.run()

    async def _may_see(self, kind: Resource) -> bool:
        asked = {"verb": "list", "group": kind.group, "resource": kind.plural}
        body = {"metadata": {}, "spec": {"resourceAttributes": asked}}
        try:
            found = await self._cluster.create(SELF_SUBJECT_ACCESS_REVIEWS, body)
        except (ApiError, RetryLater):
            return False
        return bool(found["status"]["allowed"])

    async def _unfollow(self, api: Api) -> None:
        followed = self._followed.pop(api.name)
        followed.task.cancel()
        await asyncio.wait([followed.task])
        await followed.instances.forget()

    # What changes

    async def _instance_changed(self, api: Api, change: Change[Seen]) -> None:
        before, after = change.before, change.after
        if instance := after or before:
            key = api.key(instance)
            has_namespace = after is None and self._has_namespace(instance.uid)
            await self._put(said.about_instance(key, before, after, has_namespace=has_namespace))
            await self._put(said.peers_changed(key, before, after))
        self._counts.touch(api.offering, change.version)

    async def _offering_changed(self, change: Change[Edition]) -> None:
        edition = said.republished(change.before, change.after)
        if edition is None or change.after is None:
            return
        for each in list(self._followed.values()):
            if each.api.offering == change.after.name:
                for instance in list(each.instances.known.values()):
                    await self._put(said.instance_again(each.api.key(instance), instance, edition))

    async def _namespace_changed(self, change: Change[Release]) -> None:
        before, after = change.before, change.after
        if before and after is None:
            await self._put(said.namespace_gone(before, self._instance(before.instance)))
        if after and said.leaving(before, after):
            self._leaving.touch(after.name, change.version)
        if after and after.name in self._strangers:
            self._strangers.discard(after.name)
            self._health.touch(after.name, change.version)

    async def _bound_changed(self, change: Change[Bound]) -> None:
        before, after = change.before, change.after
        if before and (after is None or before.written != after.written):
            await self._put(said.bounds_changed(self._release(before.namespace), change.version))

    async def _workload_changed(self, change: Change[Seen]) -> None:
        workload = change.after or change.before
        if workload is None:
            return
        if ("", workload.namespace) in self._namespaces.known:
            self._health.touch(workload.namespace, change.version)
        else:
            self._strangers.add(workload.namespace)

    # What is told a moment later

    async def _tell_counts(self, offering: str, version: int) -> None:
        await self._put(said.instances_changed(offering, version))

    async def _tell_health(self, namespace: str, version: int) -> None:
        await self._put(said.workloads_changed(self._release(namespace), version))

    async def _tell_leaving(self, namespace: str, version: int) -> None:
        if release := self._release(namespace):
            await self._put(said.still_leaving(release, version))

    async def _put(self, news: Said | None) -> None:
        if news:
            await self._outbox.put(news)

    # What is known

    def _release(self, namespace: str) -> Release | None:
        """With its instance in the version that is stored now: the namespace was marked with the one of its time."""
        release = self._namespaces.known.get(("", namespace))
        if release is None:
            return None
        followed = self._followed.get(f"{release.instance.plural}.{release.instance.group}")
        if followed is None or followed.api.resource.version == release.instance.version:
            return release
        key = release.instance.model_copy(update={"version": followed.api.resource.version})
        return replace(release, instance=key)

    def _instance(self, key: InstanceKey) -> Seen | None:
        found = [each.instances.known.get((key.namespace, key.name)) for each in self._followed.values()]
        return next((instance for instance in found if instance and instance.uid == key.uid), None)

    def _has_namespace(self, uid: str) -> bool:
        return any(each.instance.uid == uid and not each.deleting for each in self._namespaces.known.values())
