"""What is to be said and was not taken yet: bounded, one event for each thing there is to say, sent until it is taken.

A full outbox makes `put` wait, and with it the watches: a sink that is away costs no memory.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, Self

from cloudevents.http import CloudEvent
from prometheus_client import Gauge

from knative.said import Said
from shared import tracing
from shared.backoff import delays
from shared.function import envelope_of

QUEUED = Gauge("chandlery_source_queued", "Events not yet taken by the sink")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30
LAST_WORDS_SECONDS = 3

Answer = Literal["taken", "refused", "later"]
Key = tuple[str, str]


class Outbox:
    def __init__(
        self,
        post: Callable[[CloudEvent], Awaitable[Answer]],
        source: str,
        *,
        limit: int = 1000,
        at_once: int = 32,
    ) -> None:
        self._post = post
        self._source = source
        self._limit = limit
        self._turns = asyncio.Semaphore(at_once)
        self._waiting: dict[Key, CloudEvent] = {}
        self._senders: dict[Key, asyncio.Task[None]] = {}
        self._posting: set[Key] = set()
        self._room = asyncio.Event()

    async def __aenter__(self) -> Self:
        QUEUED.set_function(lambda: len(self._waiting))
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is in flight may arrive; the rest is dropped, for whoever is next lists everything anyway."""
        self._waiting.clear()
        senders = dict(self._senders)
        for key, sender in senders.items():
            if key not in self._posting:
                sender.cancel()
        if senders:
            await asyncio.wait(senders.values(), timeout=LAST_WORDS_SECONDS)
        for sender in senders.values():
            sender.cancel()
        await asyncio.gather(*senders.values(), return_exceptions=True)

    async def put(self, said: Said) -> None:
        key = said.key
        while key not in self._waiting and len(self._waiting) >= self._limit:
            self._room.clear()
            await self._room.wait()
        self._waiting[key] = tracing.begun(envelope_of(said.event, self._source, said.id), again=said.again)
        if key not in self._senders:
            self._senders[key] = asyncio.create_task(self._send(key))

    async def _send(self, key: Key) -> None:
        """One task for a key, so that two events about the same thing are never on their way at the same time."""
        pauses = delays(FIRST_PAUSE, LONGEST_PAUSE)
        try:
            while key in self._waiting:
                async with self._turns:
                    event = self._waiting[key]
                    self._posting.add(key)
                    try:
                        answer = await self._post(event)
                    finally:
                        self._posting.discard(key)
                if answer == "later" and key in self._waiting:
                    await asyncio.sleep(next(pauses))
                elif self._waiting.get(key) is event:
                    del self._waiting[key]
                    self._room.set()
        finally:
            del self._senders[key]
