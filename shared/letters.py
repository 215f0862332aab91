"""Dead letters: events that a function answered with an error as often as it was asked, kept until somebody looks.

They are kept in a JetStream stream as structured CloudEvents, with what Knative says of the failure in `knativeerror*`
extensions and the Broker they came from in `chandlerybroker`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlsplit

import functions_framework.aio
import nats.js.errors
import structlog
from cloudevents.conversion import to_json
from cloudevents.http import CloudEvent, from_http, from_json
from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from shared import nats_client, streams, tracing
from shared.errors import RetryLater
from shared.function import probe
from shared.lifetime import opened
from shared.store import bounded

STREAM, SUBJECT = streams.DEAD, "chandlery.dead.events"
ERROR_LIMIT = 300
GONE = (10043, 10057, 10059)
"""NATS' words for: no such message (two of them), no such stream."""
BROKER, FAILURE = "chandlerybroker", "knativeerror"

DEAD = Counter("chandlery_dead_letters", "Events that no function took, by the one that failed", ["function"])

log = structlog.get_logger()


@dataclass(frozen=True)
class Letter:
    """A dead letter. `event` is as it was sent, so that it can be sent again."""

    broker: str
    function: str
    code: str
    error: str
    event: CloudEvent
    number: int = 0
    at: datetime | None = None

    @property
    def id(self) -> str:
        return str(self.event["id"])


def letter(envelope: CloudEvent, broker: str, number: int = 0, at: datetime | None = None) -> Letter:
    """What Knative added to an event when it gave up, taken off it again."""
    attributes = dict(envelope.get_attributes())
    told = {name: str(attributes.pop(name)) for name in list(attributes) if name.startswith((FAILURE, BROKER))}
    host = urlsplit(told.get("knativeerrordest", "")).hostname or ""
    return Letter(
        broker=told.get(BROKER, broker),
        function=host.partition(".")[0],
        code=told.get("knativeerrorcode", ""),
        error=told.get("knativeerrordata", "")[:ERROR_LIMIT],
        event=CloudEvent(attributes, envelope.data),
        number=number,
        at=at,
    )


def text(one: Letter) -> bytes:
    """As it is kept; empty extensions are none."""
    told = {
        BROKER: one.broker,
        "knativeerrordest": f"http://{one.function}" if one.function else "",
        "knativeerrorcode": one.code,
        "knativeerrordata": one.error,
    }
    extensions = {name: value for name, value in told.items() if value}
    return to_json(CloudEvent({**one.event.get_attributes(), **extensions}, one.event.data))


class DeadLetters:
    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    async def open(cls, url: str | None = None) -> Self:
        return cls(await nats_client.connect("dead letters", url))

    async def close(self) -> None:
        await nats_client.close(self._client)

    async def keep(self, one: Letter) -> None:
        """Not deduplicated: what is sent again and fails again at once is to be kept again."""
        async with bounded():
            await streams.ensure(self._client.jetstream(), streams.declared().stream(STREAM))
            await self._client.jetstream().publish(SUBJECT, text(one))

    async def newest(self, limit: int = 100) -> list[Letter]:
        """The newest last."""
        stream = self._client.jetstream()
        found: list[Letter] = []
        async with bounded():
            try:
                state = (await stream.stream_info(STREAM)).state
            except nats.js.errors.NotFoundError:
                return []
            number = max(state.first_seq, 1)
            while number <= state.last_seq:
                try:
                    message = await stream.get_msg(STREAM, seq=number, subject=SUBJECT, next=True)
                except nats.js.errors.NotFoundError:
                    break
                found = [*found, read(message)][-limit:]
                number = (message.seq or number) + 1
        return found

    async def forget(self, number: int) -> None:
        """It may be gone already."""
        async with bounded():
            try:
                await self._client.jetstream().delete_msg(STREAM, number)
            except nats.js.errors.APIError as error:
                if error.err_code not in GONE:
                    raise


def read(message: RawStreamMsg) -> Letter:
    return letter(from_json(message.data or b""), "", message.seq or 0, message.time)


Handler = Callable[..., Awaitable[None]]


def keeping(handler: Handler, *clients: type[Any]) -> Callable[[Request], Awaitable[Response]]:
    """The HTTP target of a dead letter sink: it takes any event; the end of the path names the Broker that gave up."""
    name = handler.__name__

    async def main(request: Request) -> Response:
        if request.method == "GET":
            return probe(request)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(function=name)
        try:
            envelope = from_http(dict(request.headers), await request.body())
            found = letter(envelope, request.url.path.rstrip("/").rpartition("/")[2])
        except Exception as error:  # cloudevents raises a family of its own, some of them plain Exceptions
            log.warning("refused a request that is no CloudEvent", error=str(error))
            return Response(f"{name}: not a CloudEvent: {error}\n", 400, media_type="text/plain")
        said = {"event_id": found.id, "type": envelope["type"], "failed": found.function, "code": found.code}
        try:
            with tracing.step(name, envelope):
                tracing.ended("dead", RuntimeError(f"{found.function} answered {found.code} to the last"))
                async with asyncio.timeout(30):
                    await handler(found, *[await opened(client) for client in clients])
        except (RetryLater, TimeoutError) as later:
            # The last place that has it: it is written down here, at least.
            log.error("a dead letter can't be kept", why=str(later), letter=json.loads(to_json(envelope)), **said)
            return Response(status_code=503, headers={"Retry-After": "2"})
        DEAD.labels(found.function).inc()
        log.error("a dead letter", error=found.error, broker=found.broker, **said)
        return Response(status_code=204)

    return functions_framework.aio.http(main)
