"""The NATS source: what outside systems ask for, to a Broker.

A plain Knative source that keeps no state: NATS remembers which messages were taken. One is acknowledged only when the
sink has taken it; of those about the same instance the earlier goes first. Several processes may share the work.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import nats.errors
import nats.js.errors
import structlog
from cloudevents.http import CloudEvent
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from prometheus_client import Counter, Gauge

from events.base import event_id
from knative import inbox
from knative.outbox import Answer
from knative.sink import Sink
from knative.source import serve
from shared import logs, nats_client
from shared.backoff import delays
from shared.errors import Refused, RetryLater
from shared.streams import DEAD, IN, Durable, Streams, declared, ensure

DEAD_SUBJECT = "chandlery.dead.in"
IN_FLIGHT = Gauge("chandlery_nats_source_in_flight", "Messages taken from NATS and not yet acknowledged")
DEAD_LETTERS = Counter("chandlery_nats_source_dead_letters", "Messages that went to the dead letters", ["reason"])
AT_ONCE = 32
PULL = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
HOLD = 60.0
"""Seconds that a message waits here for a sink that is away, and those after it. Then NATS keeps it for a while."""
LONGEST_NAK = 300.0
TRIES = 50
"""Deliveries, minutes apart, before a message that the sink never takes goes to the dead letters."""

log = structlog.get_logger()


def put_off(tries: int) -> float:
    """Seconds until NATS delivers it again."""
    return min(2.0 ** min(tries, 20), LONGEST_NAK)


class NatsSource:
    def __init__(self, sink: Sink, streams: Streams, *, at_once: int = AT_ONCE, hold: float = HOLD) -> None:
        self._sink = sink
        self._streams = streams
        self._at_once = at_once
        self._hold = hold
        self._trouble: str | None = "not connected yet"
        self._client = Client()
        self._busy: set[asyncio.Task[None]] = set()
        self._lanes: dict[tuple[str, ...], asyncio.Task[None]] = {}

    @property
    def unready(self) -> str | None:
        return self._trouble or (None if self._client.is_connected else "not connected to NATS")

    @property
    def _durable(self) -> Durable:
        (found,) = self._streams.stream(IN).consumers
        return found

    async def run(self) -> None:
        """For ever: whatever NATS does, it is asked again."""
        IN_FLIGHT.set_function(lambda: len(self._busy))
        pauses = delays(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                self._client = await nats_client.connect("source")
                try:
                    stream = await self._prepared()
                    pauses = delays(FIRST_PAUSE, LONGEST_PAUSE)
                    await self._pull(stream)
                finally:
                    await self._end()
            except (RetryLater, nats.errors.Error, TimeoutError, OSError) as error:
                self._note(str(error) or repr(error))
            await asyncio.sleep(next(pauses))

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("not at work", why=trouble)
        self._trouble = trouble

    async def _prepared(self) -> JetStreamContext:
        stream = self._client.jetstream(timeout=10)
        for name in (IN, DEAD):
            await ensure(stream, self._streams.stream(name))
        log.info("pulling", consumer=self._durable.name)
        return stream

    async def _pull(self, stream: JetStreamContext) -> None:
        messages = await stream.pull_subscribe_bind(consumer=self._durable.name, stream=IN)
        self._trouble = None
        while not self._client.is_closed:
            while len(self._busy) >= self._at_once:
                await asyncio.wait(self._busy, return_when=asyncio.FIRST_COMPLETED)
            try:
                found = await messages.fetch(self._at_once - len(self._busy), timeout=PULL)
            except TimeoutError:  # nothing there; or NATS lost the consumer, which it only tells who asks
                await stream.consumer_info(IN, self._durable.name)
                continue
            for message in found:
                self._take(stream, message)

    def _take(self, stream: JetStreamContext, message: Msg) -> None:
        try:
            wanted = inbox.read(message.subject, message.headers, message.data, message.metadata.sequence.stream)
        except Refused as no:
            task = asyncio.create_task(self._bury(stream, message, no))
        else:
            before = self._lanes.get(wanted.lane)
            task = self._lanes[wanted.lane] = asyncio.create_task(self._carry(stream, message, wanted.event, before))
            task.add_done_callback(lambda done, lane=wanted.lane: self._leave(lane, done))  # type: ignore[misc]
        self._busy.add(task)
        task.add_done_callback(self._done)

    def _leave(self, lane: tuple[str, ...], done: asyncio.Task[None]) -> None:
        if self._lanes.get(lane) is done:
            del self._lanes[lane]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("a message stays with NATS for now", error=repr(error))

    async def _carry(
        self, stream: JetStreamContext, message: Msg, event: CloudEvent, before: asyncio.Task[None] | None
    ) -> None:
        async with self._held(message):
            if before:
                await asyncio.wait((before,))
            answer = await self._post(event)
        tries = message.metadata.num_delivered
        if answer == "taken":
            await message.ack()
        elif answer == "refused":
            await self._bury(stream, message, Refused("SinkRefuses", "the Broker refuses it; it won't take it later"))
        elif tries >= TRIES:
            await self._bury(stream, message, Refused("NotCarriedOut", f"the Broker did not take it {tries} times"))
        else:
            await message.nak(delay=put_off(tries))

    @contextlib.asynccontextmanager
    async def _held(self, message: Msg) -> AsyncIterator[None]:
        """NATS is told that it is being worked on; when the work is given up, that others may have it at once."""

        async def tell() -> None:
            while True:
                await asyncio.sleep(self._durable.ack_seconds / 3)
                with contextlib.suppress(nats.errors.Error):
                    await message.in_progress()

        telling = asyncio.create_task(tell())
        try:
            yield
        except asyncio.CancelledError:
            with contextlib.suppress(nats.errors.Error):
                await message.nak()
            raise
        finally:
            telling.cancel()

    async def _post(self, event: CloudEvent) -> Answer:
        pauses = delays(FIRST_PAUSE, LONGEST_PAUSE)
        limit = asyncio.get_running_loop().time() + self._hold
        while True:
            answer = await self._sink.post(event)
            if answer != "later" or asyncio.get_running_loop().time() > limit:
                return answer
            await asyncio.sleep(next(pauses))

    async def _bury(self, stream: JetStreamContext, message: Msg, no: Refused) -> None:
        """As it came, and only when that is kept, the message is done with. Twice the same is kept once."""
        headers = inbox.dead_letter_headers(message.headers, message.subject, no)
        headers["Nats-Msg-Id"] = event_id("dead", IN, message.metadata.timestamp, message.metadata.sequence.stream)
        await stream.publish(DEAD_SUBJECT, message.data, headers=headers)
        await message.term()
        DEAD_LETTERS.labels(no.reason).inc()
        log.warning("a dead letter", subject=message.subject, reason=no.reason, why=no.message)

    async def _end(self) -> None:
        self._trouble = "not connected to NATS"
        busy = [*self._busy]
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        self._lanes.clear()
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
            await self._client.flush(2)
        await nats_client.close(self._client)


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[tuple[NatsSource, asyncio.Task[None]]]:
    sink = await Sink.open()
    source = NatsSource(sink, declared())
    task = asyncio.create_task(source.run())
    try:
        yield source, task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sink.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m knative.nats_source", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    logs.configure()
    structlog.contextvars.bind_contextvars(source="nats")
    sys.exit(0 if serve(running, arguments.host, arguments.port) else 1)


if __name__ == "__main__":
    main()
