"""Show Prometheus what instances used. No event reaches this function; it answers GET, from the ledger.

An answer is kept for a minute, and for ten times as long as it took to make, so that however often one asks it takes a
tenth of one CPU at most.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Self

import functions_framework.aio
import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import Refused, RetryLater
from shared.function import probe
from shared.lifetime import opened
from shared.metering.exposed import Exposed
from shared.metering.ledger import Ledger
from shared.metering.times import EPOCH, hour_of, ms_of, next_hour, time_of

LIMIT = "CHANDLERY_USAGE_SERIES"
DEFAULT_LIMIT = 500
KEPT_SECONDS = 60.0
LIVING = timedelta(hours=3)
"""Who used something since is there still: windows of the last full hour may be an hour and some minutes away."""
LIVE_SUBJECTS = 1000
"""With more pods and volumes ahead of their windows, only windows count, and counters move once an hour."""

log = structlog.get_logger()


class Kept:
    """The newest answer. Several who ask at once wait for the same."""

    def __init__(self, exposed: Exposed, now: Callable[[], float] = time.monotonic) -> None:
        self._exposed = exposed
        self._now = now
        self._turn = asyncio.Lock()
        self._text = b""
        self._until = -1.0

    @classmethod
    async def open(cls) -> Self:
        return cls(Exposed(limit_in(os.environ)))

    async def close(self) -> None:
        """The ledger is closed by itself."""

    async def text(self, ledger: Ledger) -> bytes:
        async with self._turn:
            started = self._now()
            if started >= self._until:
                self._text = await self._made(ledger, datetime.now(UTC))
                done = self._now()
                self._until = done + max(KEPT_SECONDS, 10 * (done - started))
            return self._text

    async def _made(self, ledger: Ledger, now: datetime) -> bytes:
        end = time_of(next_hour(ms_of(now)))
        live = now if await ledger.behind(end) <= LIVE_SUBJECTS else None
        used = await ledger.usage(EPOCH, end, live=live)
        recent = await ledger.usage(time_of(hour_of(ms_of(now - LIVING))), end, live=live)
        living = {each.tenure.instance_uid for each in recent if each.amount}
        return await asyncio.to_thread(lambda: text_of(self._exposed.collect(used, living)))


def limit_in(environment: Mapping[str, str]) -> int:
    said = environment.get(LIMIT, "")
    return int(said) if said.isdecimal() else DEFAULT_LIMIT


def text_of(families: list[Metric]) -> bytes:
    class Once(Collector):
        def collect(self) -> list[Metric]:
            return families

    registry = CollectorRegistry()
    registry.register(Once())
    found: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return found


async def expose_usage(ledger: Ledger, kept: Kept) -> bytes:
    return await kept.text(ledger)


async def answer(request: Request) -> Response:
    if request.method != "GET":
        return Response("GET is all there is.\n", 405, headers={"Allow": "GET"}, media_type="text/plain")
    if request.url.path.endswith("/healthz"):
        return probe(request)
    try:
        text = await expose_usage(await opened(Ledger), await opened(Kept))
    except (Refused, RetryLater) as error:
        log.warning("can't read the ledger", why=str(error))
        return Response("the ledger can't be read\n", 503, headers={"Retry-After": "30"}, media_type="text/plain")
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


main = functions_framework.aio.http(answer)
