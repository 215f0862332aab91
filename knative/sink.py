"""Posting to K_SINK, in binary CloudEvents mode, and what the answer means."""

import json
import os
from typing import Self

import aiohttp
import structlog
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from prometheus_client import Counter

from knative.outbox import Answer
from shared import tracing

SENT = Counter("chandlery_source_events", "Events the sink has taken", ["type"])
FAILED = Counter("chandlery_source_posts_failed", "Posts the sink did not take", ["answer"])
LATER = (404, 408, 409, 413, 429)

log = structlog.get_logger()


def meaning(status: int) -> Answer:
    """As Knative itself reads it, except that an event too large for now (413) is given another chance."""
    if 200 <= status < 300:
        return "taken"
    return "refused" if 400 <= status < 500 and status not in LATER else "later"


class Sink:
    def __init__(self, url: str, session: aiohttp.ClientSession, extensions: dict[str, str]) -> None:
        self._url = url
        self._session = session
        self._extensions = extensions
        self._away = False

    @classmethod
    async def open(cls) -> Self:
        """As Knative tells a source where to send and what to add (SinkBinding, ContainerSource)."""
        overrides = json.loads(os.environ.get("K_CE_OVERRIDES") or "{}")
        timeout = aiohttp.ClientTimeout(total=60, sock_connect=5)
        session = aiohttp.ClientSession(trust_env=True, timeout=timeout)
        return cls(os.environ["K_SINK"], session, overrides.get("extensions", {}))

    async def close(self) -> None:
        await self._session.close()

    async def post(self, event: CloudEvent) -> Answer:
        for name, value in self._extensions.items():
            event[name] = value
        headers, body = to_binary(event)
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                answer, told = meaning(response.status), str(response.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answer, told = "later", type(error).__name__
        self._note(event, answer, told)
        return answer

    def _note(self, event: CloudEvent, answer: Answer, told: str) -> None:
        """A sink that is away is worth two lines, however often it is tried."""
        if answer == "taken":
            SENT.labels(event["type"]).inc()
            tracing.sent(event)
        else:
            FAILED.labels(told).inc()
        if answer == "refused":
            log.error("the sink refuses an event", event_id=event["id"], type=event["type"], answer=told)
        elif self._away != (answer == "later"):
            self._away = not self._away
            if self._away:
                log.warning("the sink takes nothing", answer=told)
            else:
                log.info("the sink takes events again")
