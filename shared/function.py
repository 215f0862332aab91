"""The shell around every function: CloudEvent in, answer out, over functions-framework's ASGI server.

What a function does becomes one HTTP answer, chosen for what Knative does with it (it retries no answer, 5xx, 404,
408, 409 and 429; any other 4xx goes to the dead letter sink; a body that is no CloudEvent counts as a failure):

    done, nothing to say            204
    done, a fact to tell            200 with a CloudEvent
    not a CloudEvent, wrong type,
    data that fails the model       400
    not now (RetryLater)            503 with Retry-After
    a bug                           500
"""

import asyncio
import inspect
import math
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import functions_framework.aio
import structlog
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent, from_http
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from events.base import Event, event_id
from shared import tracing
from shared.errors import RetryLater
from shared.lifetime import opened

EVENTS = Counter("chandlery_events", "Events handled, by what came of them", ["function", "outcome"])
DURATION = Histogram(
    "chandlery_event_duration_seconds",
    "Time from an event's arrival to its answer",
    ["function"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

# First come, first served: of many events at once the first are through early and the next step can begin, where all at
# once would be through together, and late. $CHANDLERY_AT_ONCE lowers it, where a pod's memory is less than a laptop's.
AT_ONCE = 4

log = structlog.get_logger()

Handler = Callable[..., Awaitable[Event | None]]


class Misdirected(ValueError):
    """An event of a type this function doesn't take: its Trigger is wrong."""


def takes(handler: Handler) -> tuple[type[Event], ...]:
    """The event types a function reacts to, read from its first parameter."""
    first = next(iter(inspect.signature(handler).parameters))
    hint = get_type_hints(handler)[first]
    return get_args(hint) if get_origin(hint) in (Union, type(int | str)) else (hint,)


def function(
    handler: Handler, *clients: type[Any], at_once: int = AT_ONCE, enveloped: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """The HTTP target of a function; `clients` are opened when the first event comes and passed after the event.

    One that hands events on as they are is `enveloped`: after the event it is passed the CloudEvent around it.
    """
    name = handler.__name__
    models = {model.type: model for model in takes(handler)}
    turns = asyncio.Semaphore(min(at_once, int(os.environ.get("CHANDLERY_AT_ONCE") or at_once)))

    async def main(request: Request) -> Response:
        if request.method == "GET":
            return probe(request)
        started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(function=name)
        outcome, response = await answer(request)
        DURATION.labels(name).observe(time.perf_counter() - started)
        EVENTS.labels(name, outcome).inc()
        return response

    async def answer(request: Request) -> tuple[str, Response]:
        try:
            envelope = from_http(dict(request.headers), await request.body())
        except Exception as error:  # cloudevents raises a family of its own, some of them plain Exceptions
            log.warning("refused a request that is no CloudEvent", error=str(error))
            return "malformed", Response(f"{name}: not a CloudEvent: {error}\n", 400, media_type="text/plain")
        structlog.contextvars.bind_contextvars(event_id=envelope["id"], type=envelope["type"])
        with tracing.step(name, envelope):
            outcome, response, wrong = await handled(envelope)
            tracing.ended(outcome, wrong)
        return outcome, response

    async def handled(envelope: CloudEvent) -> tuple[str, Response, Exception | None]:
        try:
            event = parse(envelope, models)
        except (ValueError, ValidationError, Misdirected) as error:
            log.warning("refused an event", error=str(error))
            return "malformed", Response(f"{name}: {error}\n", 400, media_type="text/plain"), error
        structlog.contextvars.bind_contextvars(**event.log_fields)
        try:
            async with turns:
                around = [envelope] if enveloped else []
                said = await handler(event, *around, *[await opened(client) for client in clients])
        except RetryLater as later:
            log.info("not now", why=str(later))
            return "later", Response(status_code=503, headers={"Retry-After": str(math.ceil(later.after))}), None
        except Exception as error:
            log.exception("failed")
            return "failed", Response(status_code=500), error
        if said is None:
            log.debug("nothing to tell")
            return "done", Response(status_code=204), None
        log.info("said", said=said.type)
        headers, body = to_binary(tracing.answered(reply(name, said, envelope)))
        return "said", Response(body, 200, headers=headers), None

    return functions_framework.aio.http(main)


def parse(envelope: CloudEvent, models: dict[str, type[Event]]) -> Event:
    model = models.get(envelope["type"])
    if model is None:
        raise Misdirected(f"takes {', '.join(sorted(models))}, got {envelope['type']}")
    return model.model_validate(envelope.data or {})


def reply(function_name: str, said: Event, cause: CloudEvent) -> CloudEvent:
    attributes = cause.get_attributes()
    traced = {"traceparent": attributes["traceparent"]} if "traceparent" in attributes else {}
    return envelope_of(said, f"/chandlery/{function_name}", event_id(function_name, said.type, cause["id"]), **traced)


def envelope_of(said: Event, source: str, identity: str, **extensions: str) -> CloudEvent:
    """The CloudEvent around a fact. An event nobody caused but the outside begins a trace of its own."""
    attributes = {
        "id": identity,
        "type": said.type,
        "source": source,
        "subject": said.subject,
        "time": datetime.now(UTC).isoformat(),
        "datacontenttype": "application/json",
        "traceparent": f"00-{UUID(identity).hex}-{UUID(identity).hex[:16]}-00",
        **extensions,
    }
    found = CloudEvent(attributes, said.model_dump(mode="json"))
    return found if "traceparent" in extensions else tracing.begun(found)


def probe(request: Request) -> Response:
    if request.url.path.endswith("/metrics"):
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
    if request.url.path.endswith("/healthz"):
        return Response("ok\n", media_type="text/plain")
    return Response("POST a CloudEvent here; GET /healthz or /metrics.\n", 404, media_type="text/plain")
