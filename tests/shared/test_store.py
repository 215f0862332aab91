"""Charts by digest, in a real NATS that comes and goes."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import nats
import pytest

from shared.archive import COMPRESSED_LIMIT
from shared.cache import Cache
from shared.charts import digest_of
from shared.errors import RetryLater
from shared.store import BUCKET, ChartStore
from tests.shared.servers import Nats

ARCHIVE = os.urandom(400_000)  # more than one chunk
DIGEST = digest_of(ARCHIVE)
UNKNOWN = "sha256:" + "0" * 64

T = TypeVar("T")


@pytest.fixture
def server(tools: dict[str, str], tmp_path: Path) -> Iterator[Nats]:
    found = Nats(tools["nats-server"], tmp_path / "nats")
    found.start()
    yield found
    found.stop()


@asynccontextmanager
async def store(server: Nats, folder: Path) -> AsyncIterator[ChartStore]:
    found = await ChartStore.open(server.url, Cache.open(folder))
    try:
        yield found
    finally:
        await found.close()


async def in_the_end(attempt: Callable[[], Awaitable[T]]) -> T:
    """What a function does: later, when it is told to come back later."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await attempt()
            except RetryLater:
                await asyncio.sleep(0.05)


async def test_a_chart_is_kept_once_and_found_by_others(server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path / "a") as one, store(server, tmp_path / "b") as other:
        assert not await other.has(DIGEST)
        assert await other.path(DIGEST) is None
        assert await one.put(ARCHIVE) == DIGEST
        size = await bucket_size(server)
        assert await other.put(ARCHIVE) == DIGEST
        assert await bucket_size(server) == size
        assert await other.has(DIGEST)
    async with store(server, tmp_path / "c") as third:
        path = await third.path(DIGEST)
        assert path is not None
        assert path.is_relative_to(tmp_path / "c")
        assert path.read_bytes() == ARCHIVE
        await third.delete(DIGEST)
        await third.delete(DIGEST)
        assert not await third.has(DIGEST)
        assert await third.path(DIGEST) is None
        assert await third.put(ARCHIVE) == DIGEST
        assert await third.has(DIGEST)


async def bucket_size(server: Nats) -> int:
    client = await nats.connect(server.url)
    bucket = await client.jetstream().object_store(BUCKET)
    status = await bucket.status()
    await client.close()
    return int(status.size)


async def test_what_was_pushed_stays_as_it_can_be_had_from_nowhere_else(server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path) as found:
        archive = ARCHIVE + b"pushed"
        digest = await found.put(archive)
        await found.put(archive, pushed=True)
        await found.delete(digest)
        assert await found.has(digest)


@pytest.mark.parametrize("digest", ["", "x", "sha256:../../etc/passwd", UNKNOWN])
async def test_what_is_not_there_has_no_path(digest: str, server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path / "a") as found:
        assert await found.path(digest) is None


async def test_many_at_once(server: Nats, tmp_path: Path) -> None:
    archives = [os.urandom(200_000) for _ in range(8)]
    async with store(server, tmp_path / "a") as one, store(server, tmp_path / "b") as other:
        digests = await asyncio.gather(*(found.put(archive) for archive in archives for found in (one, other)))
        assert digests == [digest_of(archive) for archive in archives for _ in range(2)]
    async with store(server, tmp_path / "c") as third:
        paths = await asyncio.gather(*(third.path(digest) for digest in digests))
        assert [path and path.read_bytes() for path in paths] == [archive for archive in archives for _ in range(2)]


async def test_a_damaged_chart_is_gone_and_can_be_put_again(server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path / "a") as found:
        await found.put(ARCHIVE)
        client = await nats.connect(server.url)
        bucket = await client.jetstream().object_store(BUCKET)
        await bucket.put(DIGEST, b"something else")
        await client.close()
    async with store(server, tmp_path / "b") as other:
        assert await other.path(DIGEST) is None
        await other.put(ARCHIVE)
    async with store(server, tmp_path / "c") as third:
        path = await third.path(DIGEST)
        assert path is not None
        assert path.read_bytes() == ARCHIVE


async def test_a_restart_of_nats_is_survived(server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path / "a") as one, store(server, tmp_path / "b") as other:
        await one.put(ARCHIVE)
        server.stop()
        assert await one.path(DIGEST) is not None  # from the cache
        server.start()
        path = await in_the_end(lambda: other.path(DIGEST))
        assert path is not None
        assert path.read_bytes() == ARCHIVE
        assert await in_the_end(lambda: one.put(b"more")) == digest_of(b"more")


async def test_a_nats_that_lost_everything_is_filled_again(server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path / "a") as found:
        await found.put(ARCHIVE)
        server.stop()
        server.folder = tmp_path / "empty"
        server.start()
        assert await in_the_end(lambda: found.has(DIGEST)) is False
        await in_the_end(lambda: found.put(ARCHIVE))
        assert await found.has(DIGEST)


async def test_without_nats_it_is_for_later(server: Nats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.store.PATIENCE", 0.5)
    monkeypatch.setattr("shared.nats_client.CONNECT", 0.5)
    async with store(server, tmp_path / "a") as found:
        server.stop()
        for attempt in (found.put(ARCHIVE), found.has(DIGEST), found.path(DIGEST), found.delete(DIGEST)):
            with pytest.raises(RetryLater):
                await attempt
        with pytest.raises(RetryLater):
            await ChartStore.open(server.url, Cache.open(tmp_path / "b"))


def test_the_cache_drops_what_was_not_asked_for(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path / "cache", limit=2500)
    for number in range(2):
        cache.keep(f"sha256:{number}", bytes(1000))
    os.utime(tmp_path / "cache/0.tgz", (1, 1))
    cache.keep("sha256:2", bytes(1000))
    assert [cache.find(f"sha256:{number}") is not None for number in range(3)] == [False, True, True]
    os.utime(tmp_path / "cache/2.tgz", (1, 1))
    cache.keep("sha256:3", bytes(1000))
    assert [cache.find(f"sha256:{number}") is not None for number in range(4)] == [False, True, False, True]


def test_a_cache_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(PermissionError):
        Cache.open(tmp_path / "cache")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(PermissionError):
        Cache.open(tmp_path / "link")


async def test_a_signature_is_kept_beside_its_chart(server: Nats, tmp_path: Path) -> None:
    async with store(server, tmp_path / "a") as found:
        await found.put(ARCHIVE)
        assert await found.prov(DIGEST) is None
        for signature in (b"first", b"second"):
            await found.put(ARCHIVE, signature)
            assert await found.prov(DIGEST) == signature
        await found.put(ARCHIVE)
        assert await found.prov(DIGEST) == b"second"
        await found.delete(DIGEST)
        assert await found.prov(DIGEST) is None


async def test_the_largest_chart_fits_and_tells_how_far_it_is(server: Nats, tmp_path: Path) -> None:
    large, sent = os.urandom(COMPRESSED_LIMIT), list[int]()
    async with store(server, tmp_path / "a") as found:
        digest = await found.put(large, progress=sent.append)
    assert sum(sent) == len(large)
    async with store(server, tmp_path / "b") as other:
        path = await other.path(digest)
        assert path is not None
        assert path.read_bytes() == large
