"""One resource as it changes: list, then watch, for ever, whatever becomes of the API server.

Each change is told with what was known before, so that whoever hears of it needs no memory of its own. After a gap that
can't be bridged (410) the resource is listed again and compared with what was known: nothing that happened in the gap
is missed, and what went is told as gone. Lists are consistent reads (since Kubernetes 1.31 these too come from the API
server's cache): an API server that has just started answers resourceVersion=0 with a past that we have seen the end of.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog
from prometheus_client import Gauge

from shared.backoff import delays
from shared.cluster import Cluster, Object
from shared.errors import ApiError, Gone, RetryLater
from shared.resources import Resource

WATCHES = Gauge("chandlery_source_watches", "Watches by state: listing, watching, retrying, away", ["state"])
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10

Name = tuple[str, str]
"""Namespace and name."""

log = structlog.get_logger()


class Remembered(Protocol):
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


T = TypeVar("T", bound=Remembered)


@dataclass(frozen=True)
class Change(Generic[T]):
    """What was there and what is there now; None is nothing. `version` is the resourceVersion that made it so."""

    before: T | None
    after: T | None
    version: int


def step(before: T | None, after: T | None, version: int) -> Iterator[Change[T]]:
    """What happened under one name; a namesake made later is another object."""
    if before and after and before.uid != after.uid:
        yield Change(before, None, version)
        yield Change(None, after, version)
    elif before != after:
        yield Change(before, after, version)


def since(known: Mapping[Name, T], listed: Mapping[Name, T], version: int) -> Iterator[tuple[Name, Change[T]]]:
    """What happened between two lists, as far as it can still be told."""
    for name in [*known, *(each for each in listed if each not in known)]:
        before, after = known.get(name), listed.get(name)
        for change in step(before, after, after.version if after else version):
            yield name, change


class Watch(Generic[T]):
    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        remember: Callable[[Object], T | None],
        tell: Callable[[Change[T]], Awaitable[None]],
        *,
        labels: Mapping[str, str] | None = None,
        metadata_only: bool = True,
    ) -> None:
        """`remember` makes of an object what is kept of it; None is an object that is none of our business."""
        self.resource = resource
        self.known: dict[Name, T] = {}
        self.synced = asyncio.Event()
        self.version: str | None = None
        self._cluster = cluster
        self._remember = remember
        self._tell = tell
        self._labels = labels
        self._metadata_only = metadata_only
        self._state = "listing"

    @property
    def watching(self) -> bool:
        """Whether `known` is what the API server says now, but for a moment."""
        return self._state == "watching"

    async def run(self) -> None:
        WATCHES.labels(self._state).inc()
        pauses = delays(FIRST_PAUSE, LONGEST_PAUSE)
        try:
            while True:
                try:
                    if self.version is None:
                        await self._list()
                    watching = self._cluster.watch(
                        self.resource, self.version or "", labels=self._labels, metadata_only=self._metadata_only
                    )
                    async with watching as changes:
                        self._enter("watching")
                        pauses = delays(FIRST_PAUSE, LONGEST_PAUSE)
                        async for kind, found in changes:
                            await self._take(kind, found)
                except Gone:
                    self._enter("listing")
                    self.version = None
                except (ApiError, RetryLater) as error:
                    # Once is a blip (a new API warms up, a watch was closed); the second time in a row is worth a line.
                    self._enter("retrying" if self._state in ("listing", "watching") else "away", str(error))
                await asyncio.sleep(next(pauses))
        finally:
            WATCHES.labels(self._state).dec()

    async def forget(self) -> None:
        """The kind itself is gone, and with it every object of it."""
        for name in list(self.known):
            await self._change(name, None, int(self.version or 0))

    async def _list(self) -> None:
        found = await self._cluster.list(self.resource, labels=self._labels, metadata_only=self._metadata_only)
        listed = {_name(each): kept for each in found["items"] if (kept := self._remember(each))}
        version = found["metadata"]["resourceVersion"]
        del found  # of thousands of objects only what is kept of them should live on
        for name, change in since(self.known, listed, int(version)):
            await self._tell_of(name, change)
        self.version = version
        self.synced.set()

    async def _take(self, kind: str, found: Object) -> None:
        version = found["metadata"]["resourceVersion"]
        if kind != "BOOKMARK":
            after = None if kind == "DELETED" else self._remember(found)
            await self._change(_name(found), after, int(version))
        self.version = version

    async def _change(self, name: Name, after: T | None, version: int) -> None:
        for change in step(self.known.get(name), after, version):
            await self._tell_of(name, change)

    async def _tell_of(self, name: Name, change: Change[T]) -> None:
        if change.after is None:
            self.known.pop(name, None)
        else:
            self.known[name] = change.after
        await self._tell(change)

    def _enter(self, state: str, why: str = "") -> None:
        if state == self._state:
            return
        WATCHES.labels(self._state).dec()
        WATCHES.labels(state).inc()
        what = f"{self.resource.plural}.{self.resource.group}".rstrip(".")
        if state == "away":
            log.warning("lost sight", of=what, error=why)
        elif self._state == "away":
            log.info("in sight again", of=what)
        self._state = state


def _name(found: Object) -> Name:
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]
