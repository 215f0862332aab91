"""One source works, its spares wait: the client library's leader election, over a Lease.

The library's own lease lock is left out: in version 37 it can't create a lease (its own client refuses the call), ends
the election when the API server can't be reached, waits five minutes for an answer that never comes (and so outlives
its lease), writes local time as if it were UTC, and keeps the lease when it ends.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog
from kubernetes.aio.client import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from shared.cluster import Cluster, Object
from shared.errors import ApiError, Conflict, Invalid, RetryLater
from shared.resources import LEASES, SYSTEM_NAMESPACE

# A leader that can't renew stops at most retry + deadline + call + retry seconds after its last renewal: before its
# lease ends, and with it the patience of the spares.
LEASE, DEADLINE, RETRY, CALL = 15, 8, 2, 2.5
TROUBLES = (ApiError, RetryLater, TimeoutError)

log = structlog.get_logger()
logging.getLogger("kubernetes.aio.leaderelection").setLevel(logging.CRITICAL)  # it says so at every try; we say it once


def record_of(spec: Object) -> LeaderElectionRecord:
    duration = spec.get("leaseDurationSeconds")
    return LeaderElectionRecord(
        spec.get("holderIdentity") or None, duration and str(duration), spec.get("acquireTime"), spec.get("renewTime")
    )


def spec_of(record: LeaderElectionRecord, now: datetime) -> Object:
    """The elector gives both times alike when the lease changes hands, else hands back the first as it was read."""
    renewed = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": int(record.lease_duration),
        "acquireTime": renewed if record.acquire_time == record.renew_time else record.acquire_time,
        "renewTime": renewed,
    }


class Lock(BaseLock):
    """Every call ends in time, and no answer is a "no", not a crash."""

    def __init__(self, cluster: Cluster, name: str, identity: str) -> None:
        super().__init__(name, SYSTEM_NAMESPACE, identity)
        self.trouble: str | None = "not asked yet"
        self._cluster = cluster
        self._held: Object | None = None
        self._version = ""

    async def get(self, name: str, namespace: str) -> tuple[bool, Any]:
        if self._held:  # a leader needs no look: its write fails if somebody else has written
            return True, record_of(self._held)
        try:
            async with asyncio.timeout(CALL):
                lease = await self._cluster.get(LEASES, name, namespace)
        except TROUBLES as error:
            self._note(error)
            return False, ApiException(reason=str(error))
        self._note(None)
        if lease is None:
            return False, ApiException(404, body='{"code": 404}')
        self._version = lease["metadata"]["resourceVersion"]
        return True, record_of(lease.get("spec", {}))

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        spec = spec_of(election_record, datetime.now(UTC))
        lease = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        return await self._written(self._cluster.create(LEASES, lease))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        return await self._replace(name, namespace, spec_of(updated_record, datetime.now(UTC)))

    async def release(self) -> None:
        """Nobody's from now on, so that a spare takes over at its next look."""
        known, found = await self.get(self.name, self.namespace)  # a renewal that was cut short may have been written
        if known and found.holder_identity == self.identity:
            await self._replace(self.name, self.namespace, {})
        self._held = None

    async def _replace(self, name: str, namespace: str, spec: Object) -> bool:
        """Unless somebody else did since it was read."""
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": self._version},
            {"op": "add", "path": "/spec", "value": spec},
        ]
        return await self._written(self._cluster.patch(LEASES, name, operations, namespace))

    async def _written(self, call: Coroutine[Any, Any, Object]) -> bool:
        self._held = None
        try:
            async with asyncio.timeout(CALL):
                lease = await call
        except (Conflict, Invalid):
            return False  # somebody else was faster
        except TROUBLES as error:
            self._note(error)
            return False
        self._held, self._version = lease["spec"], lease["metadata"]["resourceVersion"]
        return True

    def _note(self, trouble: Exception | None) -> None:
        if trouble and not self.trouble:
            log.warning("the lease can't be read or written", lease=self.name, error=repr(trouble))
        self.trouble = repr(trouble) if trouble else None


async def lead(lock: Lock, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Does the work whenever the lease is won, and drops it when the lease is lost. Ends only when cancelled."""
    while True:
        elector = LeaderElection(Config(lock, LEASE, DEADLINE, RETRY, onstarted_leading=work, onstopped_leading=None))
        await elector.acquire()
        log.info("leading", lease=lock.name, identity=lock.identity)
        working, renewing = asyncio.create_task(work()), asyncio.create_task(elector.renew_loop())
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _end(working, renewing)
            await lock.release()
            raise
        if working.done():
            working.result()  # it never ends but by a bug
        await _end(working, renewing)
        log.warning("lost the lease", lease=lock.name, identity=lock.identity)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
