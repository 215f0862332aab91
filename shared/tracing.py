"""Traces: what became of one wish, from `kubectl apply` to Ready, as OpenTelemetry shows it. Off unless asked for.

OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_TRACES_EXPORTER=otlp) switches it on, OTEL_SDK_DISABLED=true off again; the other
variables of the SDK hold as they stand (shared/otel.py, which alone imports it). While it is off nothing is imported,
and `traceparent` goes from event to event as it came.

Nobody keeps in mind which trace something belongs to: steps are triggered by level, and a function may be told by a
source, by resync or by another function. So the ids follow from what everybody knows. A wish is one generation of one
object, and its trace id is a hash of the object's uid and that generation. The first span of that trace, whose id
follows from the trace's, is the source's, which saw the wish; a source that starts again says the same once more, under
the same ids. What is said about that generation later, or by resync, comes below that span.

What says no generation (workloads changed) begins a trace of its own. When the function that takes it has something to
say about a generation after all (it is Ready), that step goes to the trace of the wish, with a link to where it came
from. Else it stays where it is: a pod that restarts for months adds nothing to the trace of what was ordered once.
"""

import asyncio
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from importlib import import_module
from typing import Any, Self

from cloudevents.http import CloudEvent

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
OBJECTS = ("instance", "offering", "consumer", "provider")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
LAST_WORDS_SECONDS = 3
PARTS_LIMIT = 100
"""Of one step; a resync may write as often as there are instances."""


def on(environment: Mapping[str, str] = os.environ) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporter == "otlp" or (not exporter and any(environment.get(name) for name in ENDPOINTS))


# Which trace


@dataclass(frozen=True)
class Context:
    """A span, as W3C's traceparent names it."""

    trace: str
    span: str
    flags: str = "01"

    @classmethod
    def parse(cls, traceparent: object) -> Self | None:
        found = TRACEPARENT.fullmatch(str(traceparent))
        return cls(*found.groups()) if found else None

    @classmethod
    def first(cls, trace: str) -> Self:
        return cls(trace, trace[:16], "01" if sdk().sampled(trace) else "00")

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{self.flags}"

    @property
    def above(self) -> Self | None:
        """Of a span that a source tells of: the trace's first, unless it is that itself."""
        return None if self.span == self.trace[:16] else replace(self, span=self.trace[:16])


def trace_of(*cause: object) -> str:
    """A hash, and no UUID: samplers take all its bits for random."""
    return sha256("|".join(str(part) for part in cause).encode()).hexdigest()[:32]


def wish_of(data: object) -> str | None:
    """The trace of the wish that an event's data speak of, if they say which generation."""
    if not isinstance(data, Mapping):
        return None
    about = [data[kind] for kind in OBJECTS if isinstance(data.get(kind), Mapping) and "uid" in data[kind]]
    generation = data.get("generation") or (about and about[0].get("generation"))
    return trace_of(about[0]["uid"], generation) if about and generation else None


def begun(envelope: CloudEvent, *, again: bool = False) -> CloudEvent:
    """An event that answers no other, in the trace it belongs to. `again`: not the wish itself, but a reminder."""
    if on():
        envelope["traceparent"] = str(beginning(envelope, again=again))
    return envelope


def beginning(envelope: CloudEvent, *, again: bool) -> Context:
    wish, step = wish_of(envelope.data), _current.get()
    if wish is None and step is not None:
        return step.context
    first = Context.first(wish or trace_of(envelope["id"]))
    return replace(first, span=trace_of(envelope["id"])[:16]) if wish and again else first


# What is told


@dataclass
class Span:
    service: str
    name: str
    kind: str
    context: Context
    above: Context | None
    started: int
    ended: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    link: Context | None = None
    error: str | None = None


@dataclass
class Step(Span):
    """What a function does with an event."""

    wish: str | None = None
    parts: list[Span] = field(default_factory=list)

    def answers(self, answer: CloudEvent) -> None:
        """Where the answer speaks of a wish and the event did not, this step belongs to the wish."""
        wish = wish_of(answer.data)
        if self.wish is None and wish and wish != self.context.trace:
            self.link, self.above = self.above, Context.first(wish)
            self.context = replace(self.above, span=self.context.span)
        answer["traceparent"] = str(self.context)


