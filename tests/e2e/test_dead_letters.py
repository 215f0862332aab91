"""What no function takes is kept by Knative's dead letter sink, listed, and sent again once the cause is mended."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.resources import Resource
from tests.knative.kinds import until

TRIGGERS = Resource("eventing.knative.dev", "v1", "triggers", "Trigger")


class Failing:
    """A subscriber that answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 500
        self.url = ""
        self.took: list[tuple[str, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.took.append((request.headers["ce-id"], await request.text()))
        return web.Response(status=self.status)


@pytest.fixture
async def failing() -> AsyncIterator[Failing]:
    found = Failing()
    app = web.Application()
    app.router.add_post("/", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield found
    await runner.cleanup()


@pytest.fixture
async def kind(cluster: Cluster, failing: Failing) -> AsyncIterator[str]:
    """Of events that only the failing subscriber is sent."""
    name = f"t{uuid4().hex[:8]}"
    event_type = f"dev.chandlery.test.{name}.v1"
    trigger = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": "chandlery", "labels": {"eventing.knative.dev/broker": "instances"}},
        "spec": {
            "broker": "instances",
            "filters": [{"exact": {"type": event_type}}],
            "subscriber": {"uri": failing.url},
        },
    }
    await cluster.create(TRIGGERS, trigger)

    async def ready() -> bool:
        found = await cluster.get(TRIGGERS, name, "chandlery")
        conditions = (found or {}).get("status", {}).get("conditions", [])
        return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

    await until(ready)
    yield event_type
    await cluster.delete(TRIGGERS, name, "chandlery")


async def typed(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(stack.layout.bin / "chandlery"), "events", *arguments]
    hidden = ("NATS_URL", "LOCAL", "KUBECONFIG")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    run = subprocess.run
    return await asyncio.to_thread(run, command, env=environment, capture_output=True, text=True, check=False)


async def test_what_fails_is_kept_listed_and_sent_again(stack: Stack, failing: Failing, kind: str) -> None:
    identity = str(uuid4())
    sent = {
        "id": identity,
        "type": kind,
        "source": "/test",
        "subject": "team-a/orders",
        "datacontenttype": "application/json",
    }
    headers, body = to_binary(CloudEvent(sent, {"generation": 7}))
    url = f"http://{stack.layout.address('ingress')}/chandlery/instances"

    async def listed() -> list[dict[str, object]]:
        done = await typed(stack, "dead", "--json")
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return [each for each in lines if each["id"] == identity]

    async def dead() -> bool:
        return bool(await listed())

    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 202
    await until(dead)
    (letter,) = await listed()
    assert (letter["broker"], letter["code"], letter["event"]["data"]) == ("instances", "500", {"generation": 7})  # type: ignore[index]
    assert len(failing.took) == 4  # once, and three times more

    failing.status, tried = 204, len(failing.took)
    done = await typed(stack, "replay", identity[:13])
    assert (done.returncode, done.stdout) == (0, f"sent {identity} ({kind}) to broker instances again\n")

    async def taken() -> bool:
        return len(failing.took) > tried

    await until(taken)
    assert {(who, json.loads(what)["generation"]) for who, what in failing.took} == {(identity, 7)}
    assert await listed() == []
    assert identity not in (await typed(stack, "dead")).stdout


async def test_what_was_never_dead_is_not_sent(stack: Stack) -> None:
    done = await typed(stack, "replay", "no-such-event")
    assert (done.returncode, "no such dead letter" in done.stderr) == (1, True)


async def test_what_is_no_event_is_refused_by_the_sink_itself(stack: Stack) -> None:
    url = f"http://{stack.layout.address('functions')}/keep_dead_letters/usage"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"x") as answer:
        assert answer.status == 400
