"""Publishing for outsiders: done when JetStream has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from shared import nats_client
from shared.errors import RetryLater
from shared.streams import OUT, declared, ensure

PATIENCE = 5.0


class Publisher:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._opening = asyncio.Lock()
        self._ensured = False

    @classmethod
    async def open(cls) -> Self:
        return cls(await nats_client.connect("publisher"))

    async def close(self) -> None:
        await nats_client.close(self._client)

    async def publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        async with self._ready():
            await self._client.jetstream(timeout=PATIENCE).publish(subject, body, headers=headers)

    async def say(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        """To whoever listens now; nobody keeps it."""
        async with self._ready():
            await self._client.publish(subject, body, headers=headers)
            await self._client.flush(PATIENCE)

    @asynccontextmanager
    async def _ready(self) -> AsyncIterator[None]:
        try:
            async with self._opening:
                if self._client.is_closed:  # for good, as after its credentials were refused
                    self._client, self._ensured = await nats_client.connect("publisher"), False
                if not self._client.is_connected:
                    raise RetryLater("NATS is away", after=2)
                if not self._ensured:
                    await ensure(self._client.jetstream(timeout=PATIENCE), declared().stream(OUT))
                    self._ensured = True
            yield
        except nats.js.errors.NoStreamResponseError as error:
            self._ensured = False
            raise RetryLater("NATS has lost the stream chandlery-out; it is made again", after=1) from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise RetryLater(f"NATS did not take it: {error!r}", after=2) from error