_current: ContextVar[Step | None] = ContextVar("step", default=None)


@contextmanager
def step(function: str, envelope: CloudEvent) -> Iterator[None]:
    """Around all that is done with an event."""
    if not on():
        yield
        return
    above = Context.parse(envelope.get("traceparent"))
    context = replace(above, span=new_span()) if above else Context.first(secrets.token_hex(16))
    about = attributes(envelope, "process") | {"faas.name": function}
    found = Step(function, function, "CONSUMER", context, above, time.time_ns(), attributes=about)
    found.wish = wish_of(envelope.data)
    before = _current.set(found)
    try:
        yield
    finally:
        _current.reset(before)
        found.ended = time.time_ns()
        tell(found, *done(found))


def done(whole: Step) -> list[Span]:
    """In the trace that the whole has ended in."""
    context = whole.context
    return [
        replace(each, above=context, context=replace(context, span=each.context.span))
        for each in whole.parts
        if each.ended
    ]


# Of the step in hand, if there is one


def answered(answer: CloudEvent) -> CloudEvent:
    if whole := _current.get():
        whole.answers(answer)
    return answer


def ended(outcome: str, error: Exception | None = None) -> None:
    """With an error where it is nobody's wish that it ended so."""
    if whole := _current.get():
        whole.attributes["chandlery.outcome"] = outcome
        whole.error = (str(error) or repr(error)) if error else None


@contextmanager
def part(name: str, **about: str) -> Iterator[None]:
    """Something within it that takes its time."""
    whole = _current.get()
    if whole is None or whole.ended or len(whole.parts) >= PARTS_LIMIT:
        yield
        return
    context = replace(whole.context, span=new_span())
    named = {each.replace("_", "."): value for each, value in about.items()}
    found = Span(whole.service, name, "CLIENT", context, whole.context, time.time_ns(), attributes=named)
    whole.parts.append(found)
    try:
        yield
    except Exception as error:
        # Never Helm's words: a password may be among them.
        found.error = f"{type(error).__name__} {getattr(error, 'reason', '')}".strip()
        raise
    finally:
        found.ended = time.time_ns()


def writing(method: str, path: str) -> AbstractContextManager[None]:
    """A call of the Kubernetes API: reads are many and quick."""
    if method == "GET":
        return nullcontext()
    return part(f"kubernetes {method}", http_request_method=method, url_path=path)


def sent(event: CloudEvent) -> None:
    """What a source saw, from then until a Broker had it."""
    context = Context.parse(event.get("traceparent")) if on() else None
    if context is None:
        return
    source, kind, now = str(event["source"]).rpartition("/")[2], str(event["type"]), time.time_ns()
    seen = int(datetime.fromisoformat(event["time"]).timestamp() * 1e9)
    tell(Span(source, kind, "PRODUCER", context, context.above, min(seen, now), now, attributes(event, "send")))


def attributes(envelope: CloudEvent, operation: str) -> dict[str, Any]:
    """In the words of OpenTelemetry's conventions, and the instance in ours."""
    said = {f"cloudevents.event_{name}": envelope.get(name) for name in ("type", "source", "subject")}
    said |= {"cloudevents.event_id": envelope["id"], "cloudevents.event_spec_version": envelope.get("specversion")}
    said |= {"messaging.system": "knative", "messaging.operation.type": operation}
    instance = envelope.data.get("instance") if isinstance(envelope.data, Mapping) else None
    if isinstance(instance, Mapping) and "namespace" in instance:
        said["chandlery.instance"] = f"{instance.get('namespace')}/{instance.get('name')}"
        said["chandlery.offering"] = instance.get("offering")
    return {name: value for name, value in said.items() if value}


def new_span() -> str:
    return secrets.token_hex(8)


def tell(*spans: Span) -> None:
    for span in spans:
        if span.context.flags != "00":
            sdk().record(span)


def sdk() -> Any:
    """Imported when it is first needed: it costs 70 ms and 8 MB."""
    return import_module("shared.otel")


async def close() -> None:
    """What was told goes out, if it does so quickly."""
    if on():
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(sdk().close), LAST_WORDS_SECONDS)
