"""Where charts are kept by digest: an object store of NATS JetStream, with a cache on local disk before it."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client

from shared import nats_client
from shared.cache import Cache
from shared.charts import digest_of
from shared.errors import RetryLater
from shared.offering import DIGEST

BUCKET = "charts"
PATIENCE = 20.0

log = structlog.get_logger()


class ChartStore:
    def __init__(self, client: Client, cache: Cache) -> None:
        self._client = client
        self._cache = cache

    @classmethod
    async def open(cls, url: str | None = None, cache: Cache | None = None) -> Self:
        """As shared/nats_client.py says. Reconnects for ever, once it was connected."""
        kept = cache if cache is not None else await asyncio.to_thread(Cache.open)
        client = await nats_client.connect("charts", url)
        return cls(client, kept)

    async def close(self) -> None:
        await nats_client.close(self._client)

    async def put(
        self,
        archive: bytes,
        prov: bytes | None = None,
        progress: Callable[[int], None] | None = None,
        patience: float = PATIENCE,
        *,
        pushed: bool = False,
    ) -> str:
        """The digest. What is there already is not written again; `progress` is told how much more was sent.

        What was `pushed` can be had from nowhere else, and stays when the last Offering that used it is retired.
        """
        digest = digest_of(archive)
        async with bounded(patience):
            bucket = await self._bucket()
            if not await _has(bucket, digest):
                await bucket.put(digest, _Told(archive, progress) if progress else archive)
            if prov is not None:
                await bucket.put(_prov(digest), prov)
            if pushed:
                await bucket.put(_pushed(digest), b"pushed")
        await asyncio.to_thread(self._cache.keep, digest, archive)
        return digest

    async def has(self, digest: str) -> bool:
        async with bounded(PATIENCE):
            return await _has(await self._bucket(), digest)

    async def path(self, digest: str) -> Path | None:
        """A local file with the archive. Don't keep the path: ask again, the cache is bounded."""
        if not re.match(DIGEST, digest):
            return None
        found = await asyncio.to_thread(self._cache.find, digest)
        if found:
            return found
        async with bounded(PATIENCE):
            archive = await self._get(digest)
        return None if archive is None else await asyncio.to_thread(self._cache.keep, digest, archive)

    async def prov(self, digest: str) -> bytes | None:
        """The signature that was pushed with an archive. Anybody who can push can change it: verify it."""
        content = io.BytesIO()
        async with bounded(PATIENCE):
            bucket = await self._bucket()
            try:
                await bucket.get(_prov(digest), content)
            except (nats.js.errors.ObjectNotFoundError, nats.js.errors.DigestMismatchError):
                return None
        return content.getvalue()

    async def delete(self, digest: str) -> None:
        """What was fetched; it can be fetched again."""
        async with bounded(PATIENCE):
            bucket = await self._bucket()
            if await _has(bucket, _pushed(digest)):
                return
            for name in (digest, _prov(digest)):
                if await _has(bucket, name):
                    await bucket.delete(name)
        await asyncio.to_thread(self._cache.drop, digest)

    async def _get(self, digest: str) -> bytes | None:
        """What is damaged is as good as gone, and is removed so that it can be put again."""
        bucket = await self._bucket()
        content = io.BytesIO()
        try:
            await bucket.get(digest, content)
        except nats.js.errors.ObjectNotFoundError:
            return None
        except nats.js.errors.DigestMismatchError:
            content = io.BytesIO()
        if digest_of(content.getvalue()) == digest:
            return content.getvalue()
        log.error("chart is damaged in the store", digest=digest)
        await bucket.delete(digest)
        return None

    async def _bucket(self) -> Any:
        """Looked up each time, for NATS may have lost it over a restart."""
        stream = self._client.jetstream()
        try:
            return await stream.object_store(BUCKET)
        except nats.js.errors.NotFoundError:
            return await stream.create_object_store(BUCKET, description="Chart archives by digest", storage="file")


class _Told(io.BytesIO):
    """Tells how much was read of it."""

    def __init__(self, content: bytes, progress: Callable[[int], None]) -> None:
        super().__init__(content)
        self._progress = progress

    def readinto(self, buffer: Any) -> int:
        read = super().readinto(buffer)
        self._progress(read)
        return read


def _prov(digest: str) -> str:
    return f"{digest}.prov"


def _pushed(digest: str) -> str:
    return f"{digest}.pushed"


async def _has(bucket: Any, digest: str) -> bool:
    try:
        await bucket.get_info(digest)
    except nats.js.errors.ObjectNotFoundError:
        return False
    return True


@asynccontextmanager
async def bounded(seconds: float = PATIENCE) -> AsyncIterator[None]:
    """NATS may be away: that is no error of ours, and no reason to wait for ever."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise RetryLater(f"NATS can't be reached: {error!r}", after=2) from error
