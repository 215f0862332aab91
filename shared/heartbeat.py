"""A sign of life: each process that runs Helm renews a Lease, so that what it left unfinished is known for sure.

A release left `pending-*` may still be worked on by somebody else or be what a killed process left. The release names
its holder; the holder's Lease tells which.
"""

import asyncio
import contextlib
import socket
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import uuid4

import structlog

from shared.cluster import Cluster
from shared.errors import ApiError, RetryLater
from shared.lifetime import opened
from shared.resources import LEASES, SYSTEM_NAMESPACE

RENEW_SECONDS = 4
DURATION_SECONDS = 12
LABELS = {"app.kubernetes.io/managed-by": "chandlery", "chandlery.dev/heartbeat": "true"}

log = structlog.get_logger()


class Heartbeat:
    def __init__(self, cluster: Cluster, holder: str) -> None:
        self.holder = holder
        self._cluster = cluster
        self._beating: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls) -> Self:
        heartbeat = cls(await opened(Cluster), f"{named_host()}-{uuid4().hex[:8]}")
        await heartbeat.bury()
        await heartbeat.beat()
        heartbeat._beating = asyncio.create_task(heartbeat._keep_beating())
        return heartbeat

    async def close(self) -> None:
        if self._beating:
            self._beating.cancel()
        with contextlib.suppress(ApiError, RetryLater):
            await self._cluster.delete(LEASES, self.holder, SYSTEM_NAMESPACE)

    async def alive(self, holder: str) -> bool:
        lease = await self._cluster.get(LEASES, holder, SYSTEM_NAMESPACE)
        return lease is not None and not expired(lease["spec"], datetime.now(UTC))

    async def beat(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = {
            "metadata": {"name": self.holder, "namespace": SYSTEM_NAMESPACE, "labels": LABELS},
            "spec": {"holderIdentity": self.holder, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": now},
        }
        await self._cluster.apply(LEASES, lease, "heartbeat")

    async def bury(self) -> None:
        """Leases of processes that died without a word."""
        leases = await self._cluster.list(LEASES, SYSTEM_NAMESPACE, labels=LABELS)
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        for lease in leases["items"]:
            if expired(lease["spec"], long_ago):
                await self._cluster.delete(LEASES, lease["metadata"]["name"], SYSTEM_NAMESPACE)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self.beat()
            except (ApiError, RetryLater) as error:
                log.warning("could not renew the heartbeat", error=str(error))


def expired(spec: dict[str, str], now: datetime) -> bool:
    renewed = datetime.fromisoformat(spec["renewTime"])
    return renewed + timedelta(seconds=DURATION_SECONDS) < now


def named_host() -> str:
    """The host's name as far as a label value and an object name may hold it."""
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname().lower()).strip("-")[:40] or "host"
