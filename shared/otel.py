"""OpenTelemetry's SDK, as few words of it as spans with ids of our own need. shared/tracing.py imports it.

OTLP over HTTP. Its own variables say the rest: OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER*, OTEL_BSP_*,
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
"""

import logging
import os
from contextvars import ContextVar
from functools import cache

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from shared.tracing import Context, Span

_next: ContextVar[Context] = ContextVar("next")


class Given(IdGenerator):
    """The ids of the span that is being recorded."""

    def generate_span_id(self) -> int:
        return int(_next.get().span, 16)

    def generate_trace_id(self) -> int:
        return int(_next.get().trace, 16)


# A collector that is away is worth one line for each batch that is lost, and none for each try.
logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)


@cache
def processor() -> BatchSpanProcessor:
    return BatchSpanProcessor(OTLPSpanExporter())


@cache
def provider(service: str) -> TracerProvider:
    """One for each function, for a process may be several services; all of them export by one way."""
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    resource = Resource.create({"service.namespace": "chandlery", **named})
    found = TracerProvider(resource=resource, id_generator=Given(), shutdown_on_exit=False)
    found.add_span_processor(processor())
    return found


@cache
def tracer(service: str) -> Tracer:
    return provider(service).get_tracer("chandlery")


def sampled(trace: str) -> bool:
    """As it is decided where a trace begins; everybody decides alike."""
    decision = provider("chandlery").sampler.should_sample(None, int(trace, 16), "")
    return decision.decision is not Decision.DROP


def span_context(one: Context) -> SpanContext:
    return SpanContext(
        int(one.trace, 16), int(one.span, 16), is_remote=True, trace_flags=TraceFlags(int(one.flags, 16))
    )


def record(span: Span) -> None:
    """All at once, when it is over."""
    above = set_span_in_context(NonRecordingSpan(span_context(span.above))) if span.above else None
    token = _next.set(span.context)
    found = tracer(span.service).start_span(
        span.name,
        context=above,
        kind=SpanKind[span.kind],
        attributes=span.attributes,
        links=[Link(span_context(span.link))] if span.link else (),
        start_time=span.started,
    )
    _next.reset(token)
    if span.error is not None:
        found.set_status(Status(StatusCode.ERROR, span.error[:500]))
    found.end(span.ended)


def close() -> None:
    processor().shutdown()  # type: ignore[no-untyped-call]
