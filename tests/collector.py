"""A collector of OpenTelemetry: takes OTLP over HTTP, and remembers the spans."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Told:
    """A span, as it arrived."""

    service: str
    name: str
    trace: str
    id: str
    above: str
    kind: int
    failed: bool
    started: int
    ended: int
    attributes: dict[str, str]
    links: tuple[str, ...]

    def __getitem__(self, attribute: str) -> str | None:
        return self.attributes.get(attribute)


@dataclass
class Collector:
    url: str = ""
    spans: list[Told] = field(default_factory=list)

    def of(self, name: str, fits: Callable[[Told], bool] = lambda _: True) -> list[Told]:
        return [each for each in self.spans if each.name == name and fits(each)]


def read(body: bytes) -> list[Told]:
    return [
        Told(
            service={each.key: each.value.string_value for each in resource.resource.attributes}["service.name"],
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            above=span.parent_span_id.hex(),
            kind=span.kind,
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            started=span.start_time_unix_nano,
            ended=span.end_time_unix_nano,
            attributes={each.key: each.value.string_value for each in span.attributes},
            links=tuple(f"{each.trace_id.hex()}-{each.span_id.hex()}" for each in span.links),
        )
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    found = Collector()

    async def take(request: web.Request) -> web.Response:
        found.spans += read(await request.read())
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()
